"""A hit that is being applied to a blocked task: outputs, streams, and the task's end."""

from __future__ import annotations

import errno
import os

from pcache.enforce import overwrite, pipes, tracee
from pcache.enforce.notify import Listener
from pcache.enforce.streams import Stream
from pcache.enforce.task import Task
from pcache.linux.coredump import would_dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container
    from typing import Protocol

    class Plan(Protocol):
        """`pcache.memo.restore.Plan` as far as it is used here."""

        @property
        def status(self) -> int: ...

        @property
        def wall_ns(self) -> int: ...

        @property
        def heavy(self) -> bool: ...

        def sizes(self) -> list[tuple[int, int]]: ...

        def commit(self) -> None: ...

        def conclude(self) -> None: ...

        def take_back(self) -> None: ...

        def cancel(self) -> None: ...

        def abandon(self) -> None: ...

        def writes(self, files: Container[int] = ()) -> list[tuple[int, memoryview]]: ...


class Job:
    """One prepared plan for one blocked task.

    The task stays untouched (blocked in its notification, killable) until all effects are done, so
    that a fatal signal ends it as it would have ended the program.  Without WAIT_KILLABLE_RECV any
    signal ends the wait, so the task is brought into a ptrace stop before the first effect.
    """

    def __init__(
        self, listener: Listener, id: int, task: Task, plan: Plan, killable: bool, began_ns: int
    ) -> None:
        self.id = id
        self.task = task
        self.plan = plan
        self.began_ns = began_ns
        self.ended_ns = 0
        """CLOCK_MONOTONIC, between which the plan was made and its effects come about."""
        self.stopped = False
        """In a ptrace stop of ours: its notification is gone, it must be released or ended."""
        self.slot = 0
        """Where the guardian knows of it while it is parked."""
        self.parked: tuple[int, ...] = ()
        """Descriptors registered with the supervisor's poll."""
        self._listener = listener
        self._killable = killable
        self._sizes = [size for size in plan.sizes() if size[1]]
        self._writes: list[tuple[int, memoryview]] = []
        self._streams: dict[int, Stream] = {}
        self._committed = False
        """What was put in place could be taken back."""

    def begin(self) -> None:
        """Look whether the task can be written to, and stop it if that has to come first.

        Raises OSError or Gone.  Nothing has had an effect.
        """
        for number, _ in self._sizes:
            if number not in self._streams:
                stream = self._streams[number] = Stream(self.task.fds.get(number))
                if stream.broken():
                    raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        if would_dump(self.plan.status, self.task.tid):
            raise OSError(errno.ENOTSUP, "it would dump core")
        if self.task.before_exec:
            self._check_room()
        if not self._killable:
            self._stop()

    def place(self) -> None:
        """Put the outputs in place; for a heavy plan in any thread.  Raises OSError or Gone."""
        if not self.stopped and not self._listener.valid(self.id):
            raise tracee.Gone
        self.plan.commit()
        self._committed = True
        files = [number for number, stream in self._streams.items() if stream.is_file]
        self._writes = [write for write in self.plan.writes(files) if write[1]]
        self._writes.reverse()

    def write(self, limit: int) -> bool:
        """Write up to about `limit` bytes of the streams; whether that was all.

        Raises BlockingIOError when `blocked_on` must become writable first, and other OSErrors.
        """
        while self._writes:
            if limit <= 0:
                return False
            number, data = self._writes[-1]
            count = self._streams[number].write(data[:limit])
            limit -= count
            if count == len(data):
                self._writes.pop()
            else:
                self._writes[-1] = number, data[count:]
        self._conclude()
        return True

    def blocked_on(self) -> int:
        """The descriptor that the next bytes go to."""
        return self._streams[self._writes[-1][0]].fd

    @property
    def tgid(self) -> int:
        return self.task.tgid

    def rest(self, pipe: int) -> list[memoryview] | None:
        """What is still to be written, if all of it goes to the pipe of that inode."""
        if any(self._streams[number].pipe != pipe for number, _ in self._writes):
            return None
        return [data for _, data in reversed(self._writes)]

    def drop(self) -> None:
        """That has been read already."""
        self._writes.clear()

    def waits_for(self) -> int:
        """The pipe that the next bytes go to, 0 for anything else."""
        return self._streams[self._writes[-1][0]].pipe

    def refill(self, pipe: int, rest: list[memoryview]) -> None:
        """Give the task what is in the pipe of that inode, and `rest`, by another pipe.

        Raises OSError, with the task as it was."""
        from pcache.enforce.refill import refill

        if self.stopped:
            raise OSError(errno.EBUSY, "it does not wait for our answer")
        fds = self.task.fds
        ours = next(fds.get(fd) for fd in fds.numbers() if fds.status(fd).st_ino == pipe)
        refill(self._listener, self.id, fds, pipe, [pipes.content(ours), *map(bytes, rest)])

    def finish(self) -> int | None:
        """End the task with the plan's status; see `tracee.finish`.

        Raises Gone, or OSError if it cannot be traced.
        """
        if not self.stopped:
            if self._overwrite():
                return None
            self._stop()
        try:
            status = tracee.finish(self.task.tid, self.plan.status)
        except tracee.Gone:
            self.stopped = False
            raise
        self.stopped = False
        return status

    def take_back(self) -> None:
        """Undo what was put in place and written, for the program to do it.

        Of what somebody has read already it will come twice, but only who still reads can tell.
        """
        if self._committed:
            self._committed = False
            for stream in self._streams.values():
                try:
                    stream.take_back()
                except OSError:
                    continue
            self.plan.take_back()

    def give_up(self) -> None:
        """Let the program run.  Raises Gone if it cannot any more."""
        if self.stopped:
            self.stopped = False
            tracee.release(self.task.tid)
        else:
            self._listener.proceed(self.id)

    def close(self) -> None:
        """Release everything but the task."""
        self._conclude()
        for stream in self._streams.values():
            stream.close()
        self.task.fds.close()

    def _conclude(self) -> None:
        if self._committed:
            self._committed = False
            self.plan.conclude()
        else:
            self.plan.abandon()

    def _check_room(self) -> None:
        """Refuse what might stall before the execve.

        The reader may be our parent, and it may wait for the execve: in vfork(2), or at the end
        of a close-on-exec pipe that would report its failure.
        """
        for number, stream in self._streams.items():
            room = stream.room()
            if room is not None and sum(size for n, size in self._sizes if n == number) > room:
                raise BlockingIOError(errno.EAGAIN, "its output may have to wait for a reader")

    def _overwrite(self) -> bool:
        """End the task the short way, where that is possible."""
        ip, status = self.task.ip, self.plan.status
        if ip is None or not overwrite.can_end(ip, status):
            return False
        try:
            overwrite.end(self._listener, self.id, self.task.tid, ip, status)
        except OSError:
            return False
        return True

    def _stop(self) -> None:
        tracee.stop(self._listener, self.id, self.task.tid, self._killable)
        self.stopped = True
