"""Programs that are kept waiting, because what decides is what they are going to read from a pipe.

They wait until all who write to it are done, at most for a moment, and not if the pipe is full: who
writes must not have to wait for somebody who reads only then.  Others may go by what they do, as a
writer that is killed by SIGPIPE when they want no more, or one that looks for a file they make: so
if programs that run have the pipe, it is hardly longer than it takes to start one, and once they
have written something, only if the end is there at once.  Hits go by nothing.
"""

from __future__ import annotations

import os
import select
from time import monotonic_ns

from pcache.enforce import pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.guardian import Guardian
    from pcache.enforce.task import Task

_LOOK_MS, _LOOK_CLOSELY_MS = 5, 1
"""How often to look whether somebody has waited enough."""
_STEP_NS, _PATIENCE_NS = 50_000_000, 1_000_000_000
_AT_ONCE_NS = 1_000_000


class Hold:
    """A blocked task that waits for the end of the pipe behind its descriptor `fd`."""

    def __init__(self, id: int, task: Task, fd: int) -> None:
        self.id = id
        self.task = task
        self.fd = fd
        self.until_ns = monotonic_ns() + _STEP_NS
        self.at_most_ns = monotonic_ns() + _PATIENCE_NS
        self.slot = 0
        """Where the guardian knows of it."""
        self._came = False

    @property
    def pipe(self) -> int:
        """Our copy of the descriptor."""
        return self.task.fds.get(self.fd)

    @property
    def came(self) -> bool:
        """Whether something has come through the pipe."""
        if not self._came and not pipes.is_empty(self.pipe):
            self._came = True
            if not self._is_written_by_hits():
                self.until_ns = min(self.until_ns, monotonic_ns() + _AT_ONCE_NS)
        return self._came

    def is_over(self) -> bool:
        """Whether it must not wait any longer."""
        if self.came and pipes.is_full(self.pipe):
            return True
        now = monotonic_ns()
        if now < self.until_ns:
            return False
        self.until_ns = now + _STEP_NS
        return now >= self.at_most_ns or not self._is_written_by_hits()

    def _is_written_by_hits(self) -> bool:
        return pipes.came_from_hits(os.fstat(self.pipe).st_ino)


class Holds:
    """Those of one session, by each descriptor in `poll` that tells of them."""

    def __init__(self, poll: select.poll, guardian: Guardian) -> None:
        self._poll = poll
        self._guardian = guardian
        self._at: dict[int, Hold] = {}

    def add(self, hold: Hold) -> bool:
        """Leave a task waiting; False if it is gone."""
        try:
            pidfd, pipe = hold.task.fds.pidfd(), hold.pipe
        except OSError:
            hold.task.fds.close()
            return False
        hold.slot = self._guardian.park(hold.id)
        pipes.in_hand[hold.task.tgid] = 0
        for fd, events in ((pipe, _until_something_comes(hold)), (pidfd, select.POLLIN)):
            self._at[fd] = hold
            self._poll.register(fd, events)
        return True

    def something_came(self, hold: Hold) -> None:
        """Of its pipe only the end is news from now on."""
        self._poll.register(hold.pipe, _until_something_comes(hold))

    def patience_ms(self, other: int | None) -> int | None:
        """How long to wait for events if others want to wait so long."""
        if not self._at:
            return other
        mine = _LOOK_CLOSELY_MS if any(hold.came for hold in self.all()) else _LOOK_MS
        return mine if other is None else min(mine, other)

    def remove(self, hold: Hold) -> None:
        """It does not wait any more.  What the guardian knows stays until `answered`."""
        for fd in [fd for fd, at in self._at.items() if at is hold]:
            self._poll.unregister(fd)
            del self._at[fd]
        pipes.in_hand.pop(hold.task.tgid, None)

    def answered(self, hold: Hold) -> None:
        """Its task goes on, or is gone."""
        self._guardian.unpark(hold.slot)

    def told_by(self, fd: int) -> Hold | None:
        """The hold that a descriptor tells of."""
        return self._at.get(fd)

    def all(self) -> list[Hold]:
        return list(dict.fromkeys(self._at.values()))


def _until_something_comes(hold: Hold) -> int:
    return 0 if hold.came else select.POLLIN
