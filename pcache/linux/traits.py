"""What a process was handed down besides its descriptors, as values of facts of kind TRAIT."""

from __future__ import annotations

import os

from pcache.linux import limits, signal_sets
from pcache.linux.handed_down import status_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

AFFINITY, GROUPS, POLICY, PRIORITY = b"affinity", b"groups", b"policy", b"priority"


def value(name: bytes, tid: int) -> bytes:
    """Value of a trait of a task that has not begun yet.  Raises OSError."""
    number = signal_sets.trait_number(name)
    if number is not None:
        status = _status(tid)
        ignored, blocked = (int(status_value(status, field), 16) for field in _MASKS)
        return signal_sets.trait_value(number, ignored, blocked)
    if name == GROUPS:
        return numbers(map(int, status_value(_status(tid), b"Groups").split()))
    return _of_any(name, tid)


def value_here(name: bytes) -> bytes:
    """The same of the command that this process starts."""
    number = signal_sets.trait_number(name)
    if number is not None:
        return signal_sets.trait_here(number)
    if name == GROUPS:
        return numbers(os.getgroups())
    return _of_any(name, 0)


_MASKS = (b"SigIgn", b"SigBlk")


def _of_any(name: bytes, tid: int) -> bytes:
    """Of those that are asked for in the same way of a task and of this process, which is 0."""
    if name == AFFINITY:
        return numbers(os.sched_getaffinity(tid))
    if name == POLICY:
        return b"%d %d" % (os.sched_getscheduler(tid), os.sched_getparam(tid).sched_priority)
    if name == PRIORITY:
        return b"%d" % os.getpriority(os.PRIO_PROCESS, tid)
    return limits.trait_value(name, tid)


def _status(tid: int) -> bytes:
    with open(b"/proc/%d/status" % tid, "rb", buffering=0) as file:
        return file.readall()


def numbers(found: Iterable[int]) -> bytes:
    """As they stand in the value of a trait."""
    return b" ".join([b"%d" % number for number in sorted(found)])
