"""What of a machine decides what programs do, though they need not ask the kernel for it."""

from __future__ import annotations

import os

from pcache.settings.rules import matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_FIELDS = (
    *(b"vendor_id", b"cpu family", b"model", b"stepping", b"flags"),
    *(b"CPU implementer", b"CPU architecture", b"CPU variant", b"CPU part", b"Features"),
)
"""Of /proc/cpuinfo (x86: arch/x86/kernel/cpu/proc.c, arm64: arch/arm64/kernel/cpuinfo.c)."""
_NAME = b"model name"


class Machine:
    """`processor` tells those apart on which CPUID, or its like, says something else."""

    def __init__(self) -> None:
        found: dict[bytes, bytes] = {}
        with open("/proc/cpuinfo", "rb") as file:
            for line in file:
                name, _, value = line.partition(b":")
                found.setdefault(name.strip(), value.strip())
        self.name = found.get(_NAME, b"")
        """For people."""
        self.kind = b"%b %d" % (os.fsencode(os.uname().machine), os.sysconf("SC_PAGESIZE"))
        flags = [
            (name, b" ".join(sorted(found[name].split()))) for name in _FIELDS if name in found
        ]
        self.processor = b"\n".join([b"%b: %b" % pair for pair in flags])

    def identity(self, portable: Iterable[bytes], executable: bytes) -> bytes:
        """What a call of a program has of the machine in its name."""
        name = executable.rpartition(b"/")[2]
        for pattern in portable:
            if matches(pattern, executable if b"/" in pattern else name):
                return self.kind
        return self.kind + b"\n" + self.processor
