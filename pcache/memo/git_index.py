"""git's index without the status of the files that it is about: as it is stored, and filled in anew
for the files that are there when it is put in place (gitformat-index(5)).

git takes a file for the one that it knows by its times, device, inode, owner and size.  Where an
execution has looked at all the files of an index that was not there before, and the index says of
them what stat(2) does, then so would the index of another run say what stat(2) does there.
"""

from __future__ import annotations

import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLACE = b"/.git/index"
"""How its path ends; the work tree is what comes before."""
_SIGNATURE = b"DIRC"
_HEADER = struct.Struct(">4sII")
_STATUS = struct.Struct(">10I")
"""ctime (2), mtime (2), dev, ino, mode, uid, gid, size."""
_FLAGS_AT, _NAME_AT = 60, 62
_EXTENDED = 0x4000
_MODE = slice(24, 28)
_REGULAR = frozenset({0o100644, 0o100755, 0o120000})
_EXTENSIONS = frozenset({b"TREE", b"REUC", b"EOIE", b"IEOT"})
"""Those that say nothing of files: cache tree, resolved conflicts, offsets."""
_DIGEST = 20
_LARGE = 1 << 32

Entry = tuple[int, bytes]
"""Where it begins, and its path in the work tree."""


def is_index(path: bytes, data: bytes) -> bool:
    """Whether a file is the index of a work tree that is not empty."""
    return path.endswith(PLACE) and data.startswith(_SIGNATURE) and any(data[8:12])


def without_status(data: bytes, status: Callable[[bytes], os.stat_result]) -> bytes:
    """An index with the status of all files left out.

    `status` gives what lstat(2) says of one.  Raises ValueError where the index says something
    else, or holds what is not known; and whatever `status` raises.
    """
    if _sealed(bytearray(data)) != data:
        raise ValueError("it has no digest, or another one than SHA-1")
    result = bytearray(data)
    for at, name in _entries(data):
        found = data[at : at + _STATUS.size]
        mode = int.from_bytes(found[_MODE], "big")
        if mode not in _REGULAR:
            raise ValueError("it has an entry that is no file")
        if found != _packed(status(name), mode):
            raise ValueError(f"of {name!r} it holds another status")
        result[at : at + _STATUS.size] = bytes(24) + found[_MODE] + bytes(12)
    return _sealed(result)


def with_status(data: bytes, status: Callable[[bytes], os.stat_result]) -> bytes:
    """What `without_status` was given, with the status of the files that are there."""
    result = bytearray(data)
    for at, name in _entries(data):
        mode = int.from_bytes(data[at:][_MODE], "big")
        result[at : at + _STATUS.size] = _packed(status(name), mode)
    return _sealed(result)


def _packed(st: os.stat_result, mode: int) -> bytes:
    """fill_stat_data() of git's statinfo.c."""
    size = st.st_size % _LARGE
    if st.st_size and not size:
        size = 1 << 31
    seconds = 1_000_000_000
    numbers = (
        *(*divmod(st.st_ctime_ns, seconds), *divmod(st.st_mtime_ns, seconds)),
        *(st.st_dev, st.st_ino, mode, st.st_uid, st.st_gid, size),
    )
    return _STATUS.pack(*(number % _LARGE for number in numbers))


def _sealed(data: bytearray) -> bytes:
    from hashlib import sha1  # 3 ms, for the few that have an index

    data[-_DIGEST:] = sha1(data[:-_DIGEST], usedforsecurity=False).digest()
    return bytes(data)


def _entries(data: bytes) -> Iterator[Entry]:
    """Raises ValueError for what is not known to hold nothing else of files."""
    try:
        _, version, count = _HEADER.unpack_from(data)
        if version not in (2, 3, 4):
            raise ValueError(f"version {version}")
        at, name = _HEADER.size, b""
        for _ in range(count):
            start = at
            (flags,) = struct.unpack_from(">H", data, at + _FLAGS_AT)
            at += _NAME_AT + (2 if flags & _EXTENDED else 0)
            if version == 4:
                stripped, at = _number(data, at)
                name = name[: len(name) - stripped]
            else:
                name = b""
            end = data.index(b"\0", at)
            name += data[at:end]
            at = end + 1 if version == 4 else start + ((end - start + 8) & ~7)
            yield start, name
        while at < len(data) - _DIGEST:
            (size,) = struct.unpack_from(">I", data, at + 4)
            if data[at : at + 4] not in _EXTENSIONS:
                raise ValueError(f"extension {data[at : at + 4]!r}")
            at += 8 + size
    except (struct.error, IndexError) as error:
        raise ValueError("it is cut short") from error


def _number(data: bytes, at: int) -> tuple[int, int]:
    """decode_varint() of git's varint.c: a number, and what comes after it."""
    byte = data[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = data[at]
        value = (value + 1 << 7) + (byte & 0x7F)
    return value, at + 1
