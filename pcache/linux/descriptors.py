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

    from pcache.values import Stat

_NULL = os.makedev(1, 3)

# linux/fcntl.h: F_LINUX_SPECIFIC_BASE + 3, Linux 6.10 and later; EINVAL before.
_F_DUPFD_QUERY = 1027
# kcmp(2), Linux 3.5 and later where CONFIG_KCMP is set (Debian: yes); number for x86-64.
_SYS_KCMP = 312
_KCMP_FILE = 0


ONE, SAME_FILE, OTHER_FILE = b"1", b"2", b"0"
"""Whether two descriptors are one open file, or lead to the same."""
FLAGS = (
    os.O_ACCMODE
    | os.O_APPEND
    | os.O_NONBLOCK
    | os.O_DIRECT
    | os.O_NOATIME
    | os.O_ASYNC
    | (os.O_SYNC | os.O_PATH)
)
"""Those of F_GETFL that are how a descriptor was opened, and what fcntl(2) may change of it."""

# asm-generic/ioctls.h and the bytes of struct winsize, termios, termios2.
_TERMINAL = {b"winsize": (0x5413, 8), b"modes": (0x5401, 36), b"modes2": (0x802C542A, 44)}
_OF_DESCRIPTORS = frozenset(
    {b"flags", b"flags-append", b"name", b"offset", b"end", b"status", b"tty", b"one", *_TERMINAL}
)


_ENVIRONMENT = b"env "
OLDPWD = _ENVIRONMENT + b"OLDPWD"
"""Path of a fact of kind TRAIT."""


def variable_trait(variable: bytes) -> bytes:
    """Path of a fact of kind TRAIT about a variable, or, with a final `*`, all that begin so."""
    return _ENVIRONMENT + variable


def is_of_environment(name: bytes) -> bool:
    """Whether a trait is one of `variable_trait`."""
    return name.startswith(_ENVIRONMENT)


def environment_trait(env: Iterable[bytes], name: bytes) -> bytes:
    """Value of such a trait: empty where the variable is not set."""
    variable = name.removeprefix(_ENVIRONMENT)
    if variable.endswith(b"*"):
        return b"\0".join([entry for entry in env if entry.startswith(variable[:-1])])
    prefix = variable + b"="
    return next((entry[len(prefix) - 1 :] for entry in env if entry.startswith(prefix)), b"")


def trait_name(what: bytes, fd: int) -> bytes:
    """Path of a fact of kind TRAIT: `flags N`, `flags-append N` (all but O_APPEND), `name N`,
    `offset N`, `end N` (whether a file's offset is its end), `status N` (`status_trait`), `tty N`
    (whether it is a terminal), `one N` (whether it is one with 1: `ONE` and its like), `winsize N`,
    `modes N` or `modes2 N`.
    """
    return b"%b %d" % (what, fd)


def descriptor_trait_of(name: bytes) -> tuple[bytes, int] | None:
    """What was given to `trait_name`, (`open`, -1) for which descriptors there are; None if a trait
    is not about descriptors."""
    what, _, number = name.partition(b" ")
    if what == b"open":
        return what, -1
    return (what, int(number)) if what in _OF_DESCRIPTORS else None


def status_trait(st: Stat) -> bytes:
    """What stat(2) tells of a file to write to, but for its times."""
    return b"%o:%d:%d+%d %d" % (st.st_mode, st.st_uid, st.st_gid, st.st_nlink, st.st_size)


def same_as(kind: bytes, numbers: Iterable[int]) -> bytes:
    """Value of a fact of kind FD for a descriptor above 2: its kind, and by `=N` with which lower
    one it is one open file.  Of several 0 counts least: where 1 is, bytes go there."""
    lower = sorted(numbers, key=lambda number: (number == 0, number))
    return kind + b"=%d" % lower[0] if lower else kind


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


def is_read_only(fd: int) -> bool:
    """Whether nothing can be written to a descriptor of this process."""
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    return flags & os.O_ACCMODE == os.O_RDONLY or bool(flags & os.O_PATH)


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


def jobserver(environment: Iterable[bytes]) -> frozenset[int]:
    """Descriptors of make's jobserver: its tokens are neither input nor output.

    GNU make passes them in MAKEFLAGS as --jobserver-auth=R,W (4.2 on) or --jobserver-fds=R,W.
    """
    for entry in environment:
        if not entry.startswith((b"MAKEFLAGS=", b"CARGO_MAKEFLAGS=")):
            continue
        for word in entry.split(b" "):
            name, _, value = word.partition(b"=")
            if name in (b"--jobserver-auth", b"--jobserver-fds"):
                parts = value.split(b",")
                if len(parts) == 2 and all(part.isdigit() for part in parts):
                    return frozenset(int(part) for part in parts)
    return frozenset()


def has_ended(pipe: int) -> bool:
    """Whether there is nothing in a pipe, nor anybody to write to it."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    return [events for _, events in poll.poll(0)] == [select.POLLHUP]


class StillOpen(OSError):
    """More may come from the pipe behind a descriptor of the task."""

    def __init__(self, fd: int) -> None:
        super().__init__(errno.EAGAIN, "a pipe that others write to")
        self.fd = fd


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

    def numbers(self) -> list[int]:
        """Of all descriptors of the task, in their order."""
        raise NotImplementedError

    def same(self, one: int, other: int) -> bool:
        """Whether two descriptors of the task are one open file (description)."""
        try:
            return same_description(self.get(one), self.get(other))
        except OSError as error:
            if error.errno == errno.EBADF:
                return False
            raise

    def value(self, fd: int) -> bytes:
        """Value of a fact of kind FD."""
        kind = self.kind(fd)
        if fd <= 2 or kind == b"closed":
            return kind
        return same_as(kind, [n for n in self.numbers() if n < fd and self.same(n, fd)])

    def pipe(self, fd: int) -> bytes:
        """Value of a fact of kind PIPE.  Raises StillOpen while somebody can write to it."""
        return b"!%d" % errno.ESPIPE

    def depended_on(self, pipes: Iterable[int]) -> None:
        """Of the descriptors whose `pipe` was asked for, these decided."""

    def trait(self, name: bytes) -> bytes:
        """Value of a fact of kind TRAIT: a `variable_trait`, what `trait_name` names of a
        descriptor, or what `pcache.linux.traits` knows."""
        if is_of_environment(name):
            return environment_trait(self.environment(), name)
        about = descriptor_trait_of(name)
        if about is None:
            return self.task_trait(name)
        what, fd = about
        if what == b"open":
            return b" ".join([b"%d" % number for number in sorted(self.numbers())])
        if what == b"one":
            return self._one(fd)
        try:
            return _descriptor_trait(self.get(fd), what)
        except OSError as error:
            return b"!%d" % (error.errno or 0)

    def _one(self, fd: int) -> bytes:
        if self.same(1, fd):
            return ONE
        try:
            return SAME_FILE if os.path.samestat(self.status(1), self.status(fd)) else OTHER_FILE
        except OSError:
            return OTHER_FILE  # one of them is closed

    def task_trait(self, name: bytes) -> bytes:
        """Value of one that is not about a descriptor."""
        raise NotImplementedError

    def environment(self) -> tuple[bytes, ...]:
        """That of the task."""
        raise NotImplementedError

    def kinds(self) -> tuple[bytes, bytes, bytes]:
        """`Call.fds`: the kinds of descriptors 0-2, where 2 is `=1` if it is 1 again."""
        stdin, stdout, stderr = self.kind(0), self._output(1), self._output(2)
        if stderr == stdout != b"closed" and same_description(self.get(1), self.get(2)):
            stderr = b"=1"
        return stdin, stdout, stderr

    def _output(self, fd: int) -> bytes:
        kind = self.kind(fd)
        return b"input" if kind != b"closed" and is_read_only(self.get(fd)) else kind


class OwnFds(FdView):
    """The descriptors of this process that a command it starts would inherit.

    Close-on-exec ones count as closed: they are our own (the store's, above all), and what number
    they have is nobody's input.
    """

    def __init__(self, env: tuple[bytes, ...] = ()) -> None:
        """`env`: the environment of the command."""
        self._env = env

    def environment(self) -> tuple[bytes, ...]:
        return self._env

    def get(self, fd: int) -> int:
        if not os.get_inheritable(fd):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return fd

    def numbers(self) -> list[int]:
        with os.scandir("/proc/self/fd") as directory:
            found = sorted([int(entry.name) for entry in directory])
        return [fd for fd in found if _is_inheritable(fd)]

    def task_trait(self, name: bytes) -> bytes:
        from pcache.linux import traits

        return traits.value_here(name)


def _is_inheritable(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:
        return False  # that of the directory that was listed


def _descriptor_trait(fd: int, what: bytes) -> bytes:
    """As pcache.observe.accesses.descriptors makes them of events.  Raises OSError."""
    if what == b"flags":
        return b"%d" % (fcntl.fcntl(fd, fcntl.F_GETFL) & FLAGS)
    if what == b"flags-append":
        return b"%d" % (fcntl.fcntl(fd, fcntl.F_GETFL) & FLAGS & ~os.O_APPEND)
    if what == b"offset":
        value = b"%d" % os.lseek(fd, 0, os.SEEK_CUR)
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND:
            value += b" %d" % os.fstat(fd).st_size
        return value
    if what == b"status":
        return status_trait(os.fstat(fd))
    if what == b"end":
        return b"%d" % (os.lseek(fd, 0, os.SEEK_CUR) == os.fstat(fd).st_size)
    if what == b"name":
        return os.readlink(b"/proc/self/fd/%d" % fd)
    if what == b"tty":
        return b"%d" % os.isatty(fd)
    request, size = _TERMINAL[what]
    return fcntl.ioctl(fd, request, bytes(size))
