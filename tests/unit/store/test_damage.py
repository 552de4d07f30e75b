"""A damaged index: what is broken is never believed."""

from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path

import pytest

from pcache.codec import DamagedRow
from pcache.errors import StoreError
from pcache.model import Fact, Kind, Outcome, Output, Record
from pcache.store.database import DamagedIndex
from pcache.store.fingerprint import path_set
from pcache.store.index import Store
from pcache.store.record_writer import KNOWN, STORED
from pcache.store.setup import set_damaged_aside
from pcache.store.verify import Verifier
from tests.lib.stores import MANY, make_record, strong_of


def fill(directory: Path, count: int = 40) -> list[Record]:
    made = [
        make_record(
            b"%d" % n,
            facts=tuple(Fact(Kind.CONTENT, b"/in/%d" % i, b"f%d" % n) for i in range(30)),
            outcome=Outcome(0, tuple(Output(b"-", b"/o/%d" % i) for i in range(n))),
        )
        for n in range(count)
    ]
    with Store.open(bytes(directory)) as store, store.batch():
        for record in made:
            store.add(record)
    return made


def test_flipped_bytes_never_give_a_wrong_outcome(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    made = fill(directory)
    index = directory / "index.db"
    sound = index.read_bytes()
    generator = random.Random(11)
    wrong = missing = 0
    for _ in range(60):
        damaged = bytearray(sound)
        for _ in range(20):
            damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        index.write_bytes(damaged)
        for suffix in ("-wal", "-shm"):
            Path(f"{index}{suffix}").unlink(missing_ok=True)
        try:
            store = Store.open(bytes(directory))
        except StoreError:
            missing += 1
            continue
        for record in made:
            try:
                known = [paths.digest for paths in store.path_sets(record.weak)]
                assert set(known) <= {path_set((f.kind, f.path) for f in record.facts).digest}
                found = store.outcome(strong_of(record))
            except StoreError:
                missing += 1
                continue
            wrong += found is not None and found != record.outcome
            missing += found is None
        store.close()
    assert wrong == 0
    assert missing > 0


def test_damaged_rows_are_misses(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    (record,) = fill(directory, 1)
    with Store.open(bytes(directory)) as store:
        store.database.change("UPDATE outcomes SET outcome = zeroblob(30)")
        store.database.change("UPDATE path_sets SET keys = zeroblob(30)")
        assert store.path_sets(record.weak) == []
        with pytest.raises(DamagedRow):
            store.outcome(strong_of(record))
        assert store.counters["rows damaged"] == 2


@pytest.mark.parametrize(
    "damaged",
    ["outcomes SET outcome", "outcomes SET facts", "path_sets SET keys", "calls SET call"],
)
def test_recording_again_replaces_damaged_rows(tmp_path: Path, damaged: str) -> None:
    directory = tmp_path / "store"
    (record,) = fill(directory, 1)
    database = sqlite3.connect(directory / "index.db")
    database.execute(f"UPDATE {damaged} = zeroblob(30)")
    database.commit()
    database.close()
    with Store.open(bytes(directory)) as store:
        assert Verifier(store).run().faults
        assert store.add(record) == (STORED if damaged.startswith("outcomes") else KNOWN)
        assert Verifier(store).run().faults == []
        assert len(store.path_sets(record.weak)) == 1
        assert store.outcome(strong_of(record)) == record.outcome


def test_damaged_long_sets_of_paths(tmp_path: Path) -> None:
    """Each flipped byte, cut and announcement is noticed, and nothing is allocated for it."""
    record = make_record(facts=MANY)
    with Store.open(bytes(tmp_path / "store")) as store:
        store.add(record)
        ((frame,),) = store.database.rows("SELECT keys FROM path_sets")
        huge = frame[:4] + bytes([0xE0]) + (1 << 50).to_bytes(8, "little") + frame[5:]
        flipped = [
            frame[:at] + bytes([frame[at] ^ 0x10]) + frame[at + 1 :]
            for at in range(0, len(frame), 7)
        ]
        for number, damaged in enumerate([b"", frame[:-1], frame + b"\0", huge, *flipped], 1):
            store.database.change("UPDATE path_sets SET keys = ?", (damaged,))
            assert store.path_sets(record.weak) == []
            assert store.counters["rows damaged"] == number
        assert len(Verifier(store).run().faults) >= 1
        store.add(record)
        assert len(store.path_sets(record.weak)) == 1
        assert Verifier(store).run().faults == []


@pytest.mark.parametrize("damage", ["garbage", "truncated", "no tables", "no version", "bad page"])
def test_a_damaged_index_is_reported_and_can_be_set_aside(tmp_path: Path, damage: str) -> None:
    directory = tmp_path / "store"
    made = fill(directory)
    index = directory / "index.db"
    if damage == "garbage":
        index.write_bytes(b"garbage" * 1000)
    elif damage == "truncated":
        os.truncate(index, 6000)
    elif damage == "bad page":
        data = bytearray(index.read_bytes())
        for page in range(4096, len(data), 4096):
            data[page : page + 100] = b"\xee" * 100
        index.write_bytes(data)
    elif damage == "no version":
        database = sqlite3.connect(index)
        database.execute("PRAGMA user_version = 0")
        database.close()
    else:
        database = sqlite3.connect(index)
        for table in ("outcomes", "lookups", "calls", "path_sets"):
            database.execute(f"DROP TABLE {table}")
        database.commit()
        database.close()
    with pytest.raises(DamagedIndex, match="damaged") as caught, Store.open(bytes(directory)) as s:
        for record in made:
            s.path_sets(record.weak)
            s.outcome(strong_of(record))
        s.add(made[0])
    assert caught.value.remedy
    assert set_damaged_aside(bytes(directory)) == bytes(directory / "index.db.damaged-1")
    with Store.open(bytes(directory)) as store:
        assert store.add(made[0]) == STORED
        assert store.outcome(strong_of(made[0])) == made[0].outcome
    assert (directory / "index.db.damaged-1").exists()
    assert set_damaged_aside(bytes(directory)) == b""
    with Store.open(bytes(directory)) as store:
        assert store.outcome(strong_of(made[0])) == made[0].outcome
    assert not (directory / "index.db.damaged-2").exists()
