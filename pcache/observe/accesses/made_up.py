"""Names that the tree has made up for what nobody else is to use, as mkstemp(3) does."""

from __future__ import annotations

import posixpath

from pcache.settings.stand_ins import TEMPORARY_DIRECTORIES, is_unique, stem


class MadeUpNames:
    """Those of one recording."""

    def __init__(self) -> None:
        self._made: dict[bytes, tuple[bytes, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._made)

    def private(self, name: bytes, ts: int) -> None:
        """A file or directory was made for nobody else."""
        directory, leaf = posixpath.split(name)
        one = stem(leaf, beside_others=directory in TEMPORARY_DIRECTORIES)
        if one:
            self._made.setdefault(one, (name, ts))

    def unique(self, name: bytes, ts: int) -> None:
        """A file was made; where it has a name as only one maker gives, nobody else will use it."""
        directory, leaf = posixpath.split(name)
        if directory in TEMPORARY_DIRECTORIES and is_unique(leaf):
            self.private(name, ts)

    def maker(self, one: bytes) -> tuple[bytes, int] | None:
        """What was made under a name with this part that looks made up, and when."""
        return self._made.get(one)
