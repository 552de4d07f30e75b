"""Setting up an index, and setting a damaged one aside: once in the life of a store."""

from __future__ import annotations

import os

from pcache.errors import StoreError
from pcache.store.database import SCHEMA, DamagedIndex, Database
from pcache.store.locks import Lock
from pcache.store.sqlite import BESIDE

_TABLES = """
CREATE TABLE calls (
    weak BLOB PRIMARY KEY, call BLOB NOT NULL, seen INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE path_sets (
    digest BLOB PRIMARY KEY, keys BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE lookups (
    weak BLOB NOT NULL, path_set BLOB NOT NULL, latest BLOB NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (weak, path_set)
) WITHOUT ROWID;
CREATE TABLE outcomes (
    strong BLOB PRIMARY KEY, weak BLOB NOT NULL, path_set BLOB NOT NULL, facts BLOB NOT NULL,
    outcome BLOB NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE withdrawn (
    strong BLOB PRIMARY KEY, weak BLOB NOT NULL, what TEXT NOT NULL, seen INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE uncacheable (
    weak BLOB NOT NULL, reason TEXT NOT NULL, evidence TEXT NOT NULL, seen INTEGER NOT NULL,
    PRIMARY KEY (weak, reason, evidence)
) WITHOUT ROWID;
CREATE TABLE blobs (
    digest BLOB PRIMARY KEY, data BLOB NOT NULL, put INTEGER NOT NULL
) WITHOUT ROWID;
"""


def make_index(path: bytes, database: Database) -> int:
    """Makes the tables of the store at `path`, unless another process has; the schema."""
    with Lock(path):
        return database.number("PRAGMA user_version") or _make_tables(database)


def _make_tables(database: Database) -> int:
    # Waiting for the disk two dozen times takes longer than many a command, for nothing that could
    # be lost: what a power failure leaves of an empty index is set aside if it is unsound.
    database.change("PRAGMA synchronous = OFF")
    # Only an empty database takes this; it lets the file shrink when records are removed.
    database.change("PRAGMA auto_vacuum = INCREMENTAL")
    database.change("PRAGMA journal_mode = WAL")
    with database:
        for statement in _TABLES.split(";")[:-1]:
            database.change(statement)
        database.change(f"PRAGMA user_version = {SCHEMA}")
    return SCHEMA


def set_damaged_aside(path: bytes) -> bytes:
    """Reads the whole index of the store at `path` and, if it is damaged, renames it to
    index.db.damaged-N; its new path, empty if it is sound.  For use after a DamagedIndex.

    One process at a time; a second finds the new, sound one.  Others that have the old one open
    keep to it: SQLite sees that it was moved, and leaves the files of the new one alone.  Raises
    StoreError.
    """
    index = path + b"/index.db"
    try:
        with Lock(path):
            return b"" if _is_sound(index) else _set_aside(index)
    except OSError as error:
        raise StoreError(
            f"the damaged index {os.fsdecode(index)} cannot be set aside: {error.strerror}"
        ) from error


def remove_outdated(path: bytes) -> None:
    """Removes the index of the store at `path` if it is of an earlier version; contents stay until
    `gc` finds that nobody needs them.  As for a damaged one others may have it open.

    Raises StoreError.
    """
    index = path + b"/index.db"
    try:
        with Lock(path):
            database = Database(index)
            try:
                version = database.number("PRAGMA user_version")
            finally:
                database.close()
            if 0 < version < SCHEMA:
                for name in _files(index):
                    if os.path.lexists(name):
                        os.unlink(name)
    except OSError as error:
        raise StoreError(
            f"the outdated index {os.fsdecode(index)} cannot be removed: {error.strerror}"
        ) from error


def _files(index: bytes) -> list[bytes]:
    """What SQLite keeps of a database, that itself last."""
    return [index + suffix for suffix in (*BESIDE, b"")]


def _set_aside(index: bytes) -> bytes:
    number = 1
    while os.path.lexists(b"%b.damaged-%d" % (index, number)):
        number += 1
    kept = b"%b.damaged-%d" % (index, number)
    for old, new in zip(_files(index), _files(kept), strict=True):
        if os.path.lexists(old):
            os.rename(old, new)
    return kept


def _is_sound(index: bytes) -> bool:
    try:
        database = Database(index)
    except DamagedIndex:
        return False
    try:
        made = database.number("PRAGMA user_version") != 0
        tables = database.number(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        return (
            tables == _TABLES.count("CREATE TABLE") * made
            and not database.has_code()
            and not database.number(
                "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"
            )
        )
    except DamagedIndex:
        return False
    finally:
        database.close()
