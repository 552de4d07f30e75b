"""Signals without the `signal` module, whose enumerations cost as much as a cached command."""

from __future__ import annotations

import os
from _signal import (
    SIG_DFL,
    SIG_IGN,
    getsignal,
    set_wakeup_fd,
)
from _signal import (
    signal as _signal,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HUP, INT, QUIT, KILL, USR1, USR2, PIPE, TERM = 1, 2, 3, 9, 10, 12, 13, 15
CHLD, TSTP, TTIN, TTOU, XFSZ = 17, 20, 21, 22, 25
_STOP = 19


def ignore(signals: Iterable[int]) -> None:
    """From now on nothing happens when they come."""
    for signal in signals:
        _signal(signal, SIG_IGN)


def restore(signals: Iterable[int]) -> None:
    """Back to the kernel's default action."""
    for signal in signals:
        _signal(signal, SIG_DFL)


def handle(signal: int, handler: Callable[[int, object], None]) -> None:
    """Call `handler(number, frame)`, unless the signal is ignored, as under nohup(1)."""
    if getsignal(signal) != SIG_IGN:
        _signal(signal, handler)


def wakeup_pipe() -> int:
    """A descriptor that becomes readable whenever a handled signal comes."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    set_wakeup_fd(write, warn_on_full_buffer=False)
    return read


def no_wakeup() -> None:
    """Ends what `wakeup_pipe` began."""
    os.close(set_wakeup_fd(-1))


def die_by(signal: int) -> None:
    """End this process by a signal, so that whoever waits for it sees that.

    A shell stops its loop on Ctrl-C only if the command died by SIGINT.  Returns only if the
    signal does not kill.
    """
    if signal not in (KILL, _STOP):
        _signal(signal, SIG_DFL)
    os.kill(os.getpid(), signal)
