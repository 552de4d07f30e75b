"""The remembered digests on disk: a SQLite file that is opened when it is first needed.

Losing it costs time and nothing else, therefore no failure is ever reported: it is set up afresh,
or done without.
"""

from __future__ import annotations

import os
from struct import Struct
from struct import error as struct_error

from xxhash import xxh3_64_digest

from pcache.linux.files import make_private_file
from pcache.store.locks import Lock
from pcache.store.sqlite import DatabaseError, OperationalError, connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection

    from pcache.model import Digest

Version = tuple[int, int, int, int, int]
"""Of a file: (dev, ino, size, mtime_ns, ctime_ns)."""

_PENDING_LIMIT = 4096
_SCHEMA = 2
_INODE = Struct("=QQ")
_STAMP = Struct("=Qqq")


class DigestTable:
    """Version -> digest of `size` bytes.  `path` may be None: then it is empty and stays so."""

    def __init__(self, path: bytes | None, size: int) -> None:
        self._path = path
        self._size = size
        self._connection: Connection | None = None
        self._pending: list[tuple[bytes, bytes, Digest]] = []

    def find(self, version: Version) -> Digest | None:
        """What was put for a version, if it is there undamaged."""
        connection = self._connection
        if connection is None:
            connection = self._open()
            if connection is None:
                return None
        try:
            row = connection.execute(
                "SELECT digest FROM digests WHERE inode = ? AND stamp = ?",
                (_INODE.pack(version[0], version[1]), _STAMP.pack(*version[2:])),
            ).fetchone()
        except struct_error:
            return None
        except DatabaseError as error:
            self._fail(connection, error)
            return None
        if row is None:
            return None
        digest: Digest = row[0][: self._size]
        return digest if row[0] == _sealed(version, digest) else None

    def put(self, version: Version, digest: Digest) -> None:
        """Written by `flush`, or when there is much to write."""
        if self._path is None:
            return
        try:
            inode, stamp = _INODE.pack(version[0], version[1]), _STAMP.pack(*version[2:])
        except struct_error:
            return  # Times centuries away do not fit.
        self._pending.append((inode, stamp, _sealed(version, digest)))
        if len(self._pending) >= _PENDING_LIMIT:
            self.flush()

    def flush(self) -> None:
        """Writes what was put.  Failing to is no error."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        connection = self._open()
        if connection is None:
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", pending)
            connection.execute("COMMIT")
        except DatabaseError as error:
            self._fail(connection, error)

    def close(self) -> None:
        """Flushes, and closes the database."""
        self.flush()
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._path = None

    def _open(self) -> Connection | None:
        if self._connection is None and self._path is not None:
            path = self._path
            try:
                self._connection = _connect(path)
            except OperationalError:
                self._path = None
            except DatabaseError:
                self._mend(path)
            except OSError:
                self._path = None
        return self._connection

    def _mend(self, path: bytes) -> None:
        """Sets up an empty database in place of one that is damaged."""
        try:
            for suffix in (b"", b"-wal", b"-shm"):
                try:
                    os.unlink(path + suffix)
                except FileNotFoundError:
                    continue
            self._connection = _connect(path)
        except (DatabaseError, OSError):
            self._path = None

    def _fail(self, connection: Connection, error: DatabaseError) -> None:
        """After an error: does without the database, or, if it is damaged, starts it afresh."""
        connection.close()
        self._connection = None
        path, self._path = self._path, None
        if path is not None and not isinstance(error, OperationalError):
            self._path = path
            self._mend(path)


def _sealed(key: Version, digest: Digest) -> bytes:
    """A digest with a checksum that ties it to its key: SQLite has none of its own."""
    return digest + xxh3_64_digest(b"%d %d %d %d %d " % key + digest)


def _connect(path: bytes) -> Connection:
    make_private_file(path)
    connection = connect(path, timeout=2.0, isolation_level=None)
    try:
        if _version(connection) != _SCHEMA:
            with Lock(os.path.dirname(path)):
                if _version(connection) != _SCHEMA:
                    _set_up(connection)
        connection.execute("PRAGMA synchronous = OFF")
    except (DatabaseError, OSError):
        connection.close()
        raise
    return connection


def _version(connection: Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _set_up(connection: Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DROP TABLE IF EXISTS digests")
    connection.execute(
        "CREATE TABLE digests (inode BLOB PRIMARY KEY, stamp BLOB NOT NULL,"
        " digest BLOB NOT NULL) WITHOUT ROWID"
    )
    connection.execute(f"PRAGMA user_version = {_SCHEMA}")
    connection.execute("COMMIT")
