"""Programs that are kept waiting, because what decides is what they are going to read from a pipe.

They wait until all who write to it are done, at most for a moment, and not if the pipe is full: who
writes must not have to wait for somebody who reads only then.  A program that starts a moment later
than it might is nothing that others could rely on.
"""

from __future__ import annotations

import select
from time import monotonic_ns

from pcache.enforce import pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.guardian import Guardian
    from pcache.enforce.task import Task

LOOK_MS = 5
"""How often to look whether somebody has waited enough."""
_PATIENCE_NS = 250_000_000


class Hold:
    """A blocked task that waits for the end of the pipe behind its descriptor `fd`."""

    def __init__(self, id: int, task: Task, fd: int) -> None:
        self.id = id
        self.task = task
        self.fd = fd
        self.until_ns = monotonic_ns() + _PATIENCE_NS
        self.slot = 0
        """Where the guardian knows of it."""

    @property
    def pipe(self) -> int:
        """Our copy of the descriptor."""
        return self.task.fds.get(self.fd)

    def is_over(self) -> bool:
        """Whether it must not wait any longer."""
        return monotonic_ns() >= self.until_ns or pipes.is_full(self.pipe)


class Holds:
    """Those of one session, by each descriptor in `poll` that tells of them."""

    def __init__(self, poll: select.poll, guardian: Guardian) -> None:
        self._poll = poll
        self._guardian = guardian
        self._at: dict[int, Hold] = {}

    def __bool__(self) -> bool:
        return bool(self._at)

    def add(self, hold: Hold) -> bool:
        """Leave a task waiting; False if it is gone."""
        try:
            pidfd, pipe = hold.task.fds.pidfd(), hold.pipe
        except OSError:
            hold.task.fds.close()
            return False
        hold.slot = self._guardian.park(hold.id)
        for fd, events in ((pipe, 0), (pidfd, select.POLLIN)):  # of the pipe, its end alone
            self._at[fd] = hold
            self._poll.register(fd, events)
        return True

    def remove(self, hold: Hold) -> None:
        """It does not wait any more.  What the guardian knows stays until `answered`."""
        for fd in [fd for fd, at in self._at.items() if at is hold]:
            self._poll.unregister(fd)
            del self._at[fd]

    def answered(self, hold: Hold) -> None:
        """Its task goes on, or is gone."""
        self._guardian.unpark(hold.slot)

    def told_by(self, fd: int) -> Hold | None:
        """The hold that a descriptor tells of."""
        return self._at.get(fd)

    def all(self) -> list[Hold]:
        return list(dict.fromkeys(self._at.values()))
