"""bpf(2) by ctypes: what loading the saved recorder needs, without BCC and clang."""

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


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes.ljust(_ATTR_SIZE, b"\0"), _ATTR_SIZE)
    for _ in range(_ATTEMPTS):
        result = int(_libc.syscall(_NR_BPF, command, buffer, _ATTR_SIZE))
        number = ctypes.get_errno()
        if result >= 0 or number != errno.EAGAIN:
            break
    if result < 0:
        raise OSError(number, f"bpf({command}): {os.strerror(number)}")
    return result


def _address(buffer: ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.addressof(buffer)


def map_create(
    kind: int, key: int, value: int, entries: int, flags: int = 0, inner: int = 0
) -> int:
    """A new map's descriptor; sizes in bytes.  `inner`: for a map of maps, one like those it holds.

    Raises OSError, as all functions here.
    """
    return _bpf(_MAP_CREATE, struct.pack("<6I", kind, key, value, entries, flags, inner))


def map_update(fd: int, key: bytes, value: bytes) -> None:
    k = ctypes.create_string_buffer(key, len(key))
    v = ctypes.create_string_buffer(value, len(value))
    _bpf(_MAP_UPDATE, struct.pack("<IIQQQ", fd, 0, _address(k), _address(v), 0))


def map_lookup(fd: int, key: bytes, size: int) -> bytes:
    """The value under `key`; for per-CPU maps `size` is the value's times the number of CPUs."""
    k = ctypes.create_string_buffer(key, len(key))
    v = ctypes.create_string_buffer(size)
    _bpf(_MAP_LOOKUP, struct.pack("<IIQQQ", fd, 0, _address(k), _address(v), 0))
    return v.raw


def map_delete(fd: int, key: bytes) -> None:
    k = ctypes.create_string_buffer(key, len(key))
    _bpf(_MAP_DELETE, struct.pack("<IIQ", fd, 0, _address(k)))


def map_first_key(fd: int, size: int) -> bytes | None:
    """Any key of `size` bytes that is in the map; None if it is empty."""
    k = ctypes.create_string_buffer(size)
    try:
        _bpf(_MAP_NEXT_KEY, struct.pack("<IIQQ", fd, 0, 0, _address(k)))
    except FileNotFoundError:
        return None
    return k.raw


def map_id(fd: int) -> int:
    """The number under which a map of maps gives it."""
    return _map_info(fd)[1]


def map_value_size(fd: int) -> int:
    """Bytes."""
    return _map_info(fd)[3]


def _map_info(fd: int) -> tuple[int, ...]:
    """Type, id, key_size, value_size: how struct bpf_map_info (linux/bpf.h) begins."""
    info = ctypes.create_string_buffer(16)
    _bpf(_OBJ_INFO, struct.pack("<IIQ", fd, len(info), _address(info)))
    return struct.unpack("<4I", info)


def pin(path: str, fd: int) -> None:
    """Gives a map or program a name in bpffs, by which it outlives this process."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    _bpf(_OBJ_PIN, struct.pack("<QII", _address(name), fd, 0))


def pinned(path: str) -> int:
    """Descriptor of what was pinned there."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    return _bpf(_OBJ_GET, struct.pack("<QII", _address(name), 0, 0))


def map_update_batch(fd: int, keys: bytes, values: bytes, count: int) -> None:
    k = ctypes.create_string_buffer(keys, len(keys))
    v = ctypes.create_string_buffer(values, len(values))
    _bpf(
        _MAP_UPDATE_BATCH,
        struct.pack("<QQQQIIQQ", 0, 0, _address(k), _address(v), count, fd, 0, 0),
    )


def prog_load(instructions: bytes, name: bytes) -> int:
    """A raw tracepoint program's descriptor.  The verifier's refusal is an OSError."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    license_ = ctypes.create_string_buffer(_LICENSE)
    return _bpf(
        _PROG_LOAD,
        struct.pack(
            "<IIQQIIQII16s",
            PROG_TYPE_RAW_TRACEPOINT,
            len(instructions) // 8,
            _address(code),
            _address(license_),
            0,
            0,
            0,
            0,
            0,
            name[:15],
        ),
    )


def raw_tracepoint_open(name: bytes, program: int) -> int:
    """Attaches a program; closing the returned descriptor detaches it."""
    buffer = ctypes.create_string_buffer(name)
    return _bpf(_RAW_TRACEPOINT_OPEN, struct.pack("<QI", _address(buffer), program))


def possible_cpus() -> int:
    """How many values a per-CPU map lookup returns (kernel: num_possible_cpus)."""
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:
        return int(file.read().strip().split("-")[-1].split(",")[-1]) + 1
