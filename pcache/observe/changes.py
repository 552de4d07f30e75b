"""What executions do to files, as far as it decides what later observations mean."""

from __future__ import annotations

from pcache.observe.events import Stamp

# How a change came about: it decides what the path's earlier state still means.
CREATED = "created"  # nothing was there
REPLACED = "replaced"  # something was there and nothing of it is left
MODIFIED = "modified"  # part of the earlier content is left
ATTRIBUTES = "attributes"  # only mode or times
REMOVED = "removed"


# d_type of an entry, getdents64(2).
DT_DIR, DT_REG, DT_LNK = 4, 8, 10


# What was done to a modification time: nothing, set to the time of the call, set to a given time.
UNTOUCHED, NOW, GIVEN = range(3)


class Change:
    """What an execution did to a canonical name: first and last, times in ns (CLOCK_MONOTONIC)."""

    __slots__ = (
        "before", "content_last", "first", "first_how", "last", "last_how", "moved", "origin",
        "times", "was",
    )  # fmt: skip

    def __init__(self, ts: int, how: str, origin: bytes) -> None:
        self.first = self.last = ts
        self.first_how = self.last_how = how
        self.content_last = ts if how != ATTRIBUTES else 0
        self.times = UNTOUCHED
        """What was last done to its modification time on purpose."""
        self.was = 0
        """d_type of what was removed or replaced first, 0 if unknown."""
        self.before: Stamp | None = None
        """Version of a file that was at first only opened to be modified, which may not follow."""
        self.origin = origin
        """The name that the file which is here had before the execution, if it may have been there
        by then, as what open(2) truncates or makes; empty for a new one."""
        self.moved = 0
        """When it was renamed to here, if nothing had been done to it before."""

    @property
    def only_moved(self) -> bool:
        """Whether what is here was there before the execution, and is as it was."""
        return self.moved == self.last

    def again(self, ts: int, how: str, *, in_place: bool) -> None:
        self.last = ts
        if how == REMOVED or (how in (CREATED, REPLACED) and not in_place):
            self.origin = b""
        if how != ATTRIBUTES:
            self.content_last = ts
            self.last_how = how
            self.times = UNTOUCHED
        elif self.last_how == ATTRIBUTES:
            self.last_how = how


def leads_through(path: bytes, changes: dict[bytes, Change]) -> bool:
    """Whether a path or a directory on it is among the changed names."""
    if not changes:
        return False
    while path:
        if path in changes:
            return True
        path = path[: max(path.rfind(b"/"), 0)]
    return False
