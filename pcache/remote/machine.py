"""What of a machine decides what programs do, though they need not ask the kernel for it."""

from __future__ import annotations

import os

from pcache.settings.rules import matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_FIELDS = (
    *(b"vendor_id", b"cpu family", b"model", b"model name", b"stepping", b"flags"),
    *(b"cpuid level", b"clflush size", b"cache size", b"address sizes"),
    *(b"CPU implementer", b"CPU architecture", b"CPU variant", b"CPU part", b"Features"),
)
"""Of /proc/cpuinfo (x86: arch/x86/kernel/cpu/proc.c, arm64: arch/arm64/kernel/cpuinfo.c).

All of it is what CPUID says.  How many processors there are is left out, though CPUID tells it: who
goes by that asks the kernel (the trait of affinity, files in /sys).
"""
_CPUINFO = "/proc/cpuinfo"
_CACHES = "/sys/devices/system/cpu/cpu0/cache"
"""The sizes of caches are CPUID's, too: gcc -march=native makes options of them."""
_HWCAP2, _MINSIGSTKSZ = 26, 51
"""Of the auxiliary vector (getauxval(3)): what the kernel tells of the processor unasked, besides
AT_HWCAP, which is among the flags."""
_WORD = 8
_NAME = b"model name"


class Machine:
    """`processor` tells those apart on which CPUID, or its like, says something else."""

    def __init__(self) -> None:
        found: dict[bytes, set[bytes]] = {}
        with open(_CPUINFO, "rb") as file:
            for line in file:
                name, _, value = line.partition(b":")
                name = name.strip()
                if name in _FIELDS:  # of each kind of core there is
                    found.setdefault(name, set()).add(b" ".join(sorted(value.split())))
        parts = [(name, b", ".join(sorted(found[name]))) for name in _FIELDS if name in found]
        self.name = dict(parts).get(_NAME, b"")
        """For people."""
        self.kind = b"%b %d" % (os.fsencode(os.uname().machine), os.sysconf("SC_PAGESIZE"))
        self.processor = b"\n".join(
            [*(b"%b: %b" % pair for pair in parts), b"caches: " + _caches(), _capabilities()]
        )

    def identity(self, portable: Iterable[bytes], executable: bytes) -> bytes:
        """What a call of a program has of the machine in its name."""
        name = executable.rpartition(b"/")[2]
        for pattern in portable:
            if matches(pattern, executable if b"/" in pattern else name):
                return self.kind
        return self.kind + b"\n" + self.processor


def _caches() -> bytes:
    found = []
    try:
        for name in sorted(os.listdir(_CACHES)):
            if name.startswith("index"):
                with open(f"{_CACHES}/{name}/size", "rb") as file:
                    found.append(file.read().strip())
    except OSError:
        pass  # a machine that does not tell is one more kind
    return b" ".join(found)


def _capabilities() -> bytes:
    """Those of this process, which every program of this architecture is given."""
    try:
        with open("/proc/self/auxv", "rb") as file:
            data = file.read()
    except OSError:  # who gave up root's ids may not; ctypes is slow
        import ctypes

        getauxval = ctypes.CDLL(None).getauxval
        getauxval.restype, getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
        return _told(getauxval)
    numbers = [int.from_bytes(data[at : at + _WORD], "little") for at in range(0, len(data), _WORD)]
    given = dict(zip(numbers[::2], numbers[1::2], strict=False))
    return _told(lambda what: given.get(what, 0))


def _told(value: Callable[[int], int]) -> bytes:
    return b"given: %x %d" % (value(_HWCAP2), value(_MINSIGSTKSZ))
