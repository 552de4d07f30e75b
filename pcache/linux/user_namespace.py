"""Owners of files as this process sees them: in a user namespace, user_namespaces(7), other numbers
than those that the kernel keeps."""

from __future__ import annotations

_IDENTICAL = [(0, 0, 0xFFFFFFFF)]
_OVERFLOW = 65534
"""What is seen of an owner who is not mapped: /proc/sys/kernel/overflowuid, unless changed."""

Map = list[tuple[int, int, int]]


def owner_maps() -> tuple[Map, Map] | None:
    """Of users and of groups (first here, first outside, how many); None where both are as they
    are outside."""
    try:
        users, groups = _read("/proc/self/uid_map"), _read("/proc/self/gid_map")
    except OSError:
        return None
    return None if users == groups == _IDENTICAL else (users, groups)


def _read(path: str) -> Map:
    with open(path) as file:
        lines = [line.split() for line in file]
    return [(int(here), int(outside), int(count)) for here, outside, count in lines]


def seen(number: int, mapped: Map) -> int:
    """A user or group of outside, as it is seen here."""
    for here, outside, count in mapped:
        if outside <= number < outside + count:
            return here + number - outside
    return _OVERFLOW
