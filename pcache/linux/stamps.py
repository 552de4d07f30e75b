"""Fresh modification times for what is put in place, in order with those that the kernel gives.

What make compares must differ as in plain runs: a file put in place by a hit is newer than what was
written before, and older than what is written afterwards.  The kernel stamps files with the time
of its last tick, up to 10 ms ago, so that the clock would be ahead of it.  Since Linux 6.13 it
stamps exactly what somebody has looked at since (Documentation/filesystems/multigrain-ts.rst), so
that the last tick would be behind; but it never gives an earlier time than it gave before.  There,
a fresh time is one that the kernel gave to a file of our own (2 us).
"""

from __future__ import annotations

import os
import time

_REALTIME_COARSE = 5
"""CLOCK_REALTIME_COARSE of linux/time.h: the kernel's last tick."""

_NAP_S = 0.0005
_SECOND_NS = 1_000_000_000
RACY_NS = 20_000_000
"""A change this close to an earlier one may not show in the times: the kernel's tick is up to 10 ms
(CONFIG_HZ=100), measured to be safe from 10 ms on with 4 ms ticks."""

_last = 0
_file: int | None = None
"""Descriptor of the file that the kernel stamps; -1 where it does so by ticks alone."""


def is_coarse(ctime_ns: int) -> bool:
    """Whether a file's ctime is of a file system that keeps no fractions of a second, where all
    changes within one look the same, or within two: ext4 whose inodes have 128 bytes (mke2fs -I),
    FAT (even seconds), sshfs.

    Elsewhere one time in 10^9 is taken for such a one, which costs nothing but time.
    """
    return not ctime_ns % _SECOND_NS


def latest_ns(ctime_ns: int) -> int:
    """The latest time at which the change may have come about that a file's ctime tells of."""
    return ctime_ns + 2 * _SECOND_NS if is_coarse(ctime_ns) else ctime_ns


def lasts(ctime_ns: int, read_ns: int) -> bool:
    """Whether changes of what was read at `read_ns` (time.time_ns) are sure to show in its times,
    wherever it is."""
    return read_ns - latest_ns(ctime_ns) > RACY_NS


def fresh_ns() -> int:
    """A time between the kernel's present tick and now, later than those given before."""
    global _last
    file = _stamped()
    now = time.clock_gettime_ns(_REALTIME_COARSE) if file < 0 else _stamp(file)
    _last = max(_last + 1, now)
    return _last


def let_time_pass() -> None:
    """Makes the kernel's stamps be later than all fresh times given: for a program that runs after
    a hit.  Takes at most a tick, and next to nothing where the kernel stamps exactly."""
    if not _last:
        return
    file = _stamped()
    if file >= 0:
        _stamp(file)
        return
    while time.clock_gettime_ns(_REALTIME_COARSE) <= _last:
        time.sleep(_NAP_S)


def are_exact() -> bool:
    """Whether the kernel stamps exactly what somebody has looked at since it was last changed, on
    file systems that take part in it (EXACT of `pcache.linux.filesystems`)."""
    return _stamped() >= 0


def _stamped() -> int:
    """A file that is stamped exactly; -1 where the kernel does not, or there can be none."""
    global _file
    if _file is None:
        _file = _find_stamped()
    return _file


def _find_stamped() -> int:
    try:
        file = os.memfd_create("pcache-stamps")
        first, second, third = _stamp(file), _stamp(file), _stamp(file)
    except OSError:
        return -1
    if first < second < third:  # two ticks have not passed between three calls
        return file
    os.close(file)
    return -1


def _stamp(file: int) -> int:
    os.utime(file)
    return os.fstat(file).st_mtime_ns
