"""Contents by their digest: small ones as rows of the index, others as files.

A file `objects/XX/YYYY...` (XXYYYY... is the digest in hexadecimal) appears under its name complete
or not at all.  It is not synchronised to disk: after a power failure it may be short, which reading
finds, as every content is verified when it is read.  Where that pays it is compressed, and called
`YYYY....zst`; the digest is that of the content all the same.  If both forms are there, the plain
one counts.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from xxhash import xxh3_128_digest

from pcache.errors import DamagedBlob, Malformed, StoreError, Unavailable, why_not
from pcache.linux.files import make_private_directory, reflink, write_all
from pcache.linux.sparse import may_have_holes
from pcache.store.lease import Lease
from pcache.store.objects import Object, Objects, hand_over, pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pcache.counters import Counters
    from pcache.model import Digest
    from pcache.store.database import Database

SMALL = 4096
"""Bytes: contents up to this size are rows; a file would take a block of the disk for each."""

_PENDING = 32 << 20
"""Bytes of small contents that are kept in memory at most, until a transaction takes them."""

_AT_ONCE = 1 << 22
"""Bytes: larger contents are stored plainly and left for the collector to compress, so that nobody
waits for that (10 ms) when a recording ends."""


class Blobs:
    """The contents of one store.  Writing raises StoreError if the store cannot take it."""

    def __init__(
        self, directory: bytes, database: Database, counters: Counters, compress: bool = True
    ) -> None:
        """`compress`: whether contents that are put may be compressed."""
        self._compress = compress
        self.objects = Objects(directory + b"/objects", counters)
        """Contents that are files; reading them needs no database, and any thread may."""
        self._directory = directory
        self._temporary = directory + b"/tmp"
        self._database = database
        self._counters = counters
        self._serial = 0
        self._unshared: set[int] = set()
        """Devices with which the store shares no blocks."""
        self._lease: Lease | None = None
        self._pending: dict[Digest, bytes] = {}
        """Small contents that were put and are no rows yet."""
        self._pending_bytes = 0

    def flush(self) -> None:
        """Writes what is kept in memory: to be called before a record that refers to it is stored.

        While a command runs nobody has to wait for another process's transaction that way.
        """
        if not self._pending:
            return
        now = int(time.time())
        with self._database:
            for digest, data in self._pending.items():
                self._write_row(digest, data, now)
        self._pending.clear()
        self._pending_bytes = 0

    def close(self) -> None:
        """Tells the collector that what was put is referred to by now.  What was not flushed is
        referred to by nothing."""
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
            self._put_object(digest, data)
        return digest

    def put_pieces(self, content: Iterable[bytes]) -> Digest:
        """Stores a content that comes piece by piece, and is not in memory as a whole."""
        self._hold()
        try:
            temporary = _Temporary(self._next_temporary())
        except OSError as error:
            raise _cannot_write(error) from error
        with temporary:
            size, digest = hand_over(content, temporary.write)
            if size <= SMALL:
                return self.put_bytes(os.pread(temporary.fd, SMALL, 0))
            if not self._keep(digest):
                self._publish(temporary, self.objects.paths(digest)[0], size)
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
        return self._row(digest) is not None or self.objects.has(digest)

    def get_bytes(self, digest: Digest) -> bytes:
        """The content.  Raises DamagedBlob if it is missing or not what its name promises."""
        data = self.small(digest)
        return self.objects.read(digest) if data is None else data

    def small(self, digest: Digest) -> bytes | None:
        """A content that is a row; None for one that is an object.  Raises DamagedBlob."""
        data = self._row(digest)
        if data is not None and xxh3_128_digest(data) != digest:
            raise self.objects.damaged(digest)
        return data

    def open(self, digest: Digest) -> int:
        """A descriptor to read the verified content from.  Raises DamagedBlob."""
        data = self.small(digest)
        if data is None:
            with self.objects.open(digest) as content:
                if content.is_plain:
                    self.objects.copy(content, digest, None)
                    return fcntl.fcntl(content.fd, fcntl.F_DUPFD_CLOEXEC, 3)
            data = self.objects.read(digest)
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
            return self.objects.copy_to(digest, target)
        write_all(target, data)
        return len(data)

    def verify(self, digest: Digest) -> int:
        """Reads a content, and gives its size.  Raises DamagedBlob."""
        data = self.small(digest)
        if data is not None:
            return len(data)
        with self.objects.open(digest) as content:
            return self.objects.copy(content, digest, None)

    def compact(self, digest: Digest) -> bool:
        """Compresses a content that is stored plainly if that pays; whether it did.

        One process at a time may call it; others may read and put that content meanwhile.
        """
        from pcache.store.compression import compress, pays, promises

        plain, path = self.objects.paths(digest)
        try:
            with Object(plain) as content, _Temporary(self._next_temporary()) as temporary:
                # Where blocks can be shared, the plain form may cost nothing, now or when restored.
                if reflink(content.fd, temporary.fd):
                    return False
                if not promises(lambda count, at: os.pread(content.fd, count, at), content.size):
                    return False
                size, found = compress(content.pieces(), temporary.write)
                if found != digest or not pays(content.size, size):
                    return False
                # New, and so as fresh for the collector as the old one may be.
                os.fchmod(temporary.fd, 0o400)
                temporary.rename(path)
                os.unlink(plain)
        except (OSError, Unavailable):
            return False
        return True

    def _hold(self) -> Lease:
        if self._lease is None:
            try:
                self._lease = Lease(self._directory)
            except OSError as error:
                raise _cannot_write(error) from error
        return self._lease

    def _put_row(self, digest: Digest, data: bytes) -> None:
        if self._pending.get(digest) == data:
            return
        row = self._database.row("SELECT data, put FROM blobs WHERE digest = ?", (digest,))
        # Marked as fresh once a session: the collector spares what was put since that began.
        if row is not None and row[0] == data and int(row[1]) >= self._hold().began:
            return
        if self._database.in_transaction:
            self._write_row(digest, data, int(time.time()))
        else:
            self._pending[digest] = data
            self._pending_bytes += len(data)
            if self._pending_bytes > _PENDING:
                self.flush()
        if row is None:
            self._counters.inc("blobs stored")
            self._counters.inc("bytes stored", len(data))

    def _write_row(self, digest: Digest, data: bytes, now: int) -> None:
        self._database.change("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", (digest, data, now))

    def _put_open_file(self, source: int) -> Digest:
        st = os.fstat(source)
        size = st.st_size
        limit = _AT_ONCE if st.st_dev in self._unshared else SMALL
        if size <= limit:
            data = _beginning(source, limit + 1)
            if len(data) <= limit:
                return self.put_bytes(data)
        try:
            temporary = _Temporary(self._next_temporary())
        except OSError as error:
            raise _cannot_write(error) from error
        with temporary:
            if reflink(source, temporary.fd):
                size, digest = hand_over(pieces(temporary.fd), None)
            elif size <= _AT_ONCE and st.st_dev not in self._unshared:
                self._unshared.add(st.st_dev)
                return self._put_open_file(source)
            else:
                sparse = may_have_holes(st)
                write = temporary.write_sparsely if sparse else temporary.write
                size, digest = hand_over(pieces(source), write)
                if sparse:
                    os.ftruncate(temporary.fd, size)
            if size <= SMALL:
                # It shrank.
                return self.put_bytes(os.pread(temporary.fd, SMALL, 0))
            if not self._keep(digest):
                self._publish(temporary, self.objects.paths(digest)[0], size)
        return digest

    def _keep(self, digest: Digest) -> bool:
        """Whether the content is there, undamaged; its time is refreshed, as it is in use."""
        if (data := self._row(digest)) is not None:
            if xxh3_128_digest(data) != digest:
                return False
            self._put_row(digest, data)
            return True
        try:
            with self.objects.open(digest) as content:
                content.verify(digest)
                return content.refresh()
        except (OSError, DamagedBlob, Malformed, Unavailable):
            return False

    def _put_object(self, digest: Digest, data: bytes | memoryview) -> None:
        """Writes a new content, or one in place of a damaged one: that is plain, as the plain form
        is the one that counts."""
        plain, path = self.objects.paths(digest)
        try:
            with _Temporary(self._next_temporary()) as temporary:
                size = 0
                if self._compress and len(data) <= _AT_ONCE and not self.objects.has(digest):
                    size = _write_compressed(data, temporary)
                if not size:
                    os.ftruncate(temporary.fd, 0)
                    os.lseek(temporary.fd, 0, os.SEEK_SET)
                    temporary.write(data)
                self._publish(temporary, path if size else plain, size or len(data))
        except OSError as error:
            raise _cannot_write(error) from error

    def _publish(self, temporary: _Temporary, path: bytes, size: int) -> None:
        try:
            os.fchmod(temporary.fd, 0o400)
            try:
                temporary.rename(path)
            except FileNotFoundError:
                make_private_directory(os.path.dirname(path))
                temporary.rename(path)
        except OSError as error:
            raise _cannot_write(error) from error
        self._counters.inc("blobs stored")
        self._counters.inc("bytes stored", size)

    def _next_temporary(self) -> bytes:
        self._serial += 1
        return b"%b/%d-%d-%d" % (self._temporary, os.getpid(), id(self), self._serial)

    def _row(self, digest: Digest) -> bytes | None:
        pending = self._pending.get(digest)
        if pending is not None:
            return pending
        row = self._database.row("SELECT data FROM blobs WHERE digest = ?", (digest,))
        return None if row is None else row[0]


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

    def write_sparsely(self, data: bytes | memoryview) -> None:
        """The same, but for pieces of zeros alone; those at the end are for ftruncate(2)."""
        if bytes(data).count(0) == len(data):
            os.lseek(self.fd, len(data), os.SEEK_CUR)
        else:
            self.write(data)

    def rename(self, path: bytes) -> None:
        os.rename(self._path, path)
        self._path = b""

    def __enter__(self) -> _Temporary:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
        if self._path:
            os.unlink(self._path)


def _cannot_write(error: OSError) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError("no space left for the store", "free some disk space")
    return StoreError(f"cannot write to the store: {why_not(error)}")


def _beginning(fd: int, size: int) -> bytes:
    """Up to `size` bytes of a file, fewer only at its end."""
    parts = []
    at = 0
    while at < size and (data := os.pread(fd, size - at, at)):
        parts.append(data)
        at += len(data)
    return b"".join(parts)


def _write_compressed(data: bytes | memoryview, temporary: _Temporary) -> int:
    """Bytes of the compressed form, if that pays and can be had; else 0."""
    from pcache.store.compression import compress, in_pieces, pays, promises

    try:
        if promises(lambda count, at: bytes(data[at : at + count]), len(data)):
            size, _ = compress(in_pieces(data), temporary.write)
            if pays(len(data), size):
                return size
    except Unavailable:
        pass
    return 0
