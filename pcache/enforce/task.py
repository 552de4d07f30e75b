"""Reading a blocked task: what it is about to run, and its descriptors.

A tid can be reused while we read, so nothing that is read here may be believed before
`Listener.valid` has confirmed that the same task still waits.  What is read belongs to a blocked
task and cannot change, except for memory shared with a running thread (an execve only).
"""

from __future__ import annotations

import errno
import os
from stat import S_ISFIFO, S_ISREG, S_ISSOCK

from pcache.enforce import syscalls
from pcache.enforce.inherited import Inherited
from pcache.linux import image
from pcache.linux.descriptors import FdView, has_ended, is_make_job, kind_of, numbers, task_trait
from pcache.model import Call

AT_FDCWD = (1 << 64) - 100
"""As it stands in a notification's arguments: the 64-bit register of -100, sign-extended."""
_AT_FDCWD_32 = (1 << 32) - 100
_AT_EMPTY_PATH = 0x1000

# Indexes into the fields of /proc/PID/stat after the command name: proc(5) numbers minus 3.
STAT_FLAGS = 6
_STAT_START_TIME = 19
_STAT_START_CODE, _STAT_END_CODE, STAT_START_STACK, _STAT_START_BRK = 23, 24, 25, 44
_STAT_ARG_START, _STAT_ARG_END, _STAT_ENV_START, _STAT_ENV_END = 45, 46, 47, 48
STAT_IMAGE = (
    STAT_START_STACK,
    _STAT_START_TIME,
    _STAT_START_CODE,
    _STAT_END_CODE,
    _STAT_START_BRK,
)
"""What stays the same while one image runs, and differs for the next image of the process."""

_PAGE = 4096
_READ_AHEAD = 4 * _PAGE
_LONGEST_STRING = 32 * _PAGE
"""MAX_ARG_STRLEN: longer ones make execve fail with E2BIG."""
_MOST_POINTERS = 1 << 20
_DELETED = b" (deleted)"
_CLOSE_ON_EXEC = 0o2000000
_NULL_DEVICE = os.makedev(1, 3)

_MOUNT_NAMESPACE = os.readlink(b"/proc/self/ns/mnt")
"""Ours."""


class Unreadable(Exception):
    """The task is not one that we may decide about: it runs as if pcache were not there."""


class Task:
    """A blocked task whose execution is decided."""

    __slots__ = ("_status", "call", "fds", "ip", "tgid", "tid")

    def __init__(
        self, tid: int, tgid: int, call: Call, fds: TaskFds, ip: int | None, status: bytes
    ) -> None:
        """`status`: the content of its /proc/PID/status."""
        self.tid = tid
        self.tgid = tgid
        self.call = call
        self.fds = fds
        self._status = status
        self.ip = ip
        """Where the first system call of the new image returns to; None: the execve is to come."""

    @property
    def before_exec(self) -> bool:
        """Whether the execve is still to come, and others may wait for it."""
        return self.ip is None

    def check_inherited(self) -> None:
        """Raise Unreadable if paths mean other files to the task than to us, or if it was handed
        down something that no call tells of.

        For hits only: what is looked up by mistake before costs nothing but time.
        """
        directory = b"/proc/%d/" % self.tid
        if os.readlink(directory + b"root") != b"/":
            raise Unreadable("another root")
        if os.readlink(directory + b"ns/mnt") != _MOUNT_NAMESPACE:
            raise Unreadable("another mount namespace")
        difference = Inherited.difference(directory, self._status)
        if difference:
            raise Unreadable(difference)


class Process:
    """One task under /proc.  All methods raise OSError when it goes away, or Unreadable."""

    def __init__(self, tid: int) -> None:
        self._tid = tid
        self._dir = b"/proc/%d/" % tid

    def stat(self) -> list[bytes]:
        """The fields of /proc/PID/stat after the command name."""
        text = self._read(b"stat")
        return text[text.rindex(b")") + 2 :].split()

    def auxiliary_vector(self) -> bytes:
        """What the kernel told the loader (getauxval(3))."""
        return self._read(b"auxv")

    def strings(self, stat: list[bytes]) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        """Arguments and environment that the image was given."""
        start, argv_end = int(stat[_STAT_ARG_START]), int(stat[_STAT_ARG_END])
        env_start, end = int(stat[_STAT_ENV_START]), int(stat[_STAT_ENV_END])
        if not 0 < start < argv_end <= env_start <= end:
            raise Unreadable("not ours to look into")  # zeros: ptrace access denied
        strings = self._memory(start, end - start)
        argv = tuple(strings[: argv_end - start].split(b"\0")[:-1])
        env = tuple(strings[env_start - start :].split(b"\0")[:-1])
        return argv, env

    def image(self, argv: tuple[bytes, ...], env: tuple[bytes, ...], ip: int) -> Task:
        """The execution whose image is at its first system call, which returns to `ip`."""
        return self._task(self._link(b"exe"), argv, env, self._link(b"cwd"), ip)

    def request(self, dirfd: int, path_at: int, argv_at: int, env_at: int, flags: int) -> Task:
        """The execution that a blocked execveat(dirfd, path, argv, env, flags) asks for."""
        if flags & ~_AT_EMPTY_PATH:
            raise Unreadable("execveat flags")
        memory = _Memory(self._tid)
        path = memory.string(path_at)
        cwd = self._link(b"cwd")
        argv = memory.strings(argv_at)
        if not argv:
            raise Unreadable("no argv[0]")
        if dirfd in (AT_FDCWD, _AT_FDCWD_32) or path.startswith(b"/"):
            executable, image_argv = image.resolve_image(path, argv, cwd)
        else:
            base = self._link(b"fd/%d" % (dirfd & 0xFFFFFFFF))
            executable, image_argv = image.resolve_image(
                base + b"/" + path if path else base, argv, cwd
            )
            if image_argv is not argv:
                raise Unreadable("script named by a descriptor")
        closing = frozenset(fd for fd in range(3) if self._closes_on_exec(fd))
        return self._task(executable, image_argv, memory.strings(env_at), cwd, None, closing)

    def _task(
        self,
        executable: bytes,
        argv: tuple[bytes, ...],
        env: tuple[bytes, ...],
        cwd: bytes,
        ip: int | None,
        closing: frozenset[int] = frozenset(),
    ) -> Task:
        """`closing`: descriptors among 0-2 that an execve to come will close."""
        status = self._read(b"status")
        if _field(status, b"\nTracerPid:\t") != b"0":
            raise Unreadable("traced")  # PTRACE_SEIZE would fail, after all effects
        uid = int(_field(status, b"\nUid:\t").split(b"\t")[1])
        gid = int(_field(status, b"\nGid:\t").split(b"\t")[1])
        if (uid, gid) != (os.geteuid(), os.getegid()):
            raise Unreadable("another user")
        umask = int(_field(status, b"\nUmask:\t"), 8)
        tgid = int(_field(status, b"\nTgid:\t"))
        fds = TaskFds(self._tid, tgid, closing, env)
        try:
            call = Call(executable, argv, env, cwd, umask, uid, gid, fds.kinds())
        except OSError:
            fds.close()
            raise
        return Task(self._tid, tgid, call, fds, ip, status)

    def _read(self, name: bytes) -> bytes:
        fd = os.open(self._dir + name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, _PAGE)
        finally:
            os.close(fd)

    def _link(self, name: bytes) -> bytes:
        target = os.readlink(self._dir + name)
        if not target.startswith(b"/") or target.endswith(_DELETED):
            raise Unreadable("deleted or unreachable")
        return target

    def _memory(self, start: int, length: int) -> bytes:
        data = syscalls.read_memory(self._tid, start, length)
        if len(data) != length:
            raise Unreadable("memory")
        return data

    def _closes_on_exec(self, fd: int) -> bool:
        try:
            info = self._read(b"fdinfo/%d" % fd)
        except FileNotFoundError:
            return False
        return bool(int(_field(b"\n" + info, b"\nflags:\t"), 8) & _CLOSE_ON_EXEC)


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
            return numbers(map(int, _field(file.read(), b"\nGroups:\t").split()))

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


class _Memory:
    """Strings and arrays in a task's memory, read in page-aligned pieces and remembered."""

    def __init__(self, tid: int) -> None:
        self._tid = tid
        self._pages: dict[int, bytes] = {}

    def string(self, address: int) -> bytes:
        parts: list[bytes] = []
        length = 0
        while length <= _LONGEST_STRING:
            piece, zero, _ = self._from(address).partition(b"\0")
            parts.append(piece)
            if zero:
                return b"".join(parts)
            length += len(piece)
            address += len(piece)
        raise Unreadable("string too long")

    def strings(self, array_at: int) -> tuple[bytes, ...]:
        """The strings of a NULL-terminated array of pointers; none for a null array."""
        found: list[bytes] = []
        while array_at and len(found) < _MOST_POINTERS:
            pointer = int.from_bytes(self._from(array_at)[:8], "little")
            if not pointer:
                break
            found.append(self.string(pointer))
            array_at += 8
        return tuple(found)

    def _from(self, address: int) -> bytes:
        """The bytes from an address to the end of its page."""
        start = address & -_PAGE
        page = self._pages.get(start)
        if page is None:
            data = syscalls.read_memory(self._tid, start, _READ_AHEAD)
            for offset in range(0, len(data), _PAGE):
                self._pages[start + offset] = data[offset : offset + _PAGE]
            page = self._pages[start]
        return page[address - start :]


def _field(text: bytes, name: bytes) -> bytes:
    """The value after `name`, which starts with a newline and ends with a tab."""
    start = text.find(name)
    if start < 0:
        raise Unreadable("no such field")
    start += len(name)
    return text[start : text.index(b"\n", start)]
