"""Descriptors that a program inherits: of what kind they are, and which of them are one."""

from __future__ import annotations

import errno
import fcntl
import os
import select
from stat import S_ISCHR, S_ISDIR, S_ISFIFO, S_ISREG, S_ISSOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_NULL = os.makedev(1, 3)

# linux/fcntl.h: F_LINUX_SPECIFIC_BASE + 3, Linux 6.10 and later; EINVAL before.
_F_DUPFD_QUERY = 1027
# kcmp(2), Linux 3.5 and later where CONFIG_KCMP is set (Debian: yes); number for x86-64.
_SYS_KCMP = 312
_KCMP_FILE = 0


def kind_of(fd: int) -> bytes:
    """Kind of a descriptor of this process, as in `Call.fds` (without `=1`)."""
    try:
        st = os.fstat(fd)
    except OSError as error:
        if error.errno == errno.EBADF:
            return b"closed"
        raise
    mode = st.st_mode
    if S_ISREG(mode):
        return b"file"
    if S_ISFIFO(mode):
        return b"pipe"
    if S_ISCHR(mode):
        if st.st_rdev == _NULL:
            return b"null"
        if os.isatty(fd):
            return b"tty"
        return b"char:%d:%d" % (os.major(st.st_rdev), os.minor(st.st_rdev))
    if S_ISSOCK(mode):
        return b"socket"
    return b"dir" if S_ISDIR(mode) else b"other"


def offset_and_size(fd: int) -> tuple[int, int]:
    """Where a regular file is written next, unless at its end, and where that is."""
    return os.lseek(fd, 0, os.SEEK_CUR), os.fstat(fd).st_size


def restore_end(fd: int, before: tuple[int, int]) -> None:
    """Takes back what was written to a regular file past its end since `before`.

    Raises OSError if it cannot be made shorter."""
    offset, size = before
    if os.fstat(fd).st_size > size:
        os.ftruncate(fd, size)
    os.lseek(fd, offset, os.SEEK_SET)


def same_description(one: int, other: int) -> bool:
    """Whether two open descriptors of this process are one open file description (dup(2)).

    Raises OSError where the kernel cannot tell.
    """
    if not os.path.sameopenfile(one, other):
        return False
    try:
        return fcntl.fcntl(one, _F_DUPFD_QUERY, other) == 1
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return _kcmp(one, other)


def _kcmp(one: int, other: int) -> bool:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    pid = os.getpid()
    order: int = libc.syscall(
        ctypes.c_long(_SYS_KCMP),
        ctypes.c_long(pid),
        ctypes.c_long(pid),
        ctypes.c_long(_KCMP_FILE),
        ctypes.c_ulong(one),
        ctypes.c_ulong(other),
    )
    if order < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"kcmp: {os.strerror(number)}")
    return order == 0


def is_make_job(env: Iterable[bytes]) -> bool:
    """Whether a program with that environment is one of those that make or cargo starts at once.

    GNU make gives its own stdin to one job at a time, and to the others a pipe that has ended
    (job.c: get_bad_stdin), so which of them a job gets is an accident of scheduling.  All of it
    counts as `null` then: a terminal too, as who reads from it cannot be recorded.
    """
    return any(
        entry.startswith((b"MAKEFLAGS=", b"CARGO_MAKEFLAGS=")) and b"--jobserver-" in entry
        for entry in env
    )


def has_ended(pipe: int) -> bool:
    """Whether there is nothing in a pipe, nor anybody to write to it."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    return [events for _, events in poll.poll(0)] == [select.POLLHUP]


class FdView:
    """The descriptors of a task, and what else it was handed down, seen from this process."""

    def get(self, fd: int) -> int:
        """A descriptor of this process that shares the open file description of the task's `fd`.

        It belongs to the view: do not close it.  Raises OSError (EBADF if the task has none).
        """
        raise NotImplementedError

    def status(self, fd: int) -> os.stat_result:
        """fstat(2) of the task's `fd`.  Raises OSError."""
        return os.fstat(self.get(fd))

    def close(self) -> None:
        """Gives up what the view holds."""

    def kind(self, fd: int) -> bytes:
        """Kind of the task's descriptor `fd`, as in `Call.fds` (without `=1`)."""
        try:
            return kind_of(self.get(fd))
        except OSError as error:
            if error.errno == errno.EBADF:
                return b"closed"
            raise

    def trait(self, name: bytes) -> bytes:
        """Value of a fact of kind TRAIT: processors it may run on, scheduling policy with its
        priority, groups, nice value, or a soft limit."""
        raise NotImplementedError

    def kinds(self) -> tuple[bytes, bytes, bytes]:
        """`Call.fds`: the kinds of descriptors 0-2, where 2 is `=1` if it is 1 again."""
        stdin, stdout, stderr = self.kind(0), self.kind(1), self.kind(2)
        if stderr == stdout != b"closed" and same_description(self.get(1), self.get(2)):
            stderr = b"=1"
        return stdin, stdout, stderr


class OwnFds(FdView):
    """The descriptors of this process that a command it starts would inherit.

    Close-on-exec ones count as closed: they are our own (the store's, above all), and what number
    they have is nobody's input.
    """

    def get(self, fd: int) -> int:
        if not os.get_inheritable(fd):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return fd

    def trait(self, name: bytes) -> bytes:
        return numbers(os.getgroups()) if name == b"groups" else task_trait(name, 0)


def task_trait(name: bytes, tid: int) -> bytes:
    """Value of the trait `affinity`, `policy`, `priority` or of a limit of a task; 0 is this one.

    Raises OSError.
    """
    if name == b"affinity":
        return numbers(os.sched_getaffinity(tid))
    if name == b"policy":
        return b"%d %d" % (os.sched_getscheduler(tid), os.sched_getparam(tid).sched_priority)
    if name == b"priority":
        return b"%d" % os.getpriority(os.PRIO_PROCESS, tid)
    from pcache.linux.limits import trait_value

    return trait_value(name, tid)


def numbers(found: Iterable[int]) -> bytes:
    """As they stand in the value of a trait."""
    return b" ".join([b"%d" % number for number in sorted(found)])
