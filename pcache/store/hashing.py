"""What is taken of the contents of files: by which algorithm, and how they are read for it."""

from __future__ import annotations

import errno
import os

from xxhash import xxh3_128, xxh3_128_digest

from pcache.linux.unseen import open_unseen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from pcache.model import Digest
    from pcache.store.digest_table import Version

    class Hash(Protocol):
        """What a digest is taken with, piece by piece."""

        def update(self, data: memoryview | bytes, /) -> None: ...
        def digest(self) -> bytes: ...


CHUNK = 1 << 20
"""Bytes read at once from large files."""


class Algorithm:
    """How contents become digests."""

    __slots__ = ("digest", "empty", "name", "new", "size")

    def __init__(
        self, name: str, new: Callable[[], Hash], digest: Callable[[bytes], Digest]
    ) -> None:
        self.name = name
        self.new = new
        self.digest = digest
        self.empty = digest(b"")
        self.size = len(self.empty)


XXH3 = Algorithm("xxh3-128", xxh3_128, xxh3_128_digest)


def stamp(st: os.stat_result) -> Version:
    """What tells one state of a file from another: (dev, ino, size, mtime_ns, ctime_ns)."""
    return st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns


def content_digests(
    path: bytes, st: os.stat_result, check: Callable[[], None], by: Sequence[Algorithm] = (XXH3,)
) -> list[Digest]:
    """Digests of a regular file while it is as in `st`, which is read once, piece by piece: any
    thread may call it.

    `check` is called for each piece and may raise to end it.  Raises OSError: ESTALE if the file is
    or becomes another one, and whatever open(2) and read(2) give.
    """
    fd = open_unseen(path, st.st_uid, os.O_NOFOLLOW)
    try:
        if stamp(os.fstat(fd)) == stamp(st):
            _, digests = in_pieces(fd, bytearray(CHUNK), by, check)
            if stamp(os.fstat(fd)) == stamp(st):
                return digests
        raise OSError(errno.ESTALE, "another file than expected")
    finally:
        os.close(fd)


def in_pieces(
    fd: int, buffer: bytearray, by: Sequence[Algorithm], check: Callable[[], None] | None = None
) -> tuple[int, list[Digest]]:
    """Size and digests of a file, whose offset is not moved."""
    # Not mmap: a file that shrinks meanwhile would kill us with SIGBUS.
    view = memoryview(buffer)
    states = [algorithm.new() for algorithm in by]
    size = 0
    while length := os.preadv(fd, (view,), size):
        if check is not None:
            check()
        for state in states:
            state.update(view[:length])
        size += length
    return size, [state.digest() for state in states]
