"""Contents by their digest: small ones as rows of the index, others as files.

A file `objects/XX/YYYY...` (XXYYYY... is the digest in hexadecimal) appears under its name complete
or not at all.  It is not synchronised to disk: after a power failure it may be short, which reading
finds, as every content is verified when it is read.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from xxhash import xxh3_128, xxh3_128_digest

from pcache.errors import DamagedBlob, StoreError
from pcache.store.files import make_private_directory
from pcache.store.lease import Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pcache.counters import Counters
    from pcache.model import Digest
    from pcache.store.database import Database

SMALL = 4096
"""Bytes: contents up to this size are rows; a file would take a block of the disk for each."""

_CHUNK = 1 << 20
# linux/fs.h: _IOW(0x94, 9, int).
_FICLONE = 0x40049409


def reflink(source: int, target: int) -> bool:
    """Makes the empty file `target` share all blocks of `source`.  False if they cannot.

    A clone is a private copy; a hard link into the store would let programs write to the store.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        # EOPNOTSUPP, ENOTTY, EINVAL, EXDEV, EPERM...: whatever it is, copying may still work; and
        # out of space is found again by copying.
        if error.errno == errno.EBADF:
            raise
        return False
    return True


def write_all(fd: int, data: bytes | memoryview) -> None:
    """write(2) until all is written.  Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class Blobs:
    """The contents of one store.  Writing raises StoreError if the store cannot take it."""

    def __init__(self, directory: bytes, database: Database, counters: Counters) -> None:
        self._objects = directory + b"/objects"
        self._temporary = directory + b"/tmp"
        self._database = database
        self._counters = counters
        self._serial = 0
        self._lease: Lease | None = None

    def close(self) -> None:
        """Tells the collector that what was put is referred to by now."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def put_bytes(self, data: bytes | memoryview) -> Digest:
        """Stores a content."""
        self._hold()
        digest = xxh3_128_digest(data)
        if len(data) <= SMALL:
            self._put_row(digest, bytes(data))
        elif not self._keep(digest):
            try:
                with _Temporary(self._next_temporary()) as temporary:
                    write_all(temporary.fd, data)
                    self._publish(temporary, digest, len(data))
            except OSError as error:
                raise _cannot_write(error) from error
        return digest

    def put_file(self, source: bytes | int, known: Digest = b"") -> Digest:
        """Stores the content of a regular file, by path or descriptor (whose offset stays).

        With its digest already `known`, nothing is copied if the store has that content.
        Raises OSError if `source` cannot be read.  Whatever is written to it meanwhile, the digest
        is that of what was stored.
        """
        self._hold()
        if known and self._keep(known):
            return known
        if isinstance(source, int):
            return self._put_open_file(source)
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            return self._put_open_file(fd)
        finally:
            os.close(fd)

    def has(self, digest: Digest) -> bool:
        """Whether a content is there (not whether it is undamaged)."""
        return self._row(digest) is not None or os.path.exists(self._path(digest))

    def get_bytes(self, digest: Digest) -> bytes:
        """The content.  Raises DamagedBlob if it is missing or not what its name promises."""
        data = self.small(digest)
        return self.read_object(digest) if data is None else data

    def small(self, digest: Digest) -> bytes | None:
        """A content that is a row; None for one that is an object.  Raises DamagedBlob."""
        data = self._row(digest)
        if data is not None and xxh3_128_digest(data) != digest:
            raise self._damaged(digest)
        return data

    def object_size(self, digest: Digest) -> int:
        """Bytes of a content that is an object.  Raises DamagedBlob if it is missing."""
        try:
            return os.lstat(self._path(digest)).st_size
        except OSError as error:
            raise _missing(digest, error) from error

    def read_object(self, digest: Digest) -> bytes:
        """`get_bytes` of an object, without the database: any thread may call it."""
        fd = self._open_object(digest)
        try:
            data = _read_all(fd)
        finally:
            os.close(fd)
        if xxh3_128_digest(data) != digest:
            raise self._damaged(digest)
        return data

    def open(self, digest: Digest) -> int:
        """A descriptor to read the verified content from.  Raises DamagedBlob."""
        data = self.small(digest)
        if data is None:
            fd = self._open_object(digest)
            try:
                self._verify(fd, digest)
            except BaseException:
                os.close(fd)
                raise
            return fd
        fd = os.memfd_create("pcache-blob", os.MFD_CLOEXEC)
        try:
            write_all(fd, data)
            os.lseek(fd, 0, os.SEEK_SET)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def copy_to(self, digest: Digest, target: int) -> int:
        """Writes the verified content to an empty file; its size in bytes.

        Raises DamagedBlob, and OSError if `target` cannot be written.  Either way `target` may hold
        something by then: it must not be in its final place yet.
        """
        data = self.small(digest)
        if data is None:
            return self.copy_object(digest, target)
        write_all(target, data)
        return len(data)

    def copy_object(
        self, digest: Digest, target: int, check: Callable[[], None] | None = None
    ) -> int:
        """`copy_to` of an object, without the database: any thread may call it.

        `check` is called for each piece that is copied, and may raise to end it.
        """

        def write(piece: memoryview) -> None:
            if check is not None:
                check()
            write_all(target, piece)

        source = self._open_object(digest)
        try:
            if reflink(source, target):
                return self._verify(source, digest)
            size, copied = _copy(source, write)
        finally:
            os.close(source)
        if copied != digest:
            raise self._damaged(digest)
        return size

    def verify(self, digest: Digest) -> int:
        """Reads a content, and gives its size.  Raises DamagedBlob."""
        data = self.small(digest)
        if data is not None:
            return len(data)
        fd = self._open_object(digest)
        try:
            return self._verify(fd, digest)
        finally:
            os.close(fd)

    def objects(self) -> Iterator[tuple[Digest, int]]:
        """Digest of each content that is a file, and the size of that file in bytes."""
        for directory in os.listdir(self._objects):
            with os.scandir(self._objects + b"/" + directory) as entries:
                for entry in entries:
                    try:
                        digest = bytes.fromhex(os.fsdecode(directory + entry.name))
                        yield digest, entry.stat().st_size
                    except (FileNotFoundError, ValueError):
                        continue  # taken away meanwhile, or none of ours

    def _hold(self) -> Lease:
        if self._lease is None:
            try:
                self._lease = Lease(os.path.dirname(self._objects))
            except OSError as error:
                raise _cannot_write(error) from error
        return self._lease

    def _put_row(self, digest: Digest, data: bytes) -> None:
        now = int(time.time())
        row = self._database.row("SELECT data, put FROM blobs WHERE digest = ?", (digest,))
        # Marked as fresh once a session: the collector spares what was put since that began.
        if row is not None and row[0] == data and int(row[1]) >= self._hold().began:
            return
        self._database.change("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", (digest, data, now))
        if row is None:
            self._counters.inc("blobs stored")
            self._counters.inc("bytes stored", len(data))

    def _put_open_file(self, source: int) -> Digest:
        size = os.fstat(source).st_size
        if size <= SMALL:
            data = os.pread(source, SMALL + 1, 0)
            if len(data) <= SMALL:
                return self.put_bytes(data)
        try:
            temporary = _Temporary(self._next_temporary())
        except OSError as error:
            raise _cannot_write(error) from error
        with temporary:
            if reflink(source, temporary.fd):
                size, digest = _hash(temporary.fd)
            else:
                size, digest = _copy(source, temporary.write)
            if size <= SMALL:
                # It shrank.
                return self.put_bytes(os.pread(temporary.fd, SMALL, 0))
            if not self._keep(digest):
                try:
                    self._publish(temporary, digest, size)
                except OSError as error:
                    raise _cannot_write(error) from error
        return digest

    def _keep(self, digest: Digest) -> bool:
        """Whether the content is there, undamaged; its time is refreshed, as it is in use."""
        if (data := self._row(digest)) is not None:
            if xxh3_128_digest(data) != digest:
                return False
            self._put_row(digest, data)
            return True
        path = self._path(digest)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            _, found = _hash(fd)
            if found != digest:
                return False
            os.utime(fd)
            # The collector takes a file away before it looks at the time: either it is still in
            # its place now, or the collector will find it fresh and put it back.
            return os.path.samestat(os.stat(path), os.fstat(fd))
        except OSError:
            return False
        finally:
            os.close(fd)

    def _publish(self, temporary: _Temporary, digest: Digest, size: int) -> None:
        os.fchmod(temporary.fd, 0o400)
        path = self._path(digest)
        try:
            temporary.rename(path)
        except FileNotFoundError:
            make_private_directory(os.path.dirname(path))
            temporary.rename(path)
        self._counters.inc("blobs stored")
        self._counters.inc("bytes stored", size)

    def _next_temporary(self) -> bytes:
        self._serial += 1
        return b"%b/%d-%d-%d" % (self._temporary, os.getpid(), id(self), self._serial)

    def _path(self, digest: Digest) -> bytes:
        name = digest.hex().encode()
        return b"%b/%b/%b" % (self._objects, name[:2], name[2:])

    def _row(self, digest: Digest) -> bytes | None:
        row = self._database.row("SELECT data FROM blobs WHERE digest = ?", (digest,))
        return None if row is None else row[0]

    def _open_object(self, digest: Digest) -> int:
        try:
            return os.open(self._path(digest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise
            raise _missing(digest, error) from error

    def _verify(self, fd: int, digest: Digest) -> int:
        size, found = _hash(fd)
        if found != digest:
            raise self._damaged(digest)
        return size

    def _damaged(self, digest: Digest) -> DamagedBlob:
        self._counters.inc("blobs damaged")
        return DamagedBlob(f"a stored content is damaged ({digest.hex()})", _REMEDY)


_REMEDY = "recording the command again replaces it"


class _Temporary:
    """A new private file that is removed unless it was renamed."""

    def __init__(self, path: bytes) -> None:
        self._path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes | memoryview) -> None:
        try:
            write_all(self.fd, data)
        except OSError as error:
            raise _cannot_write(error) from error

    def rename(self, path: bytes) -> None:
        os.rename(self._path, path)
        self._path = b""

    def __enter__(self) -> _Temporary:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
        if self._path:
            os.unlink(self._path)


def _missing(digest: Digest, error: OSError) -> DamagedBlob:
    text = f"a stored content is missing ({digest.hex()}: {error.strerror})"
    return DamagedBlob(text, _REMEDY)


def _cannot_write(error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError("no space left for the store", "free some disk space")
    return StoreError(f"cannot write to the store: {error}")


def _read_all(fd: int) -> bytes:
    parts = []
    while data := os.read(fd, _CHUNK):
        parts.append(data)
    return b"".join(parts)


def _hash(fd: int) -> tuple[int, Digest]:
    """Size and digest of a file.  The offset is not moved."""
    view = memoryview(bytearray(_CHUNK))
    state = xxh3_128()
    size = 0
    while length := os.preadv(fd, (view,), size):
        state.update(view[:length])
        size += length
    return size, state.digest()


def _copy(source: int, write: Callable[[memoryview], None]) -> tuple[int, Digest]:
    """Hands a file's content to `write` piece by piece; size and digest of what was handed over."""
    view = memoryview(bytearray(_CHUNK))
    state = xxh3_128()
    size = 0
    while length := os.preadv(source, (view,), size):
        state.update(view[:length])
        write(view[:length])
        size += length
    return size, state.digest()
