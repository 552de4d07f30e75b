"""The descriptors of a blocked task."""

from __future__ import annotations

import errno
import os
from stat import S_ISFIFO, S_ISREG, S_ISSOCK

from pcache.enforce import syscalls
from pcache.enforce.task_memory import status_field
from pcache.linux.descriptors import FdView, has_ended, is_make_job, kind_of, numbers, task_trait

_NULL_DEVICE = os.makedev(1, 3)


class TaskFds(FdView):
    """The descriptors of another task, duplicated as they are asked for.

    pidfd_getfd(2) gives the task's own open file description: offset, O_APPEND, pipes and
    terminals are as the program would have met them.  Opening /proc/PID/fd/N gives another one.
    """

    def __init__(
        self,
        tid: int,
        tgid: int,
        closing: frozenset[int] = frozenset(),
        env: tuple[bytes, ...] = (),
    ) -> None:
        """`env`: the task's environment, which may make it one of make's jobs."""
        self._tid = tid
        self._tgid = tgid
        self._env = env
        self._closing = closing
        """Descriptors among 0-2 that the pending execve will close."""
        self._pidfd = -1
        self._copies: dict[int, int] = {}
        self._statuses: dict[int, os.stat_result] = {}

    def get(self, fd: int) -> int:
        if fd in self._closing:
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

    def trait(self, name: bytes) -> bytes:
        if name != b"groups":
            return task_trait(name, self._tid)
        with open(b"/proc/%d/status" % self._tid, "rb") as file:
            return numbers(map(int, status_field(file.read(), b"\nGroups:\t").split()))

    def kinds(self) -> tuple[bytes, bytes, bytes]:
        stdout, stderr = self._stat(1), self._stat(2)
        kinds = [self.kind(0), self._kind(1, stdout), self._kind(2, stderr)]
        if (
            stdout is not None
            and stderr is not None
            and os.path.samestat(stdout, stderr)
            and syscalls.same_file(self._tid, 1, 2)
        ):
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
        if fd in self._closing:
            return None
        if fd not in self._statuses:
            try:
                self._statuses[fd] = os.stat(b"/proc/%d/fd/%d" % (self._tid, fd))
            except FileNotFoundError:
                return None
        return self._statuses[fd]

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
