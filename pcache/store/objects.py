"""Contents that are files of a store, plain or compressed, open for reading."""

from __future__ import annotations

import os

from xxhash import xxh3_128

from pcache.errors import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pcache.model import Digest
    from pcache.store.compression import Compressed

COMPRESSED = b".zst"
"""What the names of compressed contents end in."""

_CHUNK = 1 << 20


class Object:
    """One of these files.  Nothing moves its offset.  Raises OSError, Malformed and Unavailable."""

    __slots__ = ("_compressed", "_path", "fd", "size")

    def __init__(self, path: bytes) -> None:
        self._path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._compressed: Compressed | None = None
        try:
            if path.endswith(COMPRESSED):
                from pcache.store.compression import Compressed

                self._compressed = Compressed(self.fd)
                self.size = self._compressed.size
            else:
                self.size = os.fstat(self.fd).st_size
                """Bytes of the content."""
        except BaseException:
            os.close(self.fd)
            raise

    @property
    def is_plain(self) -> bool:
        return self._compressed is None

    def pieces(self) -> Iterator[bytes | memoryview]:
        """The content; each piece is only good until the next is asked for."""
        return pieces(self.fd) if self._compressed is None else self._compressed.pieces()

    def verify(self, digest: Digest) -> int:
        """Reads the content, and gives its size.  Raises Malformed for another than promised."""
        return self.copy(digest, None)

    def copy(self, digest: Digest, write: Callable[[bytes | memoryview], None] | None) -> int:
        """The same; `write` is given the pieces before it is known whether they are right."""
        size, found = hand_over(self.pieces(), write)
        if found != digest:
            raise Malformed("another content")
        return size

    def refresh(self) -> bool:
        """Marks the file as in use; whether it still is in its place."""
        os.utime(self.fd)
        # The collector takes a file away before it looks at the time: either it is still in its
        # place now, or the collector will find it fresh and put it back.
        return os.path.samestat(os.stat(self._path), os.fstat(self.fd))

    def __enter__(self) -> Object:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def pieces(fd: int) -> Iterator[memoryview]:
    """The content of a file; each piece is only good until the next is asked for."""
    view = memoryview(bytearray(_CHUNK))
    at = 0
    while length := os.preadv(fd, (view,), at):
        yield view[:length]
        at += length


def hand_over(
    parts: Iterable[bytes | memoryview], write: Callable[[bytes | memoryview], None] | None
) -> tuple[int, Digest]:
    """Gives each part to `write`, if there is one; size and digest of all."""
    state = xxh3_128()
    size = 0
    for part in parts:
        state.update(part)
        size += len(part)
        if write is not None:
            write(part)
    return size, state.digest()
