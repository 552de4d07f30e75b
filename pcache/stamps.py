"""Fresh modification times for what is put in place.

The kernel stamps files with the time of its last tick, up to 10 ms ago.  A compiler takes longer
than that, so what make compares differs in plain runs; hits follow each other so fast that many
would share a tick, and their order would be lost.
"""

from __future__ import annotations

import time

_REALTIME_COARSE = 5
"""CLOCK_REALTIME_COARSE of linux/time.h: what current_time() of the kernel stamps files with."""

_NAP_S = 0.0005

_last = 0


def fresh_ns() -> int:
    """A time in the kernel's present tick, later than those given before."""
    global _last
    _last = max(_last + 1, time.clock_gettime_ns(_REALTIME_COARSE))
    return _last


def let_tick_pass() -> None:
    """Waits until the kernel's stamps are later than all fresh times given: for a program that
    runs after a hit.  At most one tick, and nothing if the tick has passed by itself."""
    while _last and time.clock_gettime_ns(_REALTIME_COARSE) <= _last:
        time.sleep(_NAP_S)
