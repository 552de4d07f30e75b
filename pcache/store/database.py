"""One SQLite database: made with the right permissions, its errors turned into ours."""

from __future__ import annotations

import os

from pcache.errors import StoreError
from pcache.linux.files import NoFile
from pcache.store.sqlite import DatabaseError, connect, make_private_database

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from sqlite3 import Connection
    from types import TracebackType

    Value = bytes | str | int | None
    Row = tuple[bytes, ...]

_ERRORS = (DatabaseError, UnicodeDecodeError)
"""UnicodeDecodeError: SQLite has put the name of something damaged into its message."""

SCHEMA = 6
"""PRAGMA user_version of an index: raise it with every change of its tables or of what their rows
mean."""

BUSY_S = 10.0
"""How long to wait for another process's transaction, in seconds."""
_BUSY_ALONE_S = 1.0
"""The same where that has the database until it ends."""
_ROOM = 4 << 20
"""Bytes."""

# https://www.sqlite.org/rescode.html; the low byte of an extended code is the primary one.
_ERROR = 1
_BUSY = 5
_CORRUPT = 11
_FULL = 13
_NO_ROOM = (8, 10, 14)
"""SQLITE_READONLY, SQLITE_IOERR, SQLITE_CANTOPEN."""
_NOTADB = 26

_SET_ASIDE = "trace and run set it aside and begin a new one"


class DamagedIndex(StoreError):
    """The index is not a database, or one with broken pages: `setup.set_damaged_aside`."""


class OutdatedIndex(StoreError):
    """The index is of an earlier version, whose records mean nothing: `setup.remove_outdated`."""


class NoRoom(StoreError):
    """The disk is full or read-only, perhaps for what lies beside the database alone."""


class Database:
    """A connection in autocommit mode, with transactions that nest.

    Every method raises StoreError, DamagedIndex if SQLite finds the file damaged.
    """

    def __init__(self, path: bytes, alone: bool = False) -> None:
        """`alone`: without what processes share beside it (https://www.sqlite.org/wal.html), for
        which a full or read-only disk has no room; then no two have it at once, or none writes."""
        self.path = path
        self._depth = 0
        self.rollbacks = 0
        """How often what was written did not come to stay."""
        try:
            make_private_database(path)
        except NoFile as error:
            raise DamagedIndex(
                f"the index of the store is damaged ({os.fsdecode(error.filename)}:"
                f" {error.strerror})",
                _SET_ASIDE,
            ) from error
        except OSError as error:
            raise StoreError(
                f"cannot open the store {os.fsdecode(path)}: {error.strerror}",
                "make its directory writable, or choose another with XDG_CACHE_HOME",
            ) from error
        try:
            self._connection: Connection = (
                self._connect_alone()
                if alone
                else connect(path, timeout=BUSY_S, isolation_level=None)
            )
        except _ERRORS as error:
            raise self._translated(error) from error

    def _connect_alone(self) -> Connection:
        if os.statvfs(self.path).f_flag & os.ST_RDONLY and not _has_content(self.path + b"-wal"):
            # What the log beside it says would not be seen.
            from urllib.parse import quote_from_bytes

            name = f"file:{quote_from_bytes(self.path)}?immutable=1"
            return connect(name, uri=True, isolation_level=None)
        connection = connect(self.path, timeout=_BUSY_ALONE_S, isolation_level=None)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        return connection

    def rows(self, sql: str, values: Sequence[Value] = ()) -> list[tuple[bytes, ...]]:
        """Runs one statement; all its rows (whose columns have the types of the schema)."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except _ERRORS as error:
            raise self._translated(error) from error

    def row(self, sql: str, values: Sequence[Value] = ()) -> tuple[bytes, ...] | None:
        """Runs one statement; its first row."""
        rows = self.rows(sql, values)
        return rows[0] if rows else None

    def change(self, sql: str, values: Sequence[Value] = ()) -> None:
        """Runs one statement that gives no rows."""
        self.rows(sql, values)

    def number(self, sql: str, values: Sequence[Value] = ()) -> int:
        """Runs one statement that gives one number."""
        try:
            (value,) = self._connection.execute(sql, values).fetchone()
        except _ERRORS as error:
            raise self._translated(error) from error
        return int(value)

    def has_code(self) -> bool:
        """Whether there are views or triggers, which are never pcache's: they act on their own."""
        code = "SELECT count(*) FROM sqlite_schema WHERE type IN ('view', 'trigger')"
        return self.number(code) != 0

    @property
    def in_transaction(self) -> bool:
        """Whether one has begun that writes."""
        return self._depth > 0

    def __enter__(self) -> Database:
        """Begins a transaction that writes, unless one has begun; `with` ends the outermost."""
        if self._depth == 0:
            # IMMEDIATE: a transaction that reads first and writes later could not wait for another
            # writer, as what it has read would be out of date then (SQLITE_BUSY_SNAPSHOT).
            self.change("BEGIN IMMEDIATE")
        self._depth += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if self._depth:
            return
        if kind is None:
            try:
                self.change("COMMIT")
            except StoreError:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        self.rollbacks += 1
        # Some errors (disk full, I/O) have already ended the transaction.
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except DatabaseError:
                self._connection.close()

    def close(self) -> None:
        """Closes the connection."""
        try:
            self._connection.close()
        except _ERRORS as error:
            raise self._translated(error) from error

    def write_in_place(self, wanted: bool) -> None:
        """Whether to do without a log beside the database, which takes room that a full disk does
        not have.  A process that is killed then may leave it damaged (never wrong, as rows have
        checksums).  Nothing changes while other processes have it open."""
        try:
            if wanted:
                self.change("PRAGMA locking_mode = EXCLUSIVE")
            self.change(f"PRAGMA journal_mode = {'MEMORY' if wanted else 'WAL'}")
        except StoreError:
            return

    @property
    def has_room(self) -> bool:
        """Whether there is as much room on its disk as a transaction may need."""
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize > _ROOM

    def _translated(self, error: DatabaseError | UnicodeDecodeError) -> StoreError:
        name = os.fsdecode(self.path)
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        # It may have in it what is stored there.
        why = "".join(letter if letter.isprintable() else " " for letter in str(error))
        # Our statements are right, so SQLITE_ERROR means that tables are missing.
        if isinstance(error, UnicodeDecodeError) or code in (_CORRUPT, _NOTADB, _ERROR):
            return DamagedIndex(
                f"the index of the store is damaged ({name}: {why})",
                _SET_ASIDE,
            )
        if code == _FULL:
            return NoRoom(f"no space left for the store ({name})", "free some disk space")
        if code in _NO_ROOM:
            return NoRoom(f"the store cannot be used ({name}: {why})")
        if code == _BUSY:
            return StoreError(
                f"another process keeps the store locked ({name})",
                "let it go on, or end it: fuser -v tells which",
            )
        return StoreError(f"the store cannot be used ({name}: {why})")


def _has_content(path: bytes) -> bool:
    try:
        return os.stat(path).st_size > 0
    except FileNotFoundError:
        return False
