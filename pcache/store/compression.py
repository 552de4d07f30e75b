"""Contents compressed with zstd, piece by piece, in files that `zstd -d` reads as well.

A file is a frame for each piece and then the table of the Zstandard Seekable Format (version 0.1.0,
contrib/seekable_format in zstd's sources): how large each piece is, compressed and not.  So memory
and time are known before anything is decompressed, and nothing is that does not keep to the table.
"""

from __future__ import annotations

import os
from struct import Struct
from struct import error as struct_error

from xxhash import xxh3_128

from pcache.errors import Malformed, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from pcache.model import Digest

PIECE = 1 << 20
"""Bytes of a piece, uncompressed; the last one may be shorter."""

_LEVEL = 1
"""400 MB/s to compress and 1 GB/s to decompress on the target machine; 3 makes it 7 % smaller in
twice the time."""
_ONE_THREAD = 1
_BLOCK = 4096
_WORTH = 0.75
"""Compressing pays if what is left of the blocks on disk is at most this."""

_ROW_LIMIT = 1 << 28
"""Bytes: more than any set of paths has."""

_SAMPLE = 1 << 14
_SAMPLES = 3

_SKIPPABLE = Struct("<II")
_SKIPPABLE_MAGIC = 0x184D2A5E
_ENTRY = Struct("<II")
_FOOTER = Struct("<IBI")
_FOOTER_MAGIC = 0x8F92EAB1

# RFC 8878, section 3.1.1.
_FRAME_MAGIC = b"\x28\xb5\x2f\xfd"
_CONTENT_SIZE_BYTES = ((0, 2, 4, 8), (1, 2, 4, 8))
_DICTIONARY_BYTES = (0, 1, 2, 4)
_RLE_BLOCK = 1


def pays(size: int, compressed_size: int) -> bool:
    """Whether so much less has to be stored that decompressing is worth while (bytes)."""
    return _blocks(compressed_size) <= _WORTH * _blocks(size)


def promises(read: Callable[[int, int], bytes], size: int) -> bool:
    """Whether compressing a content of `size` bytes may pay: for large ones, after samples of it.

    `read` gives as many bytes at an offset.  Raises Unavailable.
    """
    if size <= _SAMPLES * _SAMPLE:
        return True
    step = (size - _SAMPLE) // (_SAMPLES - 1)
    sample = b"".join([read(_SAMPLE, at * step) for at in range(_SAMPLES)])
    return len(_compress(sample)) <= _WORTH * len(sample)


def in_pieces(data: bytes | memoryview) -> Iterator[memoryview]:
    """A content as pieces for `compress`."""
    view = memoryview(data)
    for at in range(0, len(view), PIECE):
        yield view[at : at + PIECE]


def compress(
    pieces: Iterable[bytes | memoryview], write: Callable[[bytes], None]
) -> tuple[int, Digest]:
    """Has a file written for pieces of PIECE bytes each but the last; its size, and the digest of
    the content.

    Raises Unavailable, and whatever `write` does.
    """
    state = xxh3_128()
    entries = []
    for piece in pieces:
        state.update(piece)
        frame = _compress(piece)
        entries.append((len(frame), len(piece)))
        write(frame)
    table = b"".join([_ENTRY.pack(*entry) for entry in entries])
    length = len(table) + _FOOTER.size
    write(
        _SKIPPABLE.pack(_SKIPPABLE_MAGIC, length)
        + table
        + _FOOTER.pack(len(entries), 0, _FOOTER_MAGIC)
    )
    return sum(entry[0] for entry in entries) + _SKIPPABLE.size + length, state.digest()


class Compressed:
    """A compressed file that is open for reading; its offset is not moved.

    Raises Malformed for any that `compress` did not make, and OSError.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._entries = _table(fd)
        self.size = sum(size for _, size in self._entries)
        """Bytes of the content, uncompressed."""

    def pieces(self) -> Iterator[bytes]:
        """The content.  Raises Unavailable too."""
        at = 0
        for length, size in self._entries:
            frame = os.pread(self._fd, length, at)
            if len(frame) != length or _content_size(frame) != size:
                raise Malformed("a frame is not as announced")
            yield _decompress(frame)
            at += length


def squeezed(data: bytes) -> bytes:
    """The data in one frame, for a row of the index.  Raises Unavailable."""
    return _compress(data)


def unsqueezed(frame: bytes) -> bytes:
    """What was given to `squeezed`.  Raises Malformed, Unavailable."""
    if _content_size(frame) > _ROW_LIMIT:
        raise Malformed("a row of no size that is ever written")
    return _decompress(frame)


def _blocks(size: int) -> int:
    return (size + _BLOCK - 1) // _BLOCK


def _compress(piece: bytes | memoryview) -> bytes:
    zstd = _library()
    try:
        result: bytes = zstd.compress(bytes(piece), _LEVEL, _ONE_THREAD)
    except (MemoryError, zstd.Error) as error:  # it cannot start its thread
        raise Unavailable(str(error)) from error
    return result


def _decompress(frame: bytes) -> bytes:
    zstd = _library()
    try:
        result: bytes = zstd.uncompress(frame)
    except MemoryError as error:
        raise Unavailable(str(error)) from error
    except zstd.Error as error:
        raise Malformed(str(error)) from error
    return result


def _library() -> Any:
    """The module, which is large.  Raises Unavailable."""
    try:
        import zstd
    except (ImportError, MemoryError) as error:
        raise Unavailable(str(error)) from error
    return zstd


def _table(fd: int) -> list[tuple[int, int]]:
    """(compressed, uncompressed) bytes of each frame."""
    end = os.fstat(fd).st_size
    try:
        footer = os.pread(fd, _FOOTER.size, max(end - _FOOTER.size, 0))
        count, flags, magic = _FOOTER.unpack(footer)
        length = count * _ENTRY.size + _FOOTER.size
        begin = end - length - _SKIPPABLE.size
        if magic != _FOOTER_MAGIC or flags or begin < 0:
            raise Malformed("it has no table")
        table = os.pread(fd, _SKIPPABLE.size + length, begin)
        header = _SKIPPABLE.unpack_from(table)
        entries = list(_ENTRY.iter_unpack(table[_SKIPPABLE.size : -_FOOTER.size]))
    except struct_error as error:
        raise Malformed("it has no table") from error
    if header != (_SKIPPABLE_MAGIC, length) or sum(entry[0] for entry in entries) != begin:
        raise Malformed("its table does not fit")
    if any(size > PIECE for _, size in entries):
        raise Malformed("a piece is too large")
    return entries


def _content_size(frame: bytes) -> int:
    """Bytes that decompressing gives, for exactly one frame that announces them.

    zstd allocates what frames announce, all that it is given: so this comes first.
    """
    try:
        flags = frame[4]
        single = flags >> 5 & 1
        at = 6 - single + _DICTIONARY_BYTES[flags & 3]
        width = _CONTENT_SIZE_BYTES[single][flags >> 6]
        size = int.from_bytes(frame[at : at + width], "little") + (256 if width == 2 else 0)
        at += width
        last = False
        while not last:
            block = int.from_bytes(frame[at : at + 3], "little")
            last = bool(block & 1)
            at += 3 + (1 if block >> 1 & 3 == _RLE_BLOCK else block >> 3)
            if at > len(frame):
                raise Malformed("a frame is cut off")
    except IndexError as error:
        raise Malformed("a frame is cut off") from error
    if frame[:4] != _FRAME_MAGIC or not width or at + 4 * (flags >> 2 & 1) != len(frame):
        raise Malformed("a frame is not as announced")
    return size
