"""Contents that are files of a store, plain or compressed, open for reading."""

from __future__ import annotations

import errno
import os

from xxhash import xxh3_128

from pcache.errors import DamagedBlob, Malformed, Unavailable
from pcache.linux.files import open_file, reflink, write_all
from pcache.linux.sparse import Writer, may_have_holes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pcache.counters import Counters
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
        self.fd = open_file(path)
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


class Objects:
    """The contents of one store that are files.  Any thread may read them."""

    def __init__(self, directory: bytes, counters: Counters) -> None:
        self.directory = directory
        self._counters = counters

    def paths(self, digest: Digest) -> tuple[bytes, bytes]:
        """Where a content may be as a file: the plain form and the compressed one."""
        name = digest.hex().encode()
        path = b"%b/%b/%b" % (self.directory, name[:2], name[2:])
        return path, path + COMPRESSED

    def has(self, digest: Digest) -> bool:
        """Whether there is a file for a content."""
        return any(map(os.path.exists, self.paths(digest)))

    def size(self, digest: Digest) -> int:
        """Bytes of a content.  Raises DamagedBlob."""
        with self.open(digest) as content:
            return content.size

    def read(self, digest: Digest) -> bytes:
        """The content, verified.  Raises DamagedBlob."""
        parts: list[bytes] = []
        with self.open(digest) as content:
            self.copy(content, digest, lambda piece: parts.append(bytes(piece)))
        return b"".join(parts)

    def copy_to(
        self,
        digest: Digest,
        target: int,
        check: Callable[[], None] | None = None,
        extents: tuple[int, ...] = (),
    ) -> int:
        """Writes the verified content to an empty file, as `Blobs.copy_to` does.

        `check` is called for each piece that is copied, and may raise to end it; `extents`: of a
        file with holes.
        """
        sparse = Writer(target, extents) if extents else None

        def write(piece: bytes | memoryview) -> None:
            if check is not None:
                check()
            if sparse is not None:
                sparse.write(piece)
            else:
                write_all(target, piece)

        with self.open(digest) as content:
            shared = not extents and content.is_plain and _share(content, target)
            return self.copy(content, digest, None if shared else write)

    def all(self) -> Iterator[tuple[Digest, int]]:
        """Digest of each content that is a file, and the size of that file in bytes.  One that is
        there in both forms comes twice."""
        for directory in os.listdir(self.directory):
            with os.scandir(self.directory + b"/" + directory) as entries:
                for entry in entries:
                    try:
                        name = entry.name.removesuffix(COMPRESSED)
                        digest = bytes.fromhex(os.fsdecode(directory + name))
                        yield digest, entry.stat().st_size
                    except (FileNotFoundError, ValueError):
                        continue  # taken away meanwhile, or none of ours

    def open(self, digest: Digest) -> Object:
        """A content, open for reading.  Raises DamagedBlob; OSError for want of descriptors."""
        plain, path = self.paths(digest)
        try:
            try:
                return Object(plain)
            except FileNotFoundError:
                return Object(path)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise
            raise _missing(digest, error) from error
        except Malformed as error:
            raise self.damaged(digest) from error

    def copy(
        self,
        content: Object,
        digest: Digest,
        write: Callable[[bytes | memoryview], None] | None,
    ) -> int:
        """`Object.copy`, raising DamagedBlob."""
        try:
            return content.copy(digest, write)
        except Malformed as error:
            raise self.damaged(digest) from error
        except Unavailable as error:
            text = f"a stored content cannot be decompressed ({digest.hex()}: {error})"
            raise DamagedBlob(text, _REMEDY) from error

    def damaged(self, digest: Digest) -> DamagedBlob:
        """The error to raise, counted."""
        self._counters.inc("blobs damaged")
        return DamagedBlob(f"a stored content is damaged ({digest.hex()})", _REMEDY)


_REMEDY = "recording the command again replaces it"


def _share(content: Object, target: int) -> bool:
    """Whether an empty file shares the blocks of an object now, and has no holes."""
    if not reflink(content.fd, target):
        return False
    if not may_have_holes(os.fstat(target)):
        return True
    os.ftruncate(target, 0)
    return False


def _missing(digest: Digest, error: OSError) -> DamagedBlob:
    text = f"a stored content is missing ({digest.hex()}: {error.strerror})"
    return DamagedBlob(text, _REMEDY)


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
