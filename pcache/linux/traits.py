"""What a process was handed down besides its descriptors, as values of facts of kind TRAIT."""

from __future__ import annotations

import os

from pcache.linux import limits, signal_sets
from pcache.linux.handed_down import status_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

LEADER = b"leader"
"""Whether it leads its process group and session: OWN, or PARENT if its parent does, or OTHER."""
CHILDREN = b"children"
"""Whether it has children from before its program began."""
AFFINITY, GROUPS, POLICY, PRIORITY = b"affinity", b"groups", b"policy", b"priority"
TERMINAL = b"terminal"
"""Whether it has one: NO_TERMINAL if not."""
NO_TERMINAL = b"none"
"""Value of TERMINAL where a process has no controlling terminal."""
FILES = frozenset(
    (
        *(b"oom_adj", b"oom_score_adj", b"loginuid", b"sessionid", b"cpuset", b"personality"),
        *(b"autogroup", b"coredump_filter", b"timerslack_ns"),
    )
)
"""Files in /proc/PID that tell what was handed down and nothing else."""
_FILE = b"file "
OWN, PARENT, OTHER = b"own", b"parent", b"other"
YES, NO = b"1", b"0"


def file(name: bytes) -> bytes:
    """The trait that one of FILES tells."""
    return _FILE + name


def value(name: bytes, tid: int, tgid: int) -> bytes:
    """Value of a trait of a task that has not begun yet.  Raises OSError."""
    if name == LEADER:
        return b" ".join([_leader(tgid, of(tgid)) for of in (os.getpgid, os.getsid)])
    if name == CHILDREN:
        with open(b"/proc/%d/task/%d/children" % (tgid, tid), "rb", buffering=0) as file:
            return YES if file.read(1) else NO
    number = signal_sets.trait_number(name)
    if number is not None:
        status = _status(tid)
        ignored, blocked = (int(status_value(status, field), 16) for field in _MASKS)
        return signal_sets.trait_value(number, ignored, blocked)
    if name == GROUPS:
        return numbers(map(int, status_value(_status(tid), b"Groups").split()))
    return _of_any(name, tid)


def value_here(name: bytes) -> bytes:
    """The same of the command that this process starts: a child of ours, and in our group."""
    if name == LEADER:
        return b" ".join((OTHER, OTHER))
    if name == CHILDREN:
        return NO
    number = signal_sets.trait_number(name)
    if number is not None:
        return signal_sets.trait_here(number)
    if name == GROUPS:
        return numbers(os.getgroups())
    return _of_any(name, 0)


_MASKS = (b"SigIgn", b"SigBlk")


def _leader(tgid: int, leader: int) -> bytes:
    if leader == tgid:
        return OWN
    if leader in (os.getpgrp(), os.getsid(0), os.getpid()):
        return OTHER  # those of our caller
    return PARENT if leader == int(status_value(_status(tgid), b"PPid")) else OTHER


def _of_any(name: bytes, tid: int) -> bytes:
    """Of those that are asked for in the same way of a task and of this process, which is 0."""
    if name == AFFINITY:
        return numbers(os.sched_getaffinity(tid))
    if name == POLICY:
        return b"%d %d" % (os.sched_getscheduler(tid), os.sched_getparam(tid).sched_priority)
    if name == PRIORITY:
        return b"%d" % os.getpriority(os.PRIO_PROCESS, tid)
    if name == TERMINAL:
        return NO_TERMINAL if _terminal(tid) == 0 else b"some"
    if name.startswith(_FILE):
        return _content(b"/proc/%b/%b" % (b"%d" % tid if tid else b"self", name[len(_FILE) :]))
    return limits.trait_value(name, tid)


def _content(path: bytes) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def _terminal(tid: int) -> int:
    """The device number of a task's controlling terminal, 0 for none.  Raises OSError."""
    fields = _content(b"/proc/%d/stat" % (tid or os.getpid())).rpartition(b")")[2].split()
    return int(fields[4])  # tty_nr: proc(5), the seventh of all


def _status(tid: int) -> bytes:
    return _content(b"/proc/%d/status" % tid)


def numbers(found: Iterable[int]) -> bytes:
    """As they stand in the value of a trait."""
    return b" ".join([b"%d" % number for number in sorted(found)])
