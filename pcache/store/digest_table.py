"""The remembered digests on disk: a SQLite file that is opened when it is first needed.

Losing it costs time and nothing else, therefore no failure is ever reported: it is set up afresh,
or done without.
"""

from __future__ import annotations

import os
from struct import Struct
from struct import error as struct_error

from xxhash import xxh3_64_digest

from pcache.linux.files import NoFile
from pcache.store.locks import Lock
from pcache.store.sqlite import (
    BESIDE,
    DatabaseError,
    OperationalError,
    connect,
    make_private_database,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection

    from pcache.model import Digest

Version = tuple[int, int, int, int, int]
"""Of a file: (dev, ino, size, mtime_ns, ctime_ns)."""

_PENDING_LIMIT = 4096
_SCHEMA = 5
_INODE = Struct(">QQ")
"""Sorted as the numbers are: files that are looked at together were mostly made together."""
_SINGLY = 64
"""How many are looked up one by one before neighbours are read along with them."""
_BLOCK = 512
"""Inodes by number, a power of two, that are read at once."""
_MOST_READ = 4
"""Rows that may be read for each one that was asked for: else it does not pay."""
_STAMP = Struct("=Qqq")
_CHECKSUM = 8
_SHORTCUTS = 4096
"""How many are kept: each version of a tree that many files of are looked at makes one."""


class DigestTable:
    """Version -> digest of `size` bytes.  `path` may be None: then it is empty and stays so."""

    def __init__(self, path: bytes | None, size: int) -> None:
        self._path = path
        self._size = size
        self._connection: Connection | None = None
        self._pending: list[tuple[bytes, bytes, Digest]] = []
        self._shortcuts: dict[Digest, bytes] = {}
        self._asked = self._read = 0
        self._blocks: set[tuple[int, int]] = set()
        """(device, number) of those that were read."""
        self._ahead: dict[bytes, tuple[bytes, bytes]] = {}
        """What was read and not asked for yet."""

    def find(self, version: Version) -> Digest | None:
        """What was put for a version, if it is there undamaged."""
        connection = self._connection
        if connection is None:
            connection = self._open()
            if connection is None:
                return None
        try:
            inode, stamp = _INODE.pack(version[0], version[1]), _STAMP.pack(*version[2:])
            row = self._row(connection, inode, version)
        except struct_error:
            return None
        except DatabaseError as error:
            self._fail(connection, error)
            return None
        if row is None or row[0] != stamp:
            return None
        digest: Digest = row[1][: self._size]
        return digest if row[1] == _sealed(version, digest) else None

    def _row(
        self, connection: Connection, inode: bytes, version: Version
    ) -> tuple[bytes, bytes] | None:
        """Stamp and sealed digest of the version of a file that was put last.

        A file that was read along with another one may have been put since, by somebody else: then
        its content is read once more than need be.
        """
        self._asked += 1
        device, number = version[:2]
        if (device, number // _BLOCK) not in self._blocks:
            if self._asked <= _SINGLY or self._read > _MOST_READ * (self._asked + _BLOCK):
                row: tuple[bytes, bytes] | None = connection.execute(
                    "SELECT stamp, digest FROM digests WHERE inode = ?", (inode,)
                ).fetchone()
                return row
            self._read_block(connection, device, number // _BLOCK)
        return self._ahead.pop(inode, None)

    def _read_block(self, connection: Connection, device: int, block: int) -> None:
        first = block * _BLOCK
        rows = connection.execute(
            "SELECT inode, stamp, digest FROM digests WHERE inode BETWEEN ? AND ?",
            (_INODE.pack(device, first), _INODE.pack(device, first + _BLOCK - 1)),
        ).fetchall()
        self._read += len(rows)
        self._ahead.update((row[0], (row[1], row[2])) for row in rows)
        self._blocks.add((device, block))

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

    def shortcut(self, name: Digest) -> Digest | None:
        """What was put for a name by `put_shortcut`, undamaged."""
        sealed = self._shortcuts.get(name)
        connection = self._open()
        if sealed is None and connection is not None:
            query = "SELECT strong FROM shortcuts WHERE name = ?"
            try:
                row = connection.execute(query, (name,)).fetchone()
            except DatabaseError as error:
                self._fail(connection, error)
                return None
            sealed = None if row is None else row[0]
        if sealed is None:
            return None
        strong = sealed[:-_CHECKSUM]
        return strong if sealed == strong + xxh3_64_digest(name + strong) else None

    def put_shortcut(self, name: Digest, strong: Digest) -> None:
        """Written by `flush`."""
        self._shortcuts[name] = strong + xxh3_64_digest(name + strong)

    def flush(self) -> None:
        """Writes what was put.  Failing to is no error."""
        if not self._pending and not self._shortcuts:
            return
        pending, self._pending = self._pending, []
        shortcuts, self._shortcuts = self._shortcuts, {}
        connection = self._open()
        if connection is None:
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", pending)
            if shortcuts:
                connection.executemany(
                    "INSERT OR REPLACE INTO shortcuts VALUES (?, ?)", shortcuts.items()
                )
                connection.execute(
                    "DELETE FROM shortcuts WHERE rowid <="
                    f" (SELECT max(rowid) FROM shortcuts) - {_SHORTCUTS}"
                )
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
            except (DatabaseError, NoFile):
                self._mend(path)
            except OSError:
                self._path = None
        return self._connection

    def _mend(self, path: bytes) -> None:
        """Sets up an empty database in place of one that is damaged."""
        try:
            for suffix in (b"", *BESIDE):
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
    make_private_database(path)
    connection = connect(path, timeout=2.0, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        if _version(connection) != _SCHEMA:
            with Lock(os.path.dirname(path)):
                if _version(connection) != _SCHEMA:
                    _set_up(connection)
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
    connection.execute("DROP TABLE IF EXISTS shortcuts")
    connection.execute("CREATE TABLE shortcuts (name BLOB PRIMARY KEY, strong BLOB NOT NULL)")
    connection.execute(f"PRAGMA user_version = {_SCHEMA}")
    connection.execute("COMMIT")
