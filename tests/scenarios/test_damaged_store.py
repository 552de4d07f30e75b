"""Stores that were damaged: whatever is broken is a miss, and mended by the next recording."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.lib.differential import Bench
from tests.lib.launch import Stdio
from tests.lib.scenario import ROOT_HIT
from tests.lib.small import COMMAND, PRINTED, objects, replay, trace
from tests.lib.tree import Snapshot

pytestmark = [pytest.mark.root, pytest.mark.system_files]


def test_damaged_blob_is_a_miss_and_mended_by_tracing(prepared: Bench) -> None:
    trace(prepared)
    (blob,) = objects(prepared)
    blob.chmod(0o600)
    data = bytearray(blob.read_bytes())
    data[100] ^= 1
    blob.write_bytes(data)
    missed = replay(prepared, "-v")
    assert missed.ended == PRINTED
    assert missed.counters["miss: damaged"] >= 1
    assert any(not one.hit and one.command.startswith("sh -c") for one in missed.decisions)
    (prepared.directory / "out").unlink()
    assert trace(prepared).ended == PRINTED
    hit = replay(prepared, "-v")
    assert hit.ended == PRINTED
    assert ROOT_HIT.faults(hit) == []


def test_missing_blob_is_a_miss(prepared: Bench) -> None:
    trace(prepared)
    for blob in objects(prepared):
        blob.unlink()
    missed = replay(prepared, "-v")
    assert missed.ended == PRINTED
    assert {"sh", "seq"} == {one.command.split()[0] for one in missed.decisions if not one.hit}


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty"])
def test_damaged_index(prepared: Bench, damage: str) -> None:
    trace(prepared)
    index = prepared.store / "pcache/index.db"
    for extra in ("-wal", "-shm"):
        index.with_name(f"index.db{extra}").unlink(missing_ok=True)
    data = index.read_bytes()
    broken = {"garbage": b"no database" * 999, "cut": data[: len(data) // 2], "empty": b""}
    index.write_bytes(broken[damage])
    result = replay(prepared)
    assert result.ended == PRINTED
    assert result.counters["hits"] == 0
    (prepared.directory / "out").unlink()
    retraced = trace(prepared)
    assert retraced.ended == PRINTED
    if damage != "empty":  # an empty file is a new database
        assert "index" in result.own + retraced.own


def damage_index(index: Path, how: str) -> None:
    with closing(sqlite3.connect(index)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode = DELETE")
        if how == "no table":
            database.execute("DROP TABLE outcomes")
            database.commit()
        elif how == "bad schema":
            database.execute("PRAGMA writable_schema = ON")
            database.execute("UPDATE sqlite_master SET sql = replace(sql, '(', '(\"')")
            database.commit()
    data = bytearray(index.read_bytes())
    if how == "no database":
        data[:] = b"no database" * 999
    elif how == "cut":
        del data[len(data) // 2 :]
    elif how == "bad pages":
        for page in range(4096, len(data), 4096):
            data[page : page + 100] = b"\xee" * 100
    index.write_bytes(data)


@pytest.mark.parametrize("verb", ["trace", "run"])
@pytest.mark.parametrize("how", ["no database", "cut", "no table", "bad schema", "bad pages"])
def test_recording_sets_a_damaged_index_aside(prepared: Bench, verb: str, how: str) -> None:
    """At once where it is seen to be damaged before anything was recorded, else in the end."""
    trace(prepared)
    store = prepared.store / "pcache"
    damage_index(store / "index.db", how)
    said = ""
    for _ in range(2):
        missed = replay(prepared)
        assert missed.ended == PRINTED
        assert not list(store.glob("*.damaged-*"))
    for _ in range(2):
        (prepared.directory / "out").unlink()
        record = getattr(prepared.launcher, verb)
        recorded = record(COMMAND, prepared.directory, prepared.env, Stdio(), ())
        assert recorded.ended == PRINTED
        said += recorded.own
    assert said.count("index.db.damaged-1, a new one begins") == 1
    assert (store / "index.db.damaged-1").exists()
    hit = replay(prepared, "-v")
    assert hit.ended == PRINTED
    assert ROOT_HIT.faults(hit) == []
    assert "damaged" not in hit.own


@pytest.mark.parametrize("verb", ["trace", "run"])
def test_recording_replaces_a_store_of_an_earlier_version(prepared: Bench, verb: str) -> None:
    trace(prepared)
    index = prepared.store / "pcache/index.db"
    database = sqlite3.connect(index)
    database.execute("DROP TABLE withdrawn")
    database.execute("PRAGMA user_version = 1")
    database.close()
    missed = replay(prepared)
    assert missed.ended == PRINTED
    assert "an earlier version of pcache" in missed.own
    said = ""
    for _ in range(2):
        (prepared.directory / "out").unlink()
        record = getattr(prepared.launcher, verb)
        recorded = record(COMMAND, prepared.directory, prepared.env, Stdio(), ())
        assert recorded.ended == PRINTED
        said += recorded.own
    assert said.count("by an earlier version: a new one begins") == 1
    assert ROOT_HIT.faults(replay(prepared, "-v")) == []


def test_a_check_leaves_a_damaged_index_alone(prepared: Bench) -> None:
    trace(prepared)
    store = prepared.store / "pcache"
    for how in ("no table", "no database"):
        damage_index(store / "index.db", how)
        for _ in range(2):
            assert replay(prepared, "--check").ended == PRINTED
    assert not list(store.glob("*.damaged-*"))


def test_unreadable_digests_are_only_slower(prepared: Bench) -> None:
    trace(prepared)
    (prepared.store / "pcache/digests.db").write_bytes(b"no database" * 999)
    hit = replay(prepared, "-v")
    assert hit.ended == PRINTED
    assert ROOT_HIT.faults(hit) == []


def flip(data: bytearray, source: random.Random) -> bytes:
    for _ in range(source.choice((1, 8, 64))):
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)
    return data


def overwrite(data: bytearray, source: random.Random) -> bytes:
    at = source.randrange(len(data))
    what = source.choice((bytes(512), source.randbytes(512), data[:512]))
    return data[:at] + what + data[at + len(what) :]


def cut(data: bytearray, source: random.Random) -> bytes:
    return data[: source.randrange(len(data))]


def swap(data: bytearray, source: random.Random) -> bytes:
    """Two pages of a database that was not written out whole."""
    at, to = (source.randrange(len(data)) // 4096 * 4096 for _ in range(2))
    data[at : at + 4096], data[to : to + 4096] = data[to : to + 4096], data[at : at + 4096]
    return data


DAMAGES: list[Callable[[bytearray, random.Random], bytes]] = [flip, overwrite, cut, swap]


@pytest.mark.rounds(12, 420)
def test_damaged_at_random(prepared: Bench, rounds: int) -> None:
    """Any file of a store, in any way: nothing wrong comes of it, neither then nor later."""
    source = random.Random(rounds)
    assert trace(prepared).ended == PRINTED
    assert ROOT_HIT.faults(replay(prepared, "-v")) == []
    plain = Snapshot.take(prepared.directory, 0, 0)
    store, whole = prepared.store / "pcache", prepared.store.parent / "whole"
    os.rename(store, whole)
    for number in range(rounds):
        shutil.rmtree(store, ignore_errors=True)
        shutil.copytree(whole, store)
        files = sorted(path for path in store.rglob("*") if path.is_file() and path.stat().st_size)
        path = source.choice(files)
        # Half of them of what decides.
        path = store / source.choice(("index.db", "digests.db")) if number % 2 else path
        damaged = DAMAGES[number // 2 % len(DAMAGES)](bytearray(path.read_bytes()), source)
        path.chmod(0o600)
        path.write_bytes(damaged)
        for verb in ("replay", source.choice(("run", "trace")), "replay"):
            (prepared.directory / "out").unlink()
            start = getattr(prepared.launcher, verb)
            done = start(COMMAND, prepared.directory, prepared.env, Stdio(), ["-q"])
            assert done.ended == PRINTED, (path, verb, done)
            assert plain.difference(Snapshot.take(prepared.directory, 0, 0)) == [], (path, verb)
