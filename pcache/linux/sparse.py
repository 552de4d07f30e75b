"""Holes in files: ranges that read as zeros and take no blocks."""

from __future__ import annotations

import os

_BLOCK = 512
"""The unit of st_blocks, inode(7); no file system has smaller blocks."""
_HOLE = bytes(_BLOCK)


def may_have_holes(st: os.stat_result) -> bool:
    """Whether a regular file may have holes; a file system that compresses says so of others.

    Without any, its last block too is allocated as a whole.
    """
    return st.st_blocks * _BLOCK < st.st_size


def kept_by(
    version: tuple[int, int, int, int, int], st: os.stat_result
) -> tuple[int, int, int, int, int]:
    """What the digest of a version, in the form of `pcache.store.digests.stamp`, is kept by: of a
    file that may have holes, what it is not looked for by without its blocks."""
    return (*version[:4], -version[4]) if may_have_holes(st) else version


def may_be_of_holes(data: bytes) -> bool:
    """Whether the content of a file may be, in part, that of holes: they are whole blocks, but for
    the file's last one."""
    return data.endswith(b"\0") or _HOLE in data


def ends_in_zero(path: bytes, size: int) -> bool:
    """Whether the last of a file's first bytes is one.  Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        return os.pread(file.fileno(), 1, size - 1) == b"\0"


def extents(fd: int, size: int) -> tuple[int, ...]:
    """Offset and end of each piece of an open file that has data, and the file's size; empty for
    a file without holes.  The file's offset moves.  Raises OSError."""
    found: list[int] = []
    at = 0
    while at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break  # ENXIO: only a hole follows
        end = min(os.lseek(fd, at, os.SEEK_HOLE), size)
        found += (at, end)
        at = end
    return () if found == [0, size] or not size else (*found, size)


class Writer:
    """Writes a content from its beginning to an empty file, but for its holes."""

    def __init__(self, fd: int, extents: tuple[int, ...]) -> None:
        self._fd = fd
        self._pieces = list(zip(extents[:-1:2], extents[1::2], strict=True))
        self._at = 0
        os.ftruncate(fd, extents[-1])

    def write(self, data: bytes | memoryview) -> None:
        """The next bytes of the content.  Raises OSError."""
        view = memoryview(data)
        end = self._at + len(view)
        for start, stop in self._pieces:
            first, last = max(start, self._at), min(stop, end)
            while first < last:
                first += os.pwrite(self._fd, view[first - self._at : last - self._at], first)
        self._pieces = [piece for piece in self._pieces if piece[1] > end]
        self._at = end
