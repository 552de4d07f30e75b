"""Signals without the `signal` module, whose enumerations cost as much as a cached command."""

from __future__ import annotations

import os
from _signal import (
    SIG_BLOCK,
    SIG_DFL,
    SIG_IGN,
    SIG_SETMASK,
    SIG_UNBLOCK,
    getsignal,
    pthread_sigmask,
    sigpending,
)
from _signal import (
    signal as _signal,
)
from struct import Struct

from pcache.enforce import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

HUP, INT, QUIT, KILL, USR1, USR2, PIPE, TERM = 1, 2, 3, 9, 10, 12, 13, 15
CHLD, TSTP, TTIN, TTOU, XFSZ = 17, 20, 21, 22, 25
_STOP = 19

FORWARDED = (HUP, INT, QUIT, USR1, USR2, TERM)
"""What a user sends to a command by sending it to us."""
_SI_KERNEL = 0x80
_INFO = Struct("=IiiII108x")
"""struct signalfd_siginfo: signo, errno, code, pid, uid, and what we do not need."""


def ignore(signals: Iterable[int]) -> None:
    """From now on nothing happens when they come."""
    for signal in signals:
        _signal(signal, SIG_IGN)


def restore(signals: Iterable[int]) -> None:
    """Back to the kernel's default action."""
    for signal in signals:
        _signal(signal, SIG_DFL)


def block(signals: Collection[int]) -> set[int]:
    """Signals wait from now on, until a `Pending` reads them; the mask as it was before."""
    return set(pthread_sigmask(SIG_BLOCK, signals))


def came_early() -> bool:
    """Whether one that was to be passed on has come when there was no command yet that could heed
    it: it would have ended there and then, and so do we when it is let in again."""
    return any(getsignal(number) != SIG_IGN for number in sigpending().intersection(FORWARDED))


def set_mask(mask: Collection[int]) -> None:
    """Undo `block`; a child does so before it executes anything."""
    pthread_sigmask(SIG_SETMASK, mask)


def handled(signals: Iterable[int]) -> list[int]:
    """Those that are not ignored, as SIGHUP is under nohup(1): to be ignored is inherited."""
    return [signal for signal in signals if getsignal(signal) != SIG_IGN]


class Pending:
    """Reads blocked signals from a descriptor (signalfd(2)), with where each came from."""

    def __init__(self, signals: Collection[int]) -> None:
        self.fd = syscalls.signal_descriptor(signals)

    def read(self) -> Iterator[tuple[int, bool]]:
        """(signal, whether the kernel sent it) for each that came."""
        try:
            data = os.read(self.fd, 32 * _INFO.size)
        except BlockingIOError:
            return
        for number, _, code, _, _ in _INFO.iter_unpack(data):
            yield number, code == _SI_KERNEL

    def close(self) -> None:
        os.close(self.fd)


def to_pass_on(signal: int, by_kernel: bool, to_group: bool) -> bool:
    """Whether a signal that came to us is one that the command did not get.

    What the kernel sends (Ctrl-C, a terminal that hangs up) goes to the whole foreground group,
    which the command is in unless it left it, as it would have without us.  Only the leader of a
    session is sent SIGHUP alone.  `to_group`: it was for our whole process group, as the sentinel
    says.
    """
    return not to_group and (not by_kernel or (signal == HUP and os.getsid(0) == os.getpid()))


def die_by(signal: int) -> None:
    """End this process by a signal, so that whoever waits for it sees that.

    A shell stops its loop on Ctrl-C only if the command died by SIGINT.  Returns only if the
    signal does not kill.
    """
    if signal not in (KILL, _STOP):
        _signal(signal, SIG_DFL)
        pthread_sigmask(SIG_UNBLOCK, (signal,))
    os.kill(os.getpid(), signal)
