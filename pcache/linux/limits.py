"""Resource limits of this process, which the command of a session is given, and what else it is
handed down that no call tells of."""

from __future__ import annotations

from pcache.linux.handed_down import status_value

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

_CAPABILITIES = (b"CapInh", b"CapBnd", b"CapAmb")
"""Of the fields that `handed_down` names those that say what a program begins with: the others
follow from them and the user."""
_FILTERED = (b"NoNewPrivs", b"Seccomp", b"Seccomp_filters")
_ALL_IDS = [b"0", b"0", b"4294967295"]
"""user_namespaces(7): the mapping of the first one."""
_NAME_WIDTH = 26  # proc_pid_limits(), fs/proc/base.c
_TRAIT = b"limit "

Limit = tuple[int, int]
"""Soft and hard."""

_first: list[Limit] = []


def parse(text: bytes) -> list[Limit]:
    """The limits by number, from the content of a /proc/PID/limits (proc(5))."""
    found = []
    for line in text.splitlines()[1:]:
        soft, hard = line[_NAME_WIDTH:].split(None, 2)[:2]
        found.append((_number(soft), _number(hard)))
    return found


def _number(value: bytes) -> int:
    return NONE if value == b"unlimited" else int(value)


def given() -> list[Limit]:
    """The limits as they were when this was first called: we raise some.  Raises OSError."""
    if not _first:
        _first.extend(parse(_read(b"/proc/self/limits")))
    return _first


def trait(number: int) -> bytes:
    """Name of a limit that is asked for, as the path of a fact of kind TRAIT."""
    return b"%b%d" % (_TRAIT, number)


def trait_value(name: bytes, pid: int) -> bytes:
    """Its value: soft and hard limit of a process, 0 for what we were given ourselves.

    Raises OSError, and ValueError for a name that `trait` did not give.
    """
    # Not prlimit(2), which is closed to a root that acts as somebody else.
    limits = parse(_read(b"/proc/%d/limits" % pid)) if pid else given()
    return limit_value(limits[int(name.removeprefix(_TRAIT))])


def limit_value(limit: Limit) -> bytes:
    """Value of the trait of a limit."""
    return b"%d %d" % limit


def tag(personality: int, groups: Iterable[int]) -> bytes:
    """What `Policy.within` is to be given: equal for sessions whose commands are handed the same.

    `personality`: see personality(2).  `groups`: the group of the command (which counts as one of
    them or not, depending on who made the process, and always grants the same) and the
    supplementary ones.  Raises OSError.
    """
    limits = given()
    parts = [b"%d" % limits[number][0] for number in _TOLD]
    parts.append(b"stack %d" % limits[STACK][1])
    if limits[NPROC][0] < _TIGHT_PROCESSES:
        parts.append(b"nproc %d" % limits[NPROC][0])
    if personality:
        parts.append(b"personality %x" % personality)
    status = _read(b"/proc/self/status")
    for name in _CAPABILITIES:
        mask = int(status_value(status, name), 16)
        # None inherited and none out of bounds, which is how users begin, goes without saying.
        if mask and not (name == _CAPABILITIES[1] and mask & (mask + 1) == 0):
            parts.append(b"%b %x" % (name, mask))
    parts.append(b"groups " + b" ".join([b"%d" % group for group in sorted(set(groups))]))
    for name in _FILTERED:
        value = status_value(status, name)
        if value not in (b"", b"0"):
            parts.append(name + b" " + value)
    for name in (b"uid_map", b"gid_map"):
        mapping = _read(b"/proc/self/" + name).split()
        if mapping != _ALL_IDS:
            parts.append(b" ".join((name, *mapping)))
    return b"limits " + b" ".join(parts)


def _read(path: bytes) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.readall()
