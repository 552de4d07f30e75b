"""Deaths that leave a core dump, which no record can bring back."""

from __future__ import annotations

_SIGNALS = frozenset((3, 4, 5, 6, 7, 8, 11, 24, 25, 31))
"""signal(7): those whose default action is `Core`."""


def would_dump(status: int, pid: int) -> bool:
    """Whether a process (0: ourselves) that ends with this wait status would leave a core dump.

    A program that did so is never recorded; this one may have ended where core dumps were off, and
    be replayed where they are on.  Raises OSError for a process that is not ours to ask.
    """
    if status & 0x7F not in _SIGNALS:
        return False
    import resource

    return resource.prlimit(pid, resource.RLIMIT_CORE)[0] != 0
