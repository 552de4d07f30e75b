"""Sets of signals as masks: bit N-1 stands for signal N, as in the kernel's sigset_t."""

from __future__ import annotations

import sys

# Not from the module `signal`, whose enumerations take long to load.
from _signal import (
    SIG_BLOCK,
    SIG_IGN,
    SIGCONT,
    SIGHUP,
    SIGINT,
    SIGPIPE,
    SIGQUIT,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    SIGURG,
    SIGWINCH,
    SIGXFSZ,
    getsignal,
    pthread_sigmask,
    valid_signals,
)

HARMLESS_TO_IGNORE = sum(
    1 << (number - 1)
    for number in (
        *(SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU),
        *(SIGURG, SIGWINCH, SIGXFSZ),
    )
)
"""Signals that shells, nohup and Python have programs ignore as a matter of course.  They come from
terminals and outsiders, which makes uncacheable whatever they reach, or of a failed write, which is
not kept either; or from within, and then it is a fact whether they were ignored or blocked."""

_OF_THE_LIBRARY = 0b11 << 31
"""32 and 33, which glibc keeps for itself: its posix_spawn(3) has programs ignore them."""

UNUSUAL = ((1 << 64) - 1) & ~(HARMLESS_TO_IGNORE | _OF_THE_LIBRARY)
"""A program that finds one of these ignored or blocked may do something else than it usually does.
That one is ignored is part of its call, that one is blocked a reason."""

TOLD: int = UNUSUAL | sum(1 << (number - 1) for number in (SIGPIPE, SIGXFSZ))
"""Signals whose being ignored is part of a call.  With SIGPIPE or SIGXFSZ, as services have them, a
program sees that a write failed, instead of ending there."""

HIDDEN_BY_PYTHON = (SIGPIPE, SIGXFSZ)
"""Signals that Python ignores from its start on, whatever it was given (pylifecycle.c,
`init_signals`)."""


def numbers(mask: int) -> list[int]:
    """Of the signals in a mask."""
    return [number for number in range(1, 65) if mask >> (number - 1) & 1]


_TRAIT = b"signal "


def trait(number: int) -> bytes | None:
    """Path of a fact of kind TRAIT: what a program was handed down for a signal that was sent to it
    or below it.  None of those that are UNUSUAL, which its call tells of."""
    return _TRAIT + b"%d" % number if HARMLESS_TO_IGNORE >> (number - 1) & 1 else None


def trait_number(name: bytes) -> int | None:
    """The number that was given to `trait`; None of the names of other traits."""
    return int(name.removeprefix(_TRAIT)) if name.startswith(_TRAIT) else None


def trait_value(number: int, ignored: int, blocked: int) -> bytes:
    """Its value, from the masks that a program begins with."""
    bit = number - 1
    return b"%d%d" % (ignored >> bit & 1, blocked >> bit & 1)


def trait_here(number: int) -> bytes:
    """Its value for the command that this process starts."""
    told = sys._xoptions.get("ignored")
    ignored = 1 << (number - 1) if told is None and getsignal(number) == SIG_IGN else 0
    if told is not None:  # by the launcher, before Python and pcache had a say
        ignored = int(str(told), 16)
    blocked = 1 << (number - 1) if number in pthread_sigmask(SIG_BLOCK, ()) else 0
    return trait_value(number, ignored, blocked)


def ignored_by_caller() -> int:
    """Those of TOLD that were ignored when this process was started, as the launcher
    (tools/launcher.c) has seen; none where there was no launcher."""
    return int(str(sys._xoptions.get("ignored", "0")), 16) & TOLD


def unusual_here() -> int:
    """Those of UNUSUAL that this process, and so the command it starts, ignores or blocks."""
    blocked = pthread_sigmask(SIG_BLOCK, ())
    return sum(
        1 << (number - 1)
        for number in valid_signals()
        if UNUSUAL >> (number - 1) & 1 and (number in blocked or getsignal(number) == SIG_IGN)
    )
