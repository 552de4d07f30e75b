"""Names that an execution gave to files which have, or had, others."""

from __future__ import annotations

from pcache.model import Reason
from pcache.observe.accesses.context import Context
from pcache.observe.changes import CREATED, REPLACED, Change
from pcache.observe.conditions.unknowable import Unknowable
from pcache.observe.executions import Execution

_NEW = (CREATED, REPLACED)


class Links:
    """Those of one execution, as they are when it ends."""

    def __init__(self, execution: Execution, context: Context) -> None:
        self._execution = execution
        self._links = context.hard_links
        self._history = context.history
        self.moved: dict[bytes, bytes] = {}
        """Name -> the one that the file had before the execution, which took that from it later:
        as if it had been renamed (`ln f f~; mv new f`).  One for each file."""
        self._renamed: dict[bytes, bytes] = {}
        """The same from former to new names."""
        for name, change in execution.changes.items() if self._links.older else ():
            former = self._links.older.get(name, b"")
            if former and former not in self._renamed and self._replaces(name, former, change):
                self._renamed[former] = name
                self.moved[name] = former

    def _replaces(self, name: bytes, former: bytes, change: Change) -> bool:
        since, taken = self._links.since[name], self._execution.changes.get(former)
        return (
            change.origin == former
            and change.last_how == CREATED
            and change.last == since
            and taken is not None
            and taken.first > since
            and self._history.left_alone(former, since, self._end)
        )

    def _made(self, name: bytes, since: int) -> bool:
        """Whether the content that a file had by then was all of the execution's own."""
        change = self._execution.changes.get(name)
        return change is not None and change.first < since and change.first_how in _NEW

    @property
    def _end(self) -> int:
        assert self._execution.end is not None
        return self._execution.end

    def older(self, name: bytes, change: Change) -> bytes:
        """Another name of the file, which it had before this one and is left with; empty if there
        is none.  Raises Unknowable if that cannot be told."""
        older = self._links.older.get(name, b"")
        if not older:
            return b""
        since = self._links.since[name]
        at, _, until = self._history.way(older, since, self._end)[-1]
        changes = self._execution.changes
        if until == self._end and (at == older or (older in changes and at in changes)):
            return at
        if until == self._end or older not in changes:
            raise Unknowable(Reason.OUTPUT_OVERWRITTEN, older)
        if not change.origin or self._made(change.origin, since):
            return b""
        if change.origin not in self._renamed:
            raise Unknowable(Reason.OUTPUT_OVERWRITTEN, older)
        return self._renamed[change.origin]
