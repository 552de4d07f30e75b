"""Files that the recorded tree gave several names."""

from __future__ import annotations

from pcache.observe.history import History


class HardLinks:
    """Those there are at the moment."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.older: dict[bytes, bytes] = {}
        """Name -> the older name of the same file that it was made from."""
        self.since: dict[bytes, int] = {}
        """Name -> when it was made."""
        self.names: set[bytes] = set()
        """All names of such files."""
        self._first: dict[bytes, bytes] = {}
        """Name -> the one that the file had before it was given others."""

    def add(self, ts: int, name: bytes, source: bytes) -> None:
        """A file was given another name."""
        first = self._first[name] = self._first.get(source, source)
        self._history.count_names(first, ts, 1)
        self._history.linked(source, ts)
        self.older[name] = source
        self.since[name] = ts
        self.names.update((name, source))

    def remove(self, ts: int, name: bytes) -> None:
        """What was at a name is there no more."""
        first = self._first.pop(name, None)
        if first is not None:
            self._history.count_names(first, ts, -1)
        self.older.pop(name, None)
        self.since.pop(name, None)
        self.names.discard(name)

    def move(self, ts: int, old: bytes, new: bytes) -> None:
        """A name was moved, and all below it, over what may have been there."""
        below = old + b"/"
        moved = [name for name in self.names if name == old or name.startswith(below)]
        self.remove(ts, new)
        self.names.difference_update(moved)
        self.names.update(new + name[len(old) :] for name in moved)
        for names in (self.older, self._first):
            older = names.pop(old, None)
            if older is not None:
                names[new] = older
        since = self.since.pop(old, None)
        if since is not None:
            self.since[new] = since
