"""What a store knows of a shared one: which of its contents is which, and what is there already.

A SQLite file beside the index.  Losing it costs time and nothing else.
"""

from __future__ import annotations

import os

from xxhash import xxh3_64_digest

from pcache.sha256 import SIZE
from pcache.store.sqlite import DatabaseError, connect, make_private_database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sqlite3 import Connection

    from pcache.model import Digest
    from pcache.remote.names import Name

_TABLES = (
    "CREATE TABLE IF NOT EXISTS contents"
    " (digest BLOB PRIMARY KEY, name BLOB NOT NULL, seal BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS names ON contents (name)",
    "CREATE TABLE IF NOT EXISTS pushed (object BLOB PRIMARY KEY) WITHOUT ROWID",
)


class Known:
    """Not for use by several threads.  No failure is reported: then nothing is known."""

    def __init__(self, directory: bytes, url: bytes) -> None:
        self._url = url
        self._connection: Connection | None = None
        path = directory + b"/remote.db"
        try:
            self._connection = _connect(path)
        except (DatabaseError, OSError):
            for suffix in (b"", b"-wal", b"-shm"):
                try:
                    os.unlink(path + suffix)
                except OSError:
                    continue
            try:
                self._connection = _connect(path)
            except (DatabaseError, OSError):
                return

    def digest(self, name: Name) -> Digest | None:
        """The local digest of a content."""
        for row in self._rows("SELECT digest, name, seal FROM contents WHERE name = ?", name):
            if row[2] == _seal(row[0], row[1]):
                return row[0]
        return None

    def name(self, digest: Digest) -> Name | None:
        """The name of a content of the local store."""
        for row in self._rows("SELECT digest, name, seal FROM contents WHERE digest = ?", digest):
            if row[2] == _seal(row[0], row[1]) and len(row[1]) == SIZE:
                return row[1]
        return None

    def note(self, digest: Digest, name: Name) -> None:
        """Remembers which content is which."""
        self._rows(
            "INSERT OR REPLACE INTO contents VALUES (?, ?, ?)", digest, name, _seal(digest, name)
        )

    def is_pushed(self, kind: bytes, name: bytes) -> bool:
        """Whether we have put an object there."""
        return bool(self._rows("SELECT 1 FROM pushed WHERE object = ?", self._object(kind, name)))

    def note_pushed(self, kind: bytes, name: bytes) -> None:
        """Remembers that an object is there."""
        self._rows("INSERT OR IGNORE INTO pushed VALUES (?)", self._object(kind, name))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _object(self, kind: bytes, name: bytes) -> bytes:
        return xxh3_64_digest(self._url) + kind + name

    def _rows(self, sql: str, *values: bytes) -> list[tuple[bytes, ...]]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(sql, values).fetchall()
        except DatabaseError:
            return []


def _seal(digest: Digest, name: Name) -> bytes:
    return xxh3_64_digest(digest + name)


def _connect(path: bytes) -> Connection:
    make_private_database(path)
    connection = connect(path, timeout=2.0, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in _TABLES:
            connection.execute(statement)
    except DatabaseError:
        connection.close()
        raise
    return connection
