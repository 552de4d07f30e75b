"""The system calls Python has no function for, by ctypes.  x86-64 numbers throughout.

Every function raises OSError.  The library handle is a PyDLL: the calls are short, and keeping
the interpreter lock saves two lock operations a call.
"""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pcache.enforce.notify import Notification

_libc = ctypes.PyDLL(None, use_errno=True)
_long = ctypes.c_long

_syscall = _libc["syscall"]
_syscall.restype = _long
_syscall.argtypes = (_long, _long, _long, _long, _long, _long, _long)

_ptrace = _libc["ptrace"]
_ptrace.restype = _long
_ptrace.argtypes = (_long, _long, _long, _long)

SYS_ALARM = 37
SYS_SETITIMER = 38
SYS_EXECVE = 59
SYS_PRCTL = 157
SYS_ARCH_PRCTL = 158
SYS_EXECVEAT = 322
SYS_LANDLOCK_RESTRICT_SELF = 446
_SYS_TKILL = 200
_SYS_TEE = 276
_SYS_SIGNALFD4 = 289
_SYS_PROCESS_VM_READV = 310
_SYS_PROCESS_VM_WRITEV = 311
_SYS_KCMP = 312
_SYS_PERSONALITY = 135
_SYS_SECCOMP = 317
_SYS_PIDFD_OPEN = 434
_SYS_PIDFD_GETFD = 438
_SYS_PRLIMIT64 = 302

_SECCOMP_SET_MODE_FILTER = 1
FILTER_NEW_LISTENER = 1 << 3
FILTER_WAIT_KILLABLE_RECV = 1 << 5
"""Linux 5.19: once received, only a fatal signal ends the wait for the answer."""

HANDSHAKE = 0x70636163
"""An option of prctl(2) that no kernel has: whoever asks for it under our filter gets it back."""
UNSEEN_RESTRICTIONS = (26, 65)
"""PR_SET_TSC, PR_SET_MDWE (linux/prctl.h): instructions and mappings fail from then on."""
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_RLIMIT_CORE = 4
_RLIMIT_NOFILE = 7
_KCMP_FILE = 0
_ADDR_NO_RANDOMIZE = 0x0040000
_QUERY = 0xFFFFFFFF
_SPLICE_F_NONBLOCK = 2
_PIDFD_THREAD = os.O_EXCL
_SIGCHLD = 17
_SA_NOCLDSTOP = 1
_SIGACTION_BYTES = 152
"""sizeof(struct sigaction) in x86-64 C libraries, where sa_flags is at the offset below."""
_SIGACTION_FLAGS = 136


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


class _Iovec(ctypes.Structure):
    _fields_ = (("base", _long), ("length", _long))


_SCRATCH = 1 << 14
_scratch = ctypes.create_string_buffer(_SCRATCH)
_local, _remote = _Iovec(), _Iovec()
_local_at, _remote_at = ctypes.addressof(_local), ctypes.addressof(_remote)
"""Of `read_memory`, which keeps the interpreter lock: one call at a time uses them."""


def _call(number: int, a: int, b: int = 0, c: int = 0, d: int = 0, e: int = 0) -> int:
    result: int = _syscall(number, a, b, c, d, e, 0)
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def install_filter(program: bytes, flags: int) -> int:
    """Put the BPF `program` on the calling thread and return the listener descriptor."""
    descriptor = _FilterProgram(len(program) // 8, program)
    return _call(_SYS_SECCOMP, _SECCOMP_SET_MODE_FILTER, flags, ctypes.addressof(descriptor))


def handshake() -> bool:
    """Whether a supervisor of ours, or its guardian, answers for this process."""
    try:
        return _call(SYS_PRCTL, HANDSHAKE) == HANDSHAKE
    except OSError:
        return False


def is_handshake(notification: Notification) -> bool:
    """Whether that is what a task has called."""
    return notification.nr == SYS_PRCTL and notification.args[0] == HANDSHAKE


def set_no_new_privs() -> None:
    """Give up privileges from setuid programs, as seccomp(2) asks of unprivileged callers."""
    _call(SYS_PRCTL, _PR_SET_NO_NEW_PRIVS, 1)


def become_subreaper() -> None:
    """Orphans of our tree become our children: they stay ours to trace under Yama."""
    _call(SYS_PRCTL, _PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """This process is killed when the thread that forked it ends; also after an execve(2)."""
    _call(SYS_PRCTL, _PR_SET_PDEATHSIG, _SIGKILL)


def signal_descriptor(signals: Iterable[int]) -> int:
    """A non-blocking signalfd(2) for blocked signals."""
    mask = ctypes.c_uint64(sum(1 << (signal - 1) for signal in signals))
    flags = os.O_NONBLOCK | os.O_CLOEXEC
    return _call(_SYS_SIGNALFD4, -1, ctypes.addressof(mask), ctypes.sizeof(mask), flags)


def set_name(name: bytes) -> None:
    """The name ps(1) shows for the calling thread, at most 15 bytes."""
    text = ctypes.create_string_buffer(name)
    _call(SYS_PRCTL, _PR_SET_NAME, ctypes.addressof(text))


def take_name(name: bytes) -> None:
    """The same for what is to be recorded, by the name the recorder gave; empty: by none.

    Where that is refused the command runs all the same, and nobody records it.
    """
    if name:
        try:
            set_name(name)
        except OSError:
            return


def ptrace(request: int, tid: int, address: int = 0, data: int = 0) -> None:
    """ptrace(2), for the requests that return nothing but success."""
    if _ptrace(request, tid, address, data) == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def tkill(tid: int, signal: int) -> None:
    """Send `signal` to one thread."""
    _call(_SYS_TKILL, tid, signal)


def pidfd_of_thread(tid: int) -> int:
    """A pidfd for any thread (Linux 6.9); EINVAL where the kernel knows only group leaders."""
    return _call(_SYS_PIDFD_OPEN, tid, _PIDFD_THREAD)


def pidfd_getfd(pidfd: int, fd: int) -> int:
    """A descriptor of ours (close-on-exec) for the open file behind `fd` of another task."""
    return _call(_SYS_PIDFD_GETFD, pidfd, fd)


def same_file(tid: int, fd1: int, fd2: int) -> bool:
    """Whether two descriptors of a task share one open file description (kcmp(2))."""
    return _call(_SYS_KCMP, tid, tid, _KCMP_FILE, fd1, fd2) == 0


def tee(pipe: int, into: int, length: int) -> int:
    """Copy up to `length` bytes from one pipe to another and leave them there (tee(2)); how many.

    Never waits."""
    return _call(_SYS_TEE, pipe, into, length, _SPLICE_F_NONBLOCK)


def read_memory(tid: int, address: int, length: int) -> bytes:
    """Up to `length` bytes of a task's memory; fewer where the mapping ends."""
    buffer = _scratch if length <= _SCRATCH else ctypes.create_string_buffer(length)
    _local.base, _local.length = ctypes.addressof(buffer), length
    _remote.base, _remote.length = address, length
    count = _call(_SYS_PROCESS_VM_READV, tid, _local_at, 1, _remote_at, 1)
    return ctypes.string_at(buffer, count)


def write_memory(tid: int, address: int, data: bytes) -> int:
    """Write into a task's memory; the number of bytes that went."""
    buffer = ctypes.create_string_buffer(data, len(data))
    local = _Iovec(ctypes.addressof(buffer), len(data))
    remote = _Iovec(address, len(data))
    here, there = ctypes.addressof(local), ctypes.addressof(remote)
    return _call(_SYS_PROCESS_VM_WRITEV, tid, here, 1, there, 1)


def fix_addresses() -> None:
    """No address space randomisation in what this process executes (personality(2))."""
    _call(_SYS_PERSONALITY, personality() | _ADDR_NO_RANDOMIZE)


def personality() -> int:
    """The execution domain of this thread (personality(2))."""
    return _call(_SYS_PERSONALITY, _QUERY)


def address_of(symbol: str) -> int:
    """Where a variable of the C library or its loader is in this process.

    Raises ValueError if there is none.
    """
    return ctypes.addressof(ctypes.c_char.in_dll(_libc, symbol))


def forbid_core(pid: int) -> None:
    """RLIMIT_CORE = 0 for a process (0: ourselves)."""
    limit = (ctypes.c_ulong * 2)(0, 0)
    _call(_SYS_PRLIMIT64, pid, _RLIMIT_CORE, ctypes.addressof(limit))


def raise_descriptor_limit() -> None:
    """Our own soft limit of open descriptors becomes the hard one."""
    limit = (ctypes.c_ulong * 2)()
    _call(_SYS_PRLIMIT64, 0, _RLIMIT_NOFILE, 0, ctypes.addressof(limit))
    limit[0] = limit[1]
    _call(_SYS_PRLIMIT64, 0, _RLIMIT_NOFILE, ctypes.addressof(limit))


def execve(path: bytes, argv: tuple[bytes, ...], env: tuple[bytes, ...]) -> None:
    """execve(2) with a raw environment: os.execve cannot pass duplicates or entries without `=`.

    Returns only by raising.
    """
    name = ctypes.create_string_buffer(path)
    arguments = (ctypes.c_char_p * (len(argv) + 1))(*argv, None)
    environment = (ctypes.c_char_p * (len(env) + 1))(*env, None)
    _call(
        SYS_EXECVE,
        ctypes.addressof(name),
        ctypes.addressof(arguments),
        ctypes.addressof(environment),
    )


def ignore_child_stops() -> None:
    """SA_NOCLDSTOP for SIGCHLD as it is: stops of tracees are not worth a wake-up."""
    action = ctypes.create_string_buffer(_SIGACTION_BYTES)
    flags = ctypes.c_int.from_buffer(action, _SIGACTION_FLAGS)
    for new, old in ((None, action), (action, None)):
        if _libc.sigaction(_SIGCHLD, new, old) != 0:
            raise OSError(ctypes.get_errno(), "sigaction")
        flags.value |= _SA_NOCLDSTOP
