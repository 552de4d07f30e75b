"""bpf(2) by ctypes: what loading the saved recorder needs, without BCC and clang.

All functions raise OSError.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_NR_BPF = 321
_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _MAP_DELETE, _MAP_NEXT_KEY = 0, 1, 2, 3, 4
_PROG_LOAD, _OBJ_PIN, _OBJ_GET, _OBJ_INFO, _RAW_TRACEPOINT_OPEN = 5, 6, 7, 15, 17
_MAP_UPDATE_BATCH = 26
MAP_TYPE_ARRAY_OF_MAPS, MAP_TYPE_RINGBUF = 12, 27
PROG_TYPE_RAW_TRACEPOINT = 17
_ATTR_SIZE = 128
# As the SPDX headers in bpf/ have it, in the spelling that the kernel knows and takes for one that
# opens the helpers under GPL to a program (include/linux/license.h).
_LICENSE = b"Dual MIT/GPL"

_libc = ctypes.CDLL(None, use_errno=True)


_ATTEMPTS = 5
"""As libbpf: the verifier gives up with EAGAIN when a signal arrives (kernel/bpf/verifier.c)."""


def _bpf(command: int, form: str, *values: int | bytes | ctypes.Array[ctypes.c_char]) -> int:
    """`form`: of union bpf_attr, as for struct; what is not a number is passed by its address, and
    arrays are for the kernel to fill."""
    held = [
        ctypes.create_string_buffer(it, len(it)) if isinstance(it, bytes) else it for it in values
    ]
    numbers = (it if isinstance(it, int) else ctypes.addressof(it) for it in held)
    attributes = ctypes.create_string_buffer(struct.pack(f"<{form}", *numbers), _ATTR_SIZE)
    for _ in range(_ATTEMPTS):
        result = int(_libc.syscall(_NR_BPF, command, attributes, _ATTR_SIZE))
        number = ctypes.get_errno()
        if result >= 0 or number != errno.EAGAIN:
            break
    if result < 0:
        raise OSError(number, f"bpf({command}): {os.strerror(number)}")
    return result


def map_create(
    kind: int, key: int, value: int, entries: int, flags: int = 0, inner: int = 0
) -> int:
    """A new map's descriptor; sizes in bytes.  `inner`: for a map of maps, one like it holds."""
    return _bpf(_MAP_CREATE, "6I", kind, key, value, entries, flags, inner)


def map_update(fd: int, key: bytes, value: bytes) -> None:
    _bpf(_MAP_UPDATE, "IIQQQ", fd, 0, key, value, 0)


def map_update_batch(fd: int, keys: bytes, values: bytes, count: int) -> None:
    _bpf(_MAP_UPDATE_BATCH, "QQQQIIQQ", 0, 0, keys, values, count, fd, 0, 0)


def map_lookup(fd: int, key: bytes, size: int) -> bytes:
    """The value under `key`; for per-CPU maps `size` is the value's times the number of CPUs."""
    value = ctypes.create_string_buffer(size)
    _bpf(_MAP_LOOKUP, "IIQQQ", fd, 0, key, value, 0)
    return value.raw


def map_delete(fd: int, key: bytes) -> None:
    _bpf(_MAP_DELETE, "IIQ", fd, 0, key)


def map_first_key(fd: int, size: int) -> bytes | None:
    """Any key of `size` bytes that is in the map; None if it is empty."""
    key = ctypes.create_string_buffer(size)
    try:
        _bpf(_MAP_NEXT_KEY, "IIQQ", fd, 0, 0, key)
    except FileNotFoundError:
        return None
    return key.raw


def map_id(fd: int) -> int:
    """The number under which a map of maps gives it."""
    return _map_info(fd)[1]


def map_value_size(fd: int) -> int:
    """Bytes."""
    return _map_info(fd)[3]


def _map_info(fd: int) -> tuple[int, ...]:
    """Type, id, key_size, value_size: how struct bpf_map_info (linux/bpf.h) begins."""
    info = ctypes.create_string_buffer(16)
    _bpf(_OBJ_INFO, "IIQ", fd, len(info), info)
    return struct.unpack("<4I", info)


def pin(path: str, fd: int) -> None:
    """Gives a map or program a name in bpffs, by which it outlives this process."""
    _bpf(_OBJ_PIN, "QII", os.fsencode(path) + b"\0", fd, 0)


def pinned(path: str) -> int:
    """Descriptor of what was pinned there."""
    return _bpf(_OBJ_GET, "QII", os.fsencode(path) + b"\0", 0, 0)


def prog_load(instructions: bytes, name: bytes) -> int:
    """A raw tracepoint program's descriptor.  The verifier's refusal is an OSError."""
    form, license_ = "IIQQIIQII2Q", _LICENSE + b"\0"
    kind, count = PROG_TYPE_RAW_TRACEPOINT, len(instructions) // 8
    called = struct.unpack("<2Q", name[:15].ljust(16, b"\0"))
    return _bpf(_PROG_LOAD, form, kind, count, instructions, license_, 0, 0, 0, 0, 0, *called)


def raw_tracepoint_open(name: bytes, program: int) -> int:
    """Attaches a program; closing the returned descriptor detaches it."""
    return _bpf(_RAW_TRACEPOINT_OPEN, "QI", name + b"\0", program)


def possible_cpus() -> int:
    """How many values a per-CPU map lookup returns (kernel: num_possible_cpus)."""
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:
        return int(file.read().strip().split("-")[-1].split(",")[-1]) + 1
