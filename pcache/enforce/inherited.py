"""What a program was handed down although no call tells of it: is it what the command was given?

Limits, groups, the personality and capabilities change what a program does, but its call is the
same; and so do ignored and blocked signals, which must be the usual ones for the command too.  The
recorder does not keep programs for which the tree had changed one of them
(observe/accesses/inherited.py); this is the same rule for replays.
"""

from __future__ import annotations

import os

from pcache.enforce import syscalls
from pcache.linux import limits
from pcache.linux.signal_sets import UNUSUAL

_STATUS_FIELDS = (b"\nCapBnd:", b"\nCapAmb:", b"\nCapInh:")
_GROUPS = b"\nGroups:"
_BLOCKED, _IGNORED = b"\nSigBlk:\t", b"\nSigIgn:\t"
_ENOUGH = 1 << 16  # none of these files is longer
_ADDR_NO_RANDOMIZE = 0x40000


class Inherited:
    """Compares tasks with this process, whose attributes the command was given."""

    _limits = b""
    _fields: tuple[bytes, ...] = ()
    _groups = b""
    _personality = 0

    @classmethod
    def difference(cls, directory: bytes, status: bytes) -> str:
        """What of the task under `directory` (/proc/PID/) is not as it is here; "" if all is.

        `status` is the content of its file of that name.  Raises OSError.
        """
        if not cls._limits:
            cls._learn()
        if tuple(_line(status, name) for name in _STATUS_FIELDS) != cls._fields:
            return "other capabilities"
        if _line(status, _GROUPS) != cls._groups:
            return "other groups"
        if (_mask(status, _IGNORED) | _mask(status, _BLOCKED)) & UNUSUAL:
            return "signals ignored or blocked"
        theirs = _read(directory + b"limits")
        if theirs != cls._limits and _restricted(theirs, cls._limits):
            return "other limits"
        personality = int(_read(directory + b"personality"), 16)
        if (personality ^ cls._personality) & ~_ADDR_NO_RANDOMIZE:
            return "another personality"
        return ""

    @classmethod
    def _learn(cls) -> None:
        status = _read(b"/proc/self/status")
        cls._fields = tuple(_line(status, name) for name in _STATUS_FIELDS)
        cls._groups = _line(status, _GROUPS)  # in ascending order: groups_sort(), kernel/groups.c
        # Not from /proc/self, which is closed to a root that acts as somebody else.
        cls._personality = syscalls.personality()
        cls._limits = _read(b"/proc/self/limits")


def _read(path: bytes) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _ENOUGH)
    finally:
        os.close(fd)


def _line(status: bytes, name: bytes) -> bytes:
    start = status.find(name)
    return status[start : status.find(b"\n", start + 1)] if start >= 0 else b""


def _mask(status: bytes, name: bytes) -> int:
    return int(_line(status, name)[len(name) :] or b"0", 16)


def _restricted(theirs: bytes, ours: bytes) -> bool:
    """Whether a soft limit that programs may notice is not ours."""
    pairs = zip(limits.soft_limits(theirs), limits.soft_limits(ours), strict=True)
    return any(
        soft != own and soft < limits.AMPLE.get(number, limits.NONE)
        for number, (soft, own) in enumerate(pairs)
    )
