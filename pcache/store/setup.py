"""Setting up an index, and setting a damaged one aside: once in the life of a store."""

from __future__ import annotations

import os

from pcache.store.database import SCHEMA, DamagedIndex, Database
from pcache.store.locks import Lock

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
    # Only an empty database takes this; it lets the file shrink when records are removed.
    database.change("PRAGMA auto_vacuum = INCREMENTAL")
    database.change("PRAGMA journal_mode = WAL")
    with database:
        for statement in _TABLES.split(";")[:-1]:
            database.change(statement)
        database.change(f"PRAGMA user_version = {SCHEMA}")
    return SCHEMA


def mend(path: bytes) -> None:
    """Sets a damaged index of the store at `path` aside.

    One process at a time; a second finds the new, sound one.
    """
    index = path + b"/index.db"
    with Lock(path):
        if _is_sound(index):
            return
        number = 1
        while os.path.lexists(b"%b.damaged-%d" % (index, number)):
            number += 1
        for suffix in (b"-wal", b"-shm", b""):
            try:
                os.rename(index + suffix, b"%b.damaged-%d%b" % (index, number, suffix))
            except FileNotFoundError:
                continue


def _is_sound(index: bytes) -> bool:
    try:
        database = Database(index)
    except DamagedIndex:
        return False
    try:
        if database.number("PRAGMA user_version") == 0:
            return True
        tables = database.number(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        return tables == _TABLES.count("CREATE TABLE") and not database.number(
            "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"
        )
    except DamagedIndex:
        return False
    finally:
        database.close()
