"""The descriptors of a blocked task."""

from __future__ import annotations

import errno
import os
from stat import S_ISFIFO, S_ISREG, S_ISSOCK

from pcache.enforce import pipes, syscalls
from pcache.enforce.task_memory import status_field
from pcache.linux.descriptors import (
    FdView,
    StillOpen,
    has_ended,
    is_make_job,
    jobserver,
    kind_of,
)
from pcache.values import error_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_NULL_DEVICE = os.makedev(1, 3)
_CLOSE_ON_EXEC = 0o2000000


class TaskFds(FdView):
    """The descriptors of another task, duplicated as they are asked for.

    pidfd_getfd(2) gives the task's own open file description: offset, O_APPEND, pipes and
    terminals are as the program would have met them.  Opening /proc/PID/fd/N gives another one.
    """

    def __init__(
        self,
        tid: int,
        tgid: int,
        pending: bool = False,
        env: tuple[bytes, ...] = (),
    ) -> None:
        """`env`: the task's environment, which may make it one of make's jobs.  `pending`: the
        execve is still to come, and will close some descriptors."""
        self.fed: dict[int, pipes.Feeder] = {}
        """Hits that have still to write what has been said to come from pipes, by their inodes."""
        self.shared: dict[int, bytes] = {}
        """Values of pipes that others can read from too, by their inodes."""
        self.refilled = 0
        """The inode of a pipe in whose place the task was given another one."""
        self._tid = tid
        self._tgid = tgid
        self._env = env
        self._pending = pending
        self._pidfd = -1
        self._copies: dict[int, int] = {}
        self._statuses: dict[int, os.stat_result] = {}

    def get(self, fd: int) -> int:
        if self._pending and self._closes_on_exec(fd):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        copy = self._copies.get(fd)
        if copy is None:
            copy = self._copies[fd] = syscalls.pidfd_getfd(self.pidfd(), fd)
        return copy

    def pidfd(self) -> int:
        """A pidfd of the task: readable once it has ended.  It belongs to the view."""
        if self._pidfd < 0:
            if self._tid == self._tgid:
                self._pidfd = os.pidfd_open(self._tid)
            else:
                try:
                    self._pidfd = syscalls.pidfd_of_thread(self._tid)
                except OSError as error:
                    if error.errno != errno.EINVAL:
                        raise
                    self._pidfd = os.pidfd_open(self._tgid)
        return self._pidfd

    def kind(self, fd: int) -> bytes:
        kind = self._kind(fd, self._stat(fd))
        if fd or kind not in (b"tty", b"pipe") or not is_make_job(self._env):
            return kind
        return b"null" if kind == b"tty" or has_ended(self.get(0)) else kind

    def status(self, fd: int) -> os.stat_result:
        """As it was when first asked for: enough to tell the file from others."""
        status = self._stat(fd)
        if status is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return status

    def numbers(self) -> list[int]:
        found = sorted(map(int, os.listdir(b"/proc/%d/fd" % self._tid)))
        without = jobserver(self._env)
        return [fd for fd in found if fd not in without and self._stat(fd) is not None]

    def same(self, one: int, other: int) -> bool:
        first, second = self._stat(one), self._stat(other)
        return (
            first is not None
            and second is not None
            and os.path.samestat(first, second)
            and syscalls.same_file(self._tid, one, other)
        )

    def pipe(self, fd: int) -> bytes:
        try:
            return pipes.value(self.get(fd), self._tgid, fd, self.fed, self.shared)
        except OSError as error:
            if isinstance(error, StillOpen) and not self._pending:
                raise
            return error_value(error.errno or 0)

    def depended_on(self, pipes: Iterable[int]) -> None:
        if self.fed or self.shared:
            inodes = {self.status(fd).st_ino for fd in pipes}
            for others in (self.fed.keys() - inodes, self.shared.keys() - inodes):
                for inode in others:
                    self.fed.pop(inode, None)
                    self.shared.pop(inode, None)

    def environment(self) -> tuple[bytes, ...]:
        return self._env

    def task_trait(self, name: bytes) -> bytes:
        from pcache.linux import traits

        return traits.value(name, self._tid, self._tgid)

    def kinds(self) -> tuple[bytes, bytes, bytes]:
        kinds = [self.kind(0), self._output_kind(1), self._output_kind(2)]
        if self.same(1, 2):
            kinds[2] = b"=1"
        return kinds[0], kinds[1], kinds[2]

    def close(self) -> None:
        for copy in self._copies.values():
            os.close(copy)
        self._copies.clear()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def _stat(self, fd: int) -> os.stat_result | None:
        """Status of the open file; a stat through the link costs a third of a duplicate."""
        if fd not in self._statuses:
            if self._pending and self._closes_on_exec(fd):
                return None
            try:
                self._statuses[fd] = os.stat(b"/proc/%d/fd/%d" % (self._tid, fd))
            except FileNotFoundError:
                return None
        return self._statuses[fd]

    def _closes_on_exec(self, fd: int) -> bool:
        try:
            with open(b"/proc/%d/fdinfo/%d" % (self._tid, fd), "rb", buffering=0) as file:
                info = file.read()
        except FileNotFoundError:
            return False
        return bool(int(status_field(b"\n" + info, b"\nflags:\t"), 8) & _CLOSE_ON_EXEC)

    def _output_kind(self, fd: int) -> bytes:
        status = self._stat(fd)
        # proc(5): the mode of the link tells what the descriptor is open for.
        if status is not None and not os.lstat(b"/proc/%d/fd/%d" % (self._tid, fd)).st_mode & 0o200:
            return b"input"
        return self._kind(fd, status)

    def _kind(self, fd: int, status: os.stat_result | None) -> bytes:
        if status is None:
            return b"closed"
        mode = status.st_mode
        if S_ISFIFO(mode):
            return b"pipe"
        if S_ISREG(mode):
            return b"file"
        if S_ISSOCK(mode):
            return b"socket"
        if status.st_rdev == _NULL_DEVICE:
            return b"null"
        return kind_of(self.get(fd))
