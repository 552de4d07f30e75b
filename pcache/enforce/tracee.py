"""Exit substitution: a task that waits for our answer ends with a status of our choice.

The order of the steps matters; each was found by trying the others:

- PTRACE_INTERRUPT comes before the answer, or the -ERESTARTSYS of the answer would reach the
  program.
- One PTRACE_SETREGS turns "restart this call" into exit_group(code), so that a crash of ours at
  any moment leaves either the old program or the exit, never a mixture.
- Signals are blocked after that, so that a crash cannot leave a real program with all blocked.
- After a successful PTRACE_SEIZE every path detaches or waits: a tracee that died unreaped hides
  from its real parent, which then waits for ever.

ptrace(2) requests are accepted only from the thread that seized.
"""

from __future__ import annotations

import ctypes
import os

from pcache.enforce import syscalls
from pcache.enforce.notify import Listener
from pcache.enforce.syscalls import ptrace

_GETREGS = 12
_SETREGS = 13
_DETACH = 17
_SYSCALL = 24
_POKEDATA = 5
_SEIZE = 0x4206
_INTERRUPT = 0x4207
_SETSIGMASK = 0x420B
_EVENT_STOP = 128
_WALL = 0x40000000

# Indexes into struct user_regs_struct.
_R10, _RAX, _RDX, _RSI, _RDI, _ORIG_RAX, _RIP, _RSP = 7, 10, 12, 13, 14, 15, 16, 19
_SYS_RT_SIGACTION = 13
_SYS_EXIT_GROUP = 231
_NO_SYSCALL = 0xFFFFFFFFFFFFFFFF
_SYSCALL_LENGTH = 2
_SIGKILL = 9
_SIGSET_BYTES = 8

_registers = (ctypes.c_ulong * 27)()
_registers_at = ctypes.addressof(_registers)
_every_signal = ctypes.c_ulong(0xFFFFFFFFFFFFFFFF)
_every_signal_at = ctypes.addressof(_every_signal)


class Gone(Exception):
    """The task died, or waits no longer: there is nothing left to answer.

    `status` is its wait status if its end was collected here: a child of ours then has no other
    end to wait for.
    """

    def __init__(self, status: int | None = None) -> None:
        super().__init__(status)
        self.status = status


def stop(listener: Listener, id: int, tid: int, killable: bool) -> None:
    """Bring a task from its wait for our answer into a ptrace stop.

    `killable`: the filter was installed with WAIT_KILLABLE_RECV, so that only an answer ends the
    wait; without it PTRACE_INTERRUPT does, and the notification is gone afterwards.
    Raises Gone, or PermissionError with the task untouched: traced by another, or not ours.
    """
    try:
        ptrace(_SEIZE, tid)
    except ProcessLookupError:
        raise Gone from None
    if not listener.valid(id):
        # Whatever has this tid now is not the task we meant, and we are its tracer.
        _interrupt(tid)
        status = os.waitpid(tid, _WALL)[1]
        if not os.WIFSTOPPED(status):
            raise Gone(status)
        release(tid)
        raise Gone
    _interrupt(tid)
    if killable:
        listener.restart(id)
    status = os.waitpid(tid, _WALL)[1]
    if not os.WIFSTOPPED(status):
        raise Gone(status)


def release(tid: int) -> None:
    """Let a stopped task go on: the kernel restarts its system call, which notifies again.

    Raises Gone if it was killed meanwhile.
    """
    try:
        ptrace(_DETACH, tid)
    except OSError:
        raise Gone(_reap(tid)) from None


def finish(tid: int, status: int) -> int | None:
    """End a stopped task as wait status `status` says.

    Returns its wait status where its end had to be collected (see Gone).  Raises Gone if it was
    killed meanwhile; after anything else it is still stopped, and can be released.
    """
    signal = status & 0x7F
    try:
        if signal == _SIGKILL:
            syscalls.tkill(tid, _SIGKILL)
            return _reap(tid)
        if signal:
            _die_by(tid, signal)
        else:
            _exit(tid, status >> 8 & 0xFF)
    except ProcessLookupError:
        release(tid)
        raise Gone from None
    return None


def _exit(tid: int, code: int) -> None:
    ptrace(_GETREGS, tid, 0, _registers_at)
    _prepare(_SYS_EXIT_GROUP, code)
    ptrace(_SETREGS, tid, 0, _registers_at)
    ptrace(_SETSIGMASK, tid, _SIGSET_BYTES, _every_signal_at)
    ptrace(_DETACH, tid)


def _die_by(tid: int, signal: int) -> None:
    """Make the task run rt_sigaction(signal, SIG_DFL), then detach with the signal.

    The backstop, should the signal not kill (the init of a PID namespace), is exit_group.
    """
    ptrace(_GETREGS, tid, 0, _registers_at)
    instruction = _registers[_RIP]
    # Below the stack pointer and the 128 bytes a function may use below it; memory that is dead
    # even where a vfork child shares it with its parent.
    action = (_registers[_RSP] - 1024) & ~15
    for word in range(4):  # handler, flags, restorer, mask: all zero is SIG_DFL
        ptrace(_POKEDATA, tid, action + 8 * word, 0)
    _prepare(_SYS_RT_SIGACTION, signal, action, 0, _SIGSET_BYTES)
    ptrace(_SETREGS, tid, 0, _registers_at)
    ptrace(_SETSIGMASK, tid, _SIGSET_BYTES, _every_signal_at)
    remaining = 2  # the stops at entry and exit of rt_sigaction; a job-control stop may intervene
    while remaining:
        ptrace(_SYSCALL, tid)
        status = os.waitpid(tid, _WALL)[1]
        if not os.WIFSTOPPED(status):
            raise Gone(status)
        remaining -= status >> 16 != _EVENT_STOP
    all_but_it = ctypes.c_ulong(~(1 << (signal - 1)))
    ptrace(_SETSIGMASK, tid, _SIGSET_BYTES, ctypes.addressof(all_but_it))
    _registers[_RIP] = instruction
    _prepare(_SYS_EXIT_GROUP, 128 + signal)
    ptrace(_SETREGS, tid, 0, _registers_at)
    # In a syscall stop the kernel sends the signal itself, to the task alone.
    ptrace(_DETACH, tid, 0, signal)


def _prepare(number: int, a: int, b: int = 0, c: int = 0, d: int = 0) -> None:
    """Registers that execute the `syscall` instruction just passed once more, as another call."""
    _registers[_RAX] = number
    _registers[_RDI], _registers[_RSI], _registers[_RDX], _registers[_R10] = a, b, c, d
    _registers[_RIP] -= _SYSCALL_LENGTH
    _registers[_ORIG_RAX] = _NO_SYSCALL  # nothing for the kernel to restart


def _interrupt(tid: int) -> None:
    try:
        ptrace(_INTERRUPT, tid)
    except ProcessLookupError:
        pass  # dying: the waitpid that follows sees its end


def _reap(tid: int) -> int | None:
    try:
        return os.waitpid(tid, _WALL)[1]
    except ChildProcessError:
        return None
