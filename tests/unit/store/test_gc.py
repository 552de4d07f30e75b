"""Collection: what goes, what stays, and that others at work lose nothing they rely on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pcache.counters import Counters
from pcache.model import Fact, Kind, Outcome, Output, Record
from pcache.settings import units
from pcache.store.database import Database
from pcache.store.gc import Collector, Report, collect_if_over
from pcache.store.index import Store
from pcache.store.lease import Lease, oldest_lease_ns
from pcache.store.totals import Totals
from pcache.store.verify import Verifier
from tests.conftest import CHECKOUT
from tests.lib.stores import make_record

LARGE = 100_000
HOUR = 3600 * 10**9


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(bytes(tmp_path / "store")) as opened:
        yield opened


def record(store: Store, name: bytes, *contents: bytes, used_hours_ago: int = 0) -> Record:
    """A stored record that puts files with these contents in place."""
    put = store.blobs.put_bytes
    outputs = [Output(b"f", b"/%b%d" % (name, n), 0o644, put(c)) for n, c in enumerate(contents)]
    made = make_record(name, outcome=Outcome(0, tuple(outputs), ((1, 4),), put(b"said")))
    store.add(made)
    store.database.change(
        "UPDATE outcomes SET used = ? WHERE weak = ?",
        (time.time_ns() - used_hours_ago * HOUR, made.weak),
    )
    return made


def age(store: Store, hours: int = 2) -> None:
    """Makes all contents look as if they were put that long ago, by a session that has ended."""
    store.blobs.close()
    then = time.time() - hours * 3600
    store.database.change("UPDATE blobs SET put = ?", (int(then),))
    for path in Path(os.fsdecode(store.directory), "objects").glob("*/*"):
        os.utime(path, (then, then))


def is_there(store: Store, made: Record) -> bool:
    return bool(store.path_sets(made.weak)) and store.call(made.weak) is not None


def has_all(store: Store, made: Record) -> bool:
    return all(store.blobs.has(output.content) for output in made.outcome.outputs)


def test_used_longest_ago_goes_first(store: Store) -> None:
    made = [record(store, b"%d" % n, os.urandom(LARGE), used_hours_ago=9 - n) for n in range(4)]
    age(store)
    size = Collector(store, dry_run=True).run().size_before
    report = Collector(store, size - 3 * LARGE // 2).run()
    # The limit is undercut by a tenth: two of four go.
    assert report.records == 2
    assert [is_there(store, one) for one in made] == [False, False, True, True]
    assert [has_all(store, one) for one in made] == [False, False, True, True]
    assert report.size_after < 0.9 * size
    assert Collector(store, size).run().records == 0


def test_shared_contents_stay(store: Store) -> None:
    shared, small = os.urandom(LARGE), b"small"
    old = record(store, b"old", shared, os.urandom(LARGE), small, used_hours_ago=5)
    new = record(store, b"new", shared, small)
    age(store)
    Collector(store, older_than_ns=time.time_ns() - HOUR).run()
    assert not is_there(store, old)
    assert not store.blobs.has(old.outcome.outputs[1].content)
    assert is_there(store, new) and has_all(store, new)
    assert store.blobs.get_bytes(new.outcome.data) == b"said"


def test_dry_run_removes_nothing_and_tells_the_same(store: Store) -> None:
    made = record(store, b"a", os.urandom(LARGE), b"row", used_hours_ago=3)
    age(store)
    leftover = Path(os.fsdecode(store.directory), "tmp/1-2-3")
    leftover.touch()
    os.utime(leftover, (1, 1))
    dry = Collector(store, 0, dry_run=True).run()
    assert is_there(store, made) and has_all(store, made) and leftover.exists()
    wet = Collector(store, 0).run()
    assert not is_there(store, made) and not has_all(store, made) and not leftover.exists()
    # a file, a row, the environment, and what was written to stdout; calls go with their records
    assert (dry.records, dry.blobs, dry.leftovers) == (1, 3, 1)
    assert (wet.records, wet.blobs, wet.leftovers) == (1, 3, 1)
    again = Collector(store, 0).run()
    assert (again.records, again.blobs) == (0, 1)  # the environment, referred to until then
    for table in ("calls", "path_sets", "lookups", "outcomes", "blobs"):
        assert store.database.number(f"SELECT count(*) FROM {table}") == 0


def test_notes_go_with_the_records_of_their_time(store: Store) -> None:
    record(store, b"x")
    store.add(make_record(b"x", outcome=Outcome(0x100)))
    old = time.time_ns() - 9 * HOUR
    assert store.database.number("SELECT count(*) FROM withdrawn") == 1
    Collector(store, older_than_ns=time.time_ns() - HOUR).run()
    assert store.database.number("SELECT count(*) FROM withdrawn") == 1
    store.database.change("UPDATE withdrawn SET seen = ?", (old,))
    Collector(store, older_than_ns=time.time_ns() - HOUR).run()
    assert store.database.number("SELECT count(*) FROM withdrawn") == 0
    assert store.database.number("SELECT count(*) FROM calls") == 0


def test_contents_of_a_session_at_work_are_spared(store: Store, tmp_path: Path) -> None:
    with Store.open(bytes(tmp_path / "store")) as recording:
        large = recording.blobs.put_bytes(os.urandom(LARGE))
        small = recording.blobs.put_bytes(b"small")
        put_again = store.blobs.put_bytes(b"known")
        store.blobs.flush()
        age(store)
        recording.blobs.put_bytes(b"known")
        recording.blobs.flush()
        # Put by a session that began hours ago and is still at work.
        lease = next(Path(os.fsdecode(store.directory), "sessions").iterdir())
        then = time.time() - 4 * 3600
        os.utime(lease, (then, then))
        assert Collector(store, 0).run().blobs == 0
        for digest in (large, small, put_again):
            assert store.blobs.has(digest)
    age(store)
    assert Collector(store, 0).run().blobs == 3


def test_leases_of_the_dead_are_removed(tmp_path: Path) -> None:
    directory = bytes(tmp_path)
    assert oldest_lease_ns(directory) is None
    lease = Lease(directory)
    began = oldest_lease_ns(directory)
    assert began is not None and abs(began - time.time_ns()) < 60 * 10**9
    dead = tmp_path / "sessions/123-456"
    dead.touch()
    assert oldest_lease_ns(directory) == began
    assert not dead.exists()
    lease.release()
    assert oldest_lease_ns(directory) is None
    assert list((tmp_path / "sessions").iterdir()) == []


def test_a_record_that_is_recorded_again_counts_as_used(store: Store) -> None:
    made = record(store, b"a", used_hours_ago=5)
    store.add(made)
    assert Collector(store, older_than_ns=time.time_ns() - HOUR).run().records == 0
    assert is_there(store, made)


def test_damaged_rows_do_not_hinder(store: Store) -> None:
    made = record(store, b"a", b"x")
    store.database.change("UPDATE outcomes SET outcome = zeroblob(9)")
    store.database.change("UPDATE calls SET call = zeroblob(9)")
    assert Collector(store, 0).run().records == 1
    assert not store.path_sets(made.weak)


def test_index_shrinks(store: Store) -> None:
    for n in range(200):
        record(store, b"%d" % n, os.urandom(4000))
    age(store)
    path = Path(os.fsdecode(store.directory), "index.db")
    store.database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.stat().st_size
    Collector(store, 0).run()
    assert path.stat().st_size < before / 2


def test_after_recording(tmp_path: Path) -> None:
    directory = bytes(tmp_path / "store")
    limit = 2 << 20

    def session(number: int) -> Report | None:
        with Store.open(directory, counters=Counters()) as store:
            record(store, b"%d" % number, os.urandom(700_000), used_hours_ago=9 - number)
            return collect_if_over(store, limit)

    assert session(0) is None
    assert session(1) is None
    time.sleep(2.1)  # what was put less than two seconds ago may still belong to somebody
    report = session(2)
    assert report is not None and report.records == 1
    # The tally knows the true size now.
    assert Totals(directory).total()["bytes stored"] < limit  # type: ignore[index]
    with Store.open(directory) as store:
        assert collect_if_over(store, limit) is None


CONCURRENT = """
import os, sys, time
from pcache.counters import Counters
from pcache.store.index import Store
from pcache.store.database import Database
from pcache.store.gc import Collector
from tests.unit.store.test_gc import record
directory, what = os.fsencode(sys.argv[1]), sys.argv[2]
end = time.monotonic() + 4
rounds = 0
while time.monotonic() < end:
    rounds += 1
    with Store.open(directory) as store:
        if what == "gc":
            Collector(store, 300_000).run()
            continue
        made = []
        for number in range(6):
            # The contents of all sessions are the same few, so that each is put again and again.
            contents = [bytes([number, n]) * size for n, size in enumerate((5, 60_000))]
            made.append(record(store, b"%d" % (number % 4), *contents))
            time.sleep(0.01)
        for one in made:
            for output in one.outcome.outputs:
                store.blobs.get_bytes(output.content)
print(rounds)
"""


def test_recording_while_collecting(tmp_path: Path) -> None:
    """What a session has put is there as long as it lasts, whatever is collected meanwhile."""
    directory = str(tmp_path / "store")
    Store.open(directory).close()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", CONCURRENT, directory, what],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for what in ("gc", "record", "record")
    ]
    for process in started:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert int(out) > 3
    with Store.open(directory) as store:
        for (strong,) in store.database.rows("SELECT strong FROM outcomes"):
            outcome = store.outcome(strong)
            assert outcome is not None
            for output in outcome.outputs:
                store.blobs.get_bytes(output.content)


def test_command_line(pcache: str, tmp_path: Path) -> None:
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}

    def gc(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [pcache, "gc", *words], env=env, capture_output=True, text=True, check=False
        )

    assert gc().returncode == 125
    with Store.open(bytes(tmp_path / "pcache")) as store:
        made = record(store, b"a", os.urandom(LARGE), used_hours_ago=48)
        age(store)
    for wrong in (["--max-size", "x"], ["--older-than", "5"], ["more"]):
        assert gc(*wrong).returncode == 2
    dry = gc("--older-than=1d", "--dry-run")
    assert dry.stdout.startswith("1 record, 2 contents and 0 leftovers would be removed; ")
    assert gc("-q", "--older-than=3d").stdout == ""
    done = gc("--older-than=1d")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 record, 2 contents and 0 leftovers removed; ")
    with Store.open(bytes(tmp_path / "pcache")) as store:
        assert not is_there(store, made)


def test_units() -> None:
    assert [units.size(text) for text in ("7", "2K", "500M", "10 GiB", "1.5g", "3 b")] == [
        7,
        2048,
        500 << 20,
        10 << 30,
        3 << 29,
        3,
    ]
    assert [units.age(text) for text in ("90m", "12h", "30d", "2w")] == [
        5400,
        43200,
        2592000,
        1209600,
    ]
    for text in ("", "M", "1X", "-1", "1.2.3", "1 2"):
        with pytest.raises(ValueError):
            units.size(text)
    for text in ("", "5", "d", "1.5d", "1y"):
        with pytest.raises(ValueError):
            units.age(text)
    assert [units.size_text(n) for n in (5, 1536, 3 << 30)] == ["5 B", "1.5 KiB", "3.0 GiB"]


class Meanwhile:
    """A database beside which something is done when certain rows have been read."""

    def __init__(self, database: Database, table: str, action: Callable[[], object]) -> None:
        self._database = database
        self._reads = f" FROM {table}"
        self._action = action
        self.acted = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)

    def rows(self, sql: str, *values: object) -> list[tuple[bytes, ...]]:
        found = self._database.rows(sql, *values)  # type: ignore[arg-type]
        if sql.endswith(self._reads) and not self.acted:
            self.acted = True
            self._action()
        return found


@pytest.mark.parametrize("table", ["blobs", "calls", "path_sets", "outcomes"])
@pytest.mark.parametrize("event", ["collected", "recorded"])
def test_verification_beside_others_finds_no_damage(store: Store, table: str, event: str) -> None:
    made = record(store, b"large", b"x" * LARGE, b"small")
    age(store)

    def act() -> None:
        if event == "collected":
            Collector(store, max_size=0).run()
            assert not is_there(store, made)
        else:
            put = store.blobs.put_bytes
            outcome = Outcome(0, (), ((1, 3),), put(b"new"))
            facts = (Fact(Kind.CONTENT, b"/elsewhere", b"fY"),)
            store.add(make_record(b"new", facts=facts, outcome=outcome))

    with Store.open(store.directory) as other:
        beside = Meanwhile(other.database, table, act)
        other._database = beside  # type: ignore[assignment]
        report = Verifier(other).run()
    assert beside.acted
    assert report.faults == []


def test_a_missing_content_is_found(store: Store) -> None:
    made = record(store, b"large", b"x" * LARGE)
    for path in store.blobs.objects.paths(made.outcome.outputs[0].content):
        if os.path.exists(path):
            os.unlink(path)
    (fault,) = Verifier(store).run().faults
    assert "a content is missing" in fault
