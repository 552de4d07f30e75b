"""Which control groups there are room for, and where they are mounted."""

from __future__ import annotations

import contextlib

from xxhash import xxh3_128_digest

from pcache.codec import join

_TYPES = (b"cgroup", b"cgroup2")


def cgroups_value() -> bytes:
    """Value of CGROUPS now: proc(5), /proc/PID/mountinfo and /proc/cgroups without the numbers of
    mounts and of groups.  Raises OSError."""
    found = []
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            mount, _, system = line.partition(b" - ")
            if system.split(b" ", 1)[0] in _TYPES:
                found += [*mount.split(b" ")[3:6], system]
    with contextlib.suppress(FileNotFoundError), open("/proc/cgroups", "rb") as file:
        for line in file:
            name, hierarchy, _, enabled = line.split(b"\t")
            found += [name, hierarchy, enabled]
    return b"G" + xxh3_128_digest(join(found))
