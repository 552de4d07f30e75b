"""What a program was handed down although no call tells of it: is it what the command was given?

Limits, groups, the personality, capabilities, filters and namespaces change what a program does,
but its call is the same; and so do ignored and blocked signals, which must be the usual ones for
the command too.  The recorder does not keep programs for which the tree had changed one of them
(observe/accesses/inherited.py); this is the same rule for replays.  `linux.handed_down` is the
table for both.
"""

from __future__ import annotations

import os

from pcache.enforce import syscalls
from pcache.linux import limits
from pcache.linux.handed_down import (
    COMPARED,
    COMPARED_NAMESPACES,
    session_fields,
    status_value,
)
from pcache.linux.signal_sets import UNUSUAL

_ENOUGH = 1 << 16  # none of these files is longer
_ADDR_NO_RANDOMIZE = 0x40000
_GROUPS, _AFTER_GROUPS = b"\nGroups:", b"\nNStgid:"
_FIRST, _AFTER = b"\nSigBlk:", b"\nCpus_allowed:"
"""Where in /proc/PID/status what is compared begins and ends: the groups, and all the rest."""

_NAMESPACES = tuple([(name, os.readlink(f"/proc/self/ns/{name}")) for name in COMPARED_NAMESPACES])
"""Ours, in which the command is started."""


class Inherited:
    """Compares tasks with the command, or with this process where that was given the same."""

    _limits = b""
    _fields: tuple[bytes, ...] = ()
    _alike = b""
    """The part of a /proc/PID/status with all that counts, as it was in a task that is as it should
    be: what one task has, most have."""
    _personality = 0

    @classmethod
    def learn(cls, command: int) -> None:
        """Take for the rule what the command has, which is about to begin.  Raises OSError."""
        cls._fields = session_fields(_read(f"/proc/{command}/status"))
        cls._alike = b""
        # Not from /proc/self, which is closed to a root that acts as somebody else.
        cls._personality = syscalls.personality()
        cls._limits = _read("/proc/self/limits")

    @classmethod
    def difference(cls, tid: int, status: bytes) -> str:
        """What of a task is not as it is for the command; "" if all is.

        `status` is the content of its /proc/PID/status.  Raises OSError.
        """
        groups = status[status.find(_GROUPS) : status.find(_AFTER_GROUPS)]
        part = groups + status[status.find(_FIRST) : status.find(_AFTER)]
        if part != cls._alike:
            fields = session_fields(status)
            if fields != cls._fields:
                return _first_difference(fields, cls._fields)
            if int(status_value(status, b"SigBlk"), 16) & UNUSUAL:
                return "signals blocked"
            cls._alike = part
        task = os.open(f"/proc/{tid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Relative to one descriptor: finding the task each time costs as much as the rest.
            if os.readlink("root", dir_fd=task) != "/":
                return "another root"
            for name, ours in _NAMESPACES:
                if os.readlink("ns/" + name, dir_fd=task) != ours:
                    return f"another namespace ({name})"
            theirs = _read("limits", task)
            if theirs != cls._limits and _restricted(theirs, cls._limits):
                return "other limits"
            personality = int(_read("personality", task), 16)
        finally:
            os.close(task)
        if (personality ^ cls._personality) & ~_ADDR_NO_RANDOMIZE:
            return "another personality"
        return ""


def _read(path: str, directory: int | None = None) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.read(fd, _ENOUGH)
    finally:
        os.close(fd)


_TOLD_AS = {b"Cap": "other capabilities", b"Gro": "other groups"}


def _first_difference(theirs: tuple[bytes, ...], ours: tuple[bytes, ...]) -> str:
    for name, value, own in zip(COMPARED, theirs, ours, strict=True):
        if value != own:
            return _TOLD_AS.get(name[:3], f"another {name.decode()}")
    return ""


def _restricted(theirs: bytes, ours: bytes) -> bool:
    """Whether a soft limit that programs may notice is not ours."""
    pairs = zip(limits.parse(theirs), limits.parse(ours), strict=True)
    return any(
        soft != own and soft < limits.AMPLE.get(number, limits.NONE)
        for number, ((soft, _), (own, _)) in enumerate(pairs)
    )
