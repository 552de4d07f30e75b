"""What a program was handed down although no call tells of it: is it what the command was given?

Limits, the personality and capabilities change what a program does, but its call is the same; and
so do ignored and blocked signals, which must be the usual ones for the command too.  The recorder
does not keep programs for which the tree had changed one of them (observe/accesses/heirlooms.py);
this is the same rule for replays.
"""

from __future__ import annotations

import os

from pcache.enforce import syscalls
from pcache.signalsets import UNUSUAL

_STATUS_FIELDS = (b"\nCapBnd:", b"\nCapAmb:", b"\nCapInh:")
_BLOCKED, _IGNORED = b"\nSigBlk:\t", b"\nSigIgn:\t"
_UNLIMITED = 1 << 64
_AMPLE = {b"Max stack size": 1 << 20, b"Max open files": 256, b"Max core file size": 0}
"""As in the recorder: down to which value no program is taken to notice."""
_ENOUGH = 1 << 16  # none of these files is longer
_NAME_WIDTH = 26  # proc_pid_limits(), fs/proc/base.c
_ADDR_NO_RANDOMIZE = 0x40000


class Heirlooms:
    """Compares tasks with this process, whose heirlooms the command was given."""

    _limits = b""
    _fields: tuple[bytes, ...] = ()
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
        if (_mask(status, _IGNORED) | _mask(status, _BLOCKED)) & UNUSUAL:
            return "signals ignored or blocked"
        limits = _read(directory + b"limits")
        if limits != cls._limits and _restricted(limits, cls._limits):
            return "other limits"
        personality = int(_read(directory + b"personality"), 16)
        if (personality ^ cls._personality) & ~_ADDR_NO_RANDOMIZE:
            return "another personality"
        return ""

    @classmethod
    def _learn(cls) -> None:
        status = _read(b"/proc/self/status")
        cls._fields = tuple(_line(status, name) for name in _STATUS_FIELDS)
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
    for one, other in zip(theirs.splitlines()[1:], ours.splitlines()[1:], strict=True):
        name = one[:_NAME_WIDTH].rstrip()
        soft, own = _soft(one), _soft(other)
        if soft != own and soft < _AMPLE.get(name, _UNLIMITED):
            return True
    return False


def _soft(line: bytes) -> int:
    value = line[_NAME_WIDTH:].split(None, 1)[0]
    return _UNLIMITED if value == b"unlimited" else int(value)
