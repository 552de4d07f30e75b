"""What is in the directories that the tree has made: when one is renamed, that need not be looked
at, as it may be gone by then."""

from __future__ import annotations

import posixpath

from pcache.observe.changes import DT_DIR

Tree = list[tuple[bytes, list[tuple[bytes, int]]]]
"""What comes after the name of the top, empty or beginning with a slash; (name, d_type as in
getdents64(2)) pairs."""


class GrownDirectories:
    """By their canonical names, as they are at the event at hand."""

    def __init__(self) -> None:
        self._entries: dict[bytes, dict[bytes, int]] = {}

    def made(self, name: bytes) -> None:
        """A directory was made."""
        self._entries[name] = {}

    def put(self, name: bytes, kind: int) -> None:
        """Something is at a name: `kind`, a d_type."""
        directory, leaf = posixpath.split(name)
        entries = self._entries.get(directory)
        if entries is not None:
            entries[leaf] = kind

    def kind(self, name: bytes) -> int:
        """The d_type of what is at a name; 0 if it is not known."""
        directory, leaf = posixpath.split(name)
        return self._entries.get(directory, {}).get(leaf, 0)

    def gone(self, name: bytes) -> None:
        """Nothing is at a name any more."""
        directory, leaf = posixpath.split(name)
        entries = self._entries.get(directory)
        if entries is not None:
            entries.pop(leaf, None)
        self._entries.pop(name, None)

    def moved(self, old: bytes, new: bytes) -> None:
        """What was at `old` is at `new`."""
        self._entries.pop(new, None)  # an empty one was replaced
        below = old + b"/"
        for name in [name for name in self._entries if name == old or name.startswith(below)]:
            self._entries[new + name[len(old) :]] = self._entries.pop(name)

    def tree(self, top: bytes) -> Tree | None:
        """Its directories from the top down, with what is in them; None if not all of that is
        known."""
        found: Tree = []
        todo = [b""]
        while todo:
            place = todo.pop()
            entries = self._entries.get(top + place)
            if entries is None:
                return None
            found.append((place, sorted(entries.items())))
            todo += [place + b"/" + leaf for leaf, kind in entries.items() if kind == DT_DIR]
        return found
