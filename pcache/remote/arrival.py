"""Where outcomes of others may write."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_TEMPORARY = (b"/tmp", b"/var/tmp")


class Bounds:
    """Directories, and what is below them."""

    def __init__(self, directories: Iterable[bytes], home: bytes, tmpdir: bytes) -> None:
        """Of the root directory, and of what in a home directory begins with a dot, nothing is
        taken to be meant by who names what is above."""
        named = [*directories, *_TEMPORARY, *([tmpdir] if tmpdir.startswith(b"/") else ())]
        self._directories = {os.path.realpath(one) for one in named} - {b"/"}
        self._home = os.path.realpath(home)

    def allow(self, path: bytes) -> bool:
        """Whether something may be put at a path, following the links that lead there."""
        above, _, name = path.rpartition(b"/")
        place = os.path.realpath(above or b"/")
        place = (place if place != b"/" else b"") + b"/" + name
        within = [one for one in self._directories if place.startswith(one + b"/") or place == one]
        if not within:
            return False
        if place.startswith(self._home + b"/."):
            hidden = self._home + b"/" + place[len(self._home) + 1 :].partition(b"/")[0]
            return any(one == hidden or one.startswith(hidden + b"/") for one in within)
        return True
