"""Which rights the recorder keeps, and how it forks what is somebody else's child."""

from __future__ import annotations

import contextlib
import ctypes
import os

_libc = ctypes.PyDLL(None, use_errno=True)

_NOBODY = 65534
_CAP_PERFMON, _CAP_BPF, _LAST_CAP = 38, 39, 63
_SYS_CLONE, _SYS_CAPSET, _SYS_SECCOMP = 56, 126, 317
_CLONE_PARENT, _SIGCHLD = 0x8000, 17
_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_NAME = 4, 8, 15
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_CAPABILITY_VERSION_3 = 0x20080522
_SET_MODE_FILTER, _NEW_LISTENER, _WAIT_KILLABLE_RECV = 1, 1 << 3, 1 << 5


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def shed() -> None:
    """For good: nobody's ids, and of all capabilities those to load and attach probes.

    Raises OSError.
    """
    for capability in range(_LAST_CAP + 1):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break  # the kernel knows no more of them, or we may not
    _checked(_libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    if os.geteuid() == 0 and _is_mapped():
        os.setgroups(())
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    kept = 1 << _CAP_PERFMON - 32 | 1 << _CAP_BPF - 32
    # Effective, permitted, inheritable; then their upper halves.
    sets = (ctypes.c_uint32 * 6)(0, 0, 0, kept, kept, 0)
    _checked(_libc.syscall(_SYS_CAPSET, header, sets))
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _is_mapped() -> bool:
    """Whether there is a nobody: in a user namespace of one user there is none, and its root is
    nobody outside of it."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            ranges = [[int(word) for word in line.split()] for line in file]
    except OSError:
        return True
    return any(first <= _NOBODY < first + count for first, _, count in ranges)


def let_go(kept: list[int]) -> None:
    """Leaves the caller's session, directory and files; `kept`: what stays open."""
    if os.getpgrp() != os.getpid():
        os.setsid()
    os.chdir("/")
    null = os.open("/dev/null", os.O_RDWR)
    for fd in {0, 1, 2}.difference(kept):
        os.dup2(null, fd)
    kept = sorted({2, *kept})
    for low, high in zip(kept, [*kept[1:], 1 << 20], strict=True):
        os.closerange(low + 1, high)


def fork_sibling() -> int:
    """As os.fork(), but our parent's child: it waits for it, and may trace it under Yama.

    For a process with one thread.  The child may do little more than become another program.
    """
    return _checked(_libc.syscall(_SYS_CLONE, _CLONE_PARENT | _SIGCHLD, 0, 0, 0, 0))


def take_precedence() -> None:
    """This process has a processor whenever it has something to do, where that is permitted: what
    the kernel tells is lost if nobody takes it in time."""
    _schedule(os.SCHED_RR, 1)


def give_precedence() -> None:
    """This thread is one like any other's."""
    _schedule(os.SCHED_OTHER, 0)


def _schedule(policy: int, priority: int) -> None:
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, policy, os.sched_param(priority))


def set_name(name: bytes) -> None:
    """What ps(1) shows of this process."""
    _libc.prctl(_PR_SET_NAME, ctypes.c_char_p(name), 0, 0, 0)


def be_inspected() -> None:
    """This process may be looked into by those of its user, like one that never was root's."""
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0))


def refuse(program: bytes) -> None:
    """Puts a seccomp filter on this process.  Raises OSError."""
    _filter(program, 0)


def supervise(program: bytes) -> tuple[int, bool]:
    """Puts a seccomp filter on this process; its listener, and whether it has WAIT_KILLABLE_RECV.

    Raises OSError.
    """
    try:
        return _filter(program, _NEW_LISTENER | _WAIT_KILLABLE_RECV), True
    except OSError as error:
        if error.args[0] != 22:
            raise
    return _filter(program, _NEW_LISTENER), False


def _filter(program: bytes, flags: int) -> int:
    descriptor = _FilterProgram(len(program) // 8, program)
    result = _libc.syscall(_SYS_SECCOMP, _SET_MODE_FILTER, flags, ctypes.byref(descriptor))
    return _checked(result)
