"""Reading a blocked task: what it is about to run.

A tid can be reused while we read, so nothing that is read here may be believed before
`Listener.valid` has confirmed that the same task still waits.  What is read belongs to a blocked
task and cannot change, except for memory shared with a running thread (an execve only).
"""

from __future__ import annotations

import os

from pcache.enforce import syscalls
from pcache.enforce.inherited import Inherited
from pcache.enforce.task_descriptors import TaskFds
from pcache.enforce.task_memory import LONGEST_FILENAME, PAGE, Memory, Unreadable, status_field
from pcache.linux import image
from pcache.linux.signal_sets import TOLD
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

_DELETED = b" (deleted)"


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
        difference = Inherited.difference(self.tid, self._status)
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

    def start_time(self) -> bytes:
        """When the process began: which of all that have had its number it is."""
        return self.stat()[_STAT_START_TIME]

    def tgid(self) -> int:
        return int(status_field(self._read(b"status"), b"\nTgid:\t"))

    def auxiliary_vector(self) -> bytes:
        """What the kernel told the loader (getauxval(3))."""
        return self._read(b"auxv")

    def strings(self, stat: list[bytes]) -> tuple[tuple[bytes, ...], tuple[bytes, ...], bytes]:
        """Arguments, environment and file name that the image was given."""
        start, argv_end = int(stat[_STAT_ARG_START]), int(stat[_STAT_ARG_END])
        env_start, end = int(stat[_STAT_ENV_START]), int(stat[_STAT_ENV_END])
        if not 0 < start < argv_end <= env_start <= end:
            raise Unreadable("not ours to look into")  # zeros: ptrace access denied
        # The file name comes next, then the stack ends (fs/exec.c: bprm->exec).
        data = syscalls.read_memory(self._tid, start, end - start + LONGEST_FILENAME)
        filename, zero, _ = data[end - start :].partition(b"\0")
        if not zero:
            raise Unreadable("memory")
        argv = tuple(data[: argv_end - start].split(b"\0")[:-1])
        env = tuple(data[env_start - start : end - start].split(b"\0")[:-1])
        return argv, env, filename

    def image(
        self, argv: tuple[bytes, ...], env: tuple[bytes, ...], filename: bytes, ip: int
    ) -> Task:
        """The execution whose image is at its first system call, which returns to `ip`."""
        return self._task(self._link(b"exe"), argv, env, self._link(b"cwd"), filename, ip)

    def request(self, dirfd: int, path_at: int, argv_at: int, env_at: int, flags: int) -> Task:
        """The execution that a blocked execveat(dirfd, path, argv, env, flags) asks for."""
        if flags & ~_AT_EMPTY_PATH:
            raise Unreadable("execveat flags")
        memory = Memory(self._tid)
        path = memory.string(path_at)
        cwd = self._link(b"cwd")
        argv = memory.strings(argv_at)
        if not argv:
            raise Unreadable("no argv[0]")
        filename = path
        if dirfd in (AT_FDCWD, _AT_FDCWD_32) or path.startswith(b"/"):
            executable, image_argv = image.resolve_image(path, argv, cwd)
        else:
            # fs/exec.c: alloc_bprm
            filename = b"/dev/fd/%d" % (dirfd & 0xFFFFFFFF) + (b"/" + path if path else b"")
            base = self._link(b"fd/%d" % (dirfd & 0xFFFFFFFF))
            executable, image_argv = image.resolve_image(
                base + b"/" + path if path else base, argv, cwd
            )
            if image_argv is not argv:
                raise Unreadable("script named by a descriptor")
        return self._task(executable, image_argv, memory.strings(env_at), cwd, filename, None)

    def _task(
        self,
        executable: bytes,
        argv: tuple[bytes, ...],
        env: tuple[bytes, ...],
        cwd: bytes,
        filename: bytes,
        ip: int | None,
    ) -> Task:
        status = self._read(b"status")
        if status_field(status, b"\nTracerPid:\t") != b"0":
            raise Unreadable("traced")  # PTRACE_SEIZE would fail, after all effects
        # Real, effective, saved, and of file systems: those of the command are all one.
        uids = set(status_field(status, b"\nUid:\t").split(b"\t"))
        gids = set(status_field(status, b"\nGid:\t").split(b"\t"))
        uid, gid = os.geteuid(), os.getegid()
        if uids != {b"%d" % uid} or gids != {b"%d" % gid}:
            raise Unreadable("another user")
        umask = int(status_field(status, b"\nUmask:\t"), 8)
        ignored = int(status_field(status, b"\nSigIgn:\t"), 16) & TOLD
        tgid = int(status_field(status, b"\nTgid:\t"))
        fds = TaskFds(self._tid, tgid, ip is None, env)
        try:
            kinds = fds.kinds()
            call = Call(executable, argv, env, cwd, umask, uid, gid, kinds, ignored, filename)
        except OSError:
            fds.close()
            raise
        return Task(self._tid, tgid, call, fds, ip, status)

    def _read(self, name: bytes) -> bytes:
        fd = os.open(self._dir + name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, PAGE)
        finally:
            os.close(fd)

    def _link(self, name: bytes) -> bytes:
        target = os.readlink(self._dir + name)
        if not target.startswith(b"/") or target.endswith(_DELETED):
            raise Unreadable("deleted or unreachable")
        return target
