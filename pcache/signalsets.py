"""Sets of signals as masks: bit N-1 stands for signal N, as in the kernel's sigset_t."""

from __future__ import annotations

# Not from the module `signal`, whose enumerations take long to load.
from _signal import (
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
not kept either."""

JUDGED = ~(0b11 << 31)
"""Not 32 and 33, which glibc keeps for itself: its posix_spawn(3) has programs ignore them."""
