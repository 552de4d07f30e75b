"""What stands in place of a modification time in ns that several outputs have in common.

Negative numbers below those of `pcache.model`, FRESH and NOW.
"""

from __future__ import annotations

_SHARED = -3
UNITS_NS = (1, 1_000, 1_000_000_000)
"""What times are rounded down to by programs that copy them."""


def shared_time(group: int, unit: int) -> int:
    """In place of a modification time in ns: a fresh one that all outputs of a group have in
    common, rounded down to one of UNITS_NS (its index)."""
    return _SHARED - group * len(UNITS_NS) - unit


def shared_group(mtime_ns: int) -> tuple[int, int] | None:
    """The group and unit of `shared_time`; None of any other time."""
    if mtime_ns > _SHARED:
        return None
    return divmod(_SHARED - mtime_ns, len(UNITS_NS))
