"""Shortcuts lead where the way over each value leads, or nowhere."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pcache.counters import Counters
from pcache.linux.descriptors import FdView, OwnFds
from pcache.linux.stamps import RACY_NS
from pcache.memo import decide
from pcache.memo.decide import Decider
from pcache.memo.facts import Facts
from pcache.memo.shortcuts import Shortcut
from pcache.model import Call, Fact, Key, Kind, Outcome, Record
from pcache.store.fingerprint import path_set, weak_fingerprint
from pcache.store.index import Store
from pcache.values import one_path
from tests.lib.stores import make_call

NAMES = ["one", "two", "three", "four", "five", "six", "seven", "eight"]


class Bench:
    """Files that a pretended program looks at in several ways."""

    def __init__(self, path: Path) -> None:
        self.place = path / "work"
        (self.place / "directory").mkdir(parents=True)
        for name in NAMES:
            (self.place / name).write_text(name)
        self.directory = path / "store"
        self.counters = Counters()
        self.store = Store.open(bytes(self.directory), counters=self.counters)
        self.call = make_call(b"-c")
        settle()

    def keys(self) -> list[Key]:
        paths = [bytes(self.place / name) for name in (*NAMES[:7], "absent", "directory/absent")]
        found = [(Kind.CONTENT, path) for path in paths[::2]]
        found += [(Kind.LCONTENT, path) for path in paths[1::2]]
        found += [(Kind.EXISTS, path) for path in paths[:2]]
        found += [(Kind.EXISTS, bytes(self.place / "eight"))]
        found += [(Kind.LEXISTS, paths[5]), (Kind.CONTENT, bytes(self.place / "directory"))]
        found += [(Kind.LISTING, bytes(self.place / "directory")), (Kind.CONTENT, b"/proc/version")]
        return [*path_set(found).keys, (Kind.ONE, one_path(()))]

    def record(self) -> None:
        """An execution over the files as they are; what it prints tells which it is."""
        keys = self.keys()
        values = Facts(self.store.digests, OwnFds(), Counters()).values(keys)
        facts = tuple(Fact(k, p, v) for (k, p), v in zip(keys, values, strict=True))
        text = repr(values).encode()
        outcome = Outcome(0, (), ((1, len(text)),), self.store.blobs.put_bytes(text))
        self.store.add(Record(self.call, weak_fingerprint(self.call), facts, outcome))

    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(bytes(self.directory), counters=self.counters)

    def decide(self, alone: bool, fds: FdView | None = None, call: Call | None = None) -> bytes:
        """What is printed by a hit; nothing for a miss."""
        decider = Decider(self.store, self.counters)
        decider.alone = alone
        plan = decider.decide(call or self.call, fds or OwnFds())
        if plan is None:
            return b""
        found = b"".join(bytes(data) for _, data in plan.writes())
        plan.abandon()
        return found


def settle() -> None:
    time.sleep(RACY_NS / 1e9 + 0.01)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(decide, "_MANY", 1)
    return Bench(tmp_path)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The fingerprints that shortcuts led to."""
    found: list[bytes] = []
    strong = Shortcut.strong

    def noted(shortcut: Shortcut) -> bytes | None:
        one = strong(shortcut)
        found.extend([one] if one else [])
        return one

    monkeypatch.setattr(Shortcut, "strong", noted)
    return found


def change(place: Path, rng: random.Random) -> None:
    """Something that a fact may be about, or that none is."""
    one, other = (place / name for name in rng.sample(NAMES, 2))
    how = rng.randrange(9)
    if how == 0:
        with suppress(OSError):  # links in a circle
            one.write_text(rng.choice(["one", "two", "longer"]))
    elif how == 1 and one.exists():
        one.chmod(rng.choice([0o644, 0o600]))
    elif how == 2:
        one.unlink(missing_ok=True)
    elif how == 3 and other.exists():
        one.unlink(missing_ok=True)
        os.link(other, one)
    elif how == 4:
        one.unlink(missing_ok=True)
        one.symlink_to(other.name)
    elif how == 5 and other.exists():
        shutil.copy2(other, place / "copy", follow_symlinks=False)
        os.rename(place / "copy", one)
    elif how == 6 and one.exists():
        os.utime(one, ns=(0, rng.choice([10**18, 10**18 + 5])))
    elif how == 7:
        (place / "directory" / rng.choice(["a", "b"])).touch()
    elif how == 8:
        shutil.rmtree(place / "directory", ignore_errors=True)
        (place / "directory").mkdir()


@pytest.mark.parametrize("seed", range(4))
def test_they_lead_where_the_values_lead(bench: Bench, taken: list[bytes], seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        if rng.random() < 0.6:
            with contextlib.suppress(OSError):  # links that lead in a circle
                change(bench.place, rng)
        if rng.random() < 0.5:
            settle()
        if rng.random() < 0.4:
            bench.record()
        if rng.random() < 0.3:
            bench.reopen()
        first = bench.decide(alone=True)
        assert first == bench.decide(alone=False)
        assert first == bench.decide(alone=True)
    assert len(taken) > 10


def test_files_that_became_one(bench: Bench, taken: list[bytes]) -> None:
    """One of which is only known to exist, so that no value but that of ONE tells."""
    eight = bench.place / "eight"
    eight.rename(bench.place / "other")
    eight.symlink_to("other")
    settle()
    bench.record()
    for _ in range(2):
        assert bench.decide(alone=True)
    assert len(taken) == 1
    eight.unlink()
    eight.symlink_to("one")
    assert not bench.decide(alone=True)
    assert not bench.decide(alone=False)


def test_what_is_young_is_not_kept(bench: Bench, taken: list[bytes]) -> None:
    """A change of the same size within the clock's grain would not show in the times, where the
    kernel stamps by ticks; what counts is what `DigestCache.settled` says."""
    bench.record()
    bench.store.digests.settled = lambda st: False  # type: ignore[method-assign]
    bench.store.digests.values.clear()
    for _ in range(3):
        assert bench.decide(alone=True)
    assert not taken


def test_its_output_is_its_input(bench: Bench, taken: list[bytes]) -> None:
    bench.record()
    for _ in range(2):
        assert bench.decide(alone=True)
    assert len(taken) == 1
    call = make_call(b"-c")
    call.fds = (b"null", b"file", b"null")

    class Fds(OwnFds):
        def status(self, fd: int) -> os.stat_result:
            return os.stat(bench.place / "three")

    bench.call = call
    bench.record()
    for _ in range(2):
        assert not bench.decide(alone=True, fds=Fds(), call=call)
        assert not bench.decide(alone=False, fds=Fds(), call=call)


def test_a_damaged_one_is_none(bench: Bench, taken: list[bytes]) -> None:
    bench.record()
    expected = bench.decide(alone=True)
    bench.store.close()
    with sqlite3.connect(bench.directory / "digests.db") as database:
        (count,) = database.execute("SELECT count(*) FROM shortcuts").fetchone()
        assert count == 1
        database.execute("UPDATE shortcuts SET strong = zeroblob(24)")
    database.close()
    bench.store = Store.open(bytes(bench.directory), counters=bench.counters)
    assert bench.decide(alone=True) == expected
    assert not taken


def test_one_whose_record_is_gone_leads_nowhere(bench: Bench, taken: list[bytes]) -> None:
    bench.record()
    assert bench.decide(alone=True)
    bench.store.quarantine(weak_fingerprint(bench.call), "standard output")
    assert not bench.decide(alone=True)
    assert len(taken) == 1
