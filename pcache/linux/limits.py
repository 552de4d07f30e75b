"""Resource limits of this process, which the command of a session is given, and what else it is
handed down that no call tells of."""

from __future__ import annotations

from pcache.linux.descriptors import numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# asm-generic/resource.h
CPU, FSIZE, DATA, STACK, CORE, RSS, NPROC, NOFILE, MEMLOCK, AS = range(10)
NONE = 1 << 64
"""Value of a limit that does not limit."""

_TOLD = (CPU, FSIZE, DATA, STACK, RSS, NOFILE, AS)
"""Those whose soft values are part of every call of a session, asked for or not.

NPROC is, only if it is tight: it follows the size of the machine's memory, and what it bounds is
how many processes the user has, whoever started them.
"""
_TIGHT_PROCESSES = 4096

AMPLE = {STACK: 1 << 20, NOFILE: 256, CORE: 0}
"""Limits that compilers and make raise or lower as a matter of course, and down to which value no
program is taken to notice, unless it asks."""

_CAPABILITIES = (b"CapInh:\t", b"CapBnd:\t", b"CapAmb:\t")
_NAME_WIDTH = 26  # proc_pid_limits(), fs/proc/base.c
_TRAIT = b"limit "

_first: list[int] = []


def soft_limits(text: bytes) -> list[int]:
    """The soft limits by number, from the content of a /proc/PID/limits (proc(5))."""
    found = []
    for line in text.splitlines()[1:]:
        value = line[_NAME_WIDTH:].split(None, 1)[0]
        found.append(NONE if value == b"unlimited" else int(value))
    return found


def given() -> list[int]:
    """The soft limits as they were when this was first called: we raise some.  Raises OSError."""
    if not _first:
        _first.extend(soft_limits(_read(b"/proc/self/limits")))
    return _first


def trait(number: int) -> bytes:
    """Name of a limit that is asked for, as the path of a fact of kind TRAIT."""
    return b"%b%d" % (_TRAIT, number)


def trait_value(name: bytes, pid: int) -> bytes:
    """Its value: the soft limit of a process, 0 for what we were given ourselves.

    Raises OSError, and ValueError for a name that `trait` did not give.
    """
    # Not prlimit(2), which is closed to a root that acts as somebody else.
    limits = soft_limits(_read(b"/proc/%d/limits" % pid)) if pid else given()
    return b"%d" % limits[int(name.removeprefix(_TRAIT))]


def tag(personality: int, groups: Iterable[int]) -> bytes:
    """What `Policy.within` is to be given: equal for sessions whose commands are handed the same.

    `personality`: see personality(2).  `groups`: the group of the command (which counts as one of
    them or not, depending on who made the process, and always grants the same) and the
    supplementary ones.  Raises OSError.
    """
    limits = given()
    parts = [b"%d" % limits[number] for number in _TOLD]
    if limits[NPROC] < _TIGHT_PROCESSES:
        parts.append(b"nproc %d" % limits[NPROC])
    if personality:
        parts.append(b"personality %x" % personality)
    status = _read(b"/proc/self/status")
    for name in _CAPABILITIES:
        start = status.find(name)
        mask = int(status[start + len(name) : status.index(b"\n", start)], 16)
        # None inherited and none out of bounds, which is how users begin, goes without saying.
        if mask and not (name == _CAPABILITIES[1] and mask & (mask + 1) == 0):
            parts.append(name + b"%x" % mask)
    parts.append(b"groups " + numbers(set(groups)))
    return b"limits " + b" ".join(parts)


def _read(path: bytes) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.readall()
