"""The index: what was added is found, whole or not at all, by everybody at once."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcache.codec import DamagedRow
from pcache.errors import StoreError
from pcache.model import Call, Fact, Kind, Outcome, Output, Reason, Record, Uncacheable
from pcache.settings.rules import Policy
from pcache.store import records
from pcache.store.index import Store
from pcache.store.record_writer import KNOWN, NONDETERMINISTIC, STORED
from pcache.store.setup import remove_outdated
from pcache.store.verify import Verifier
from tests.lib.stores import MANY, make_call, make_record, strong_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(bytes(tmp_path / "store")) as opened:
        yield opened


RICH = Outcome(
    0x100,
    (
        Output(b"f", b"/out", 0o644, b"d" * 16),
        Output(b"d", b"/dir", 0o755),
        Output(b"l", b"/link", 0, b"target\xff"),
        Output(b"-", b"/gone"),
        Output(b"f", b"/dated", 0o600, b"e" * 16, 1_600_000_000_123_456_789),
    ),
    ((1, 10), (2, 3), (1, 0)),
    b"s" * 16,
    ((0, 77),),
    123456789,
    98765,
)


def test_what_is_added_is_found(store: Store) -> None:
    record = make_record(b"a", outcome=RICH)
    assert store.path_sets(record.weak) == []
    assert store.add(record) == STORED
    (paths,) = store.path_sets(record.weak)
    assert paths.keys == ((Kind.CONTENT, b"/in"),)
    assert store.outcome(strong_of(record)) == RICH
    assert store.outcome(b"?" * 16) is None
    assert store.latest_facts(record.weak, paths) == list(record.facts)
    assert store.call(record.weak) == record.call
    assert store.add(record) == KNOWN
    assert store.counters.nonzero()["records stored"] == 1
    assert store.counters.nonzero()["records known"] == 1


BYTES = st.binary(max_size=30)
NUMBERS = st.integers(min_value=-1, max_value=2**64)
OUTCOMES = st.builds(
    Outcome,
    NUMBERS,
    st.lists(st.builds(Output, BYTES, BYTES, NUMBERS, BYTES, NUMBERS), max_size=5).map(tuple),
    st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5).map(tuple),
    BYTES,
    st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5).map(tuple),
    NUMBERS,
    NUMBERS,
)


@given(OUTCOMES)
def test_outcomes_come_back(outcome: Outcome) -> None:
    packed = records.pack_outcome(b"k" * 16, outcome)
    assert records.unpack_outcome(b"k" * 16, packed) == outcome
    with pytest.raises(DamagedRow):
        records.unpack_outcome(b"l" * 16, packed)


@given(st.lists(BYTES, max_size=5).map(tuple), st.lists(BYTES, max_size=3).map(tuple), NUMBERS)
def test_calls_come_back(argv: tuple[bytes, ...], fds: tuple[bytes, ...], number: int) -> None:
    call = Call(b"/x", argv, (b"A=1",), b"/cwd", number, number, number, fds)
    packed = records.pack_call(call, b"e" * 16)
    assert records.call_environment(packed) == b"e" * 16
    from pcache.codec import pack

    assert records.unpack_call(packed, pack(call.env)) == call


def test_many_versions_of_one_path_set(store: Store) -> None:
    versions = [
        make_record(b"a", facts=(Fact(Kind.CONTENT, b"/in", b"f%d" % n),), outcome=Outcome(n << 8))
        for n in range(50)
    ]
    with store.batch():
        for version in versions:
            assert store.add(version) == STORED
    assert len(store.path_sets(versions[0].weak)) == 1
    for n, version in enumerate(versions):
        outcome = store.outcome(strong_of(version))
        assert outcome is not None
        assert outcome.status == n << 8


def test_path_sets_come_most_recently_used_first(tmp_path: Path) -> None:
    directory = bytes(tmp_path / "store")
    sets = [make_record(b"a", facts=(Fact(Kind.CONTENT, b"/in%d" % n, b"-"),)) for n in range(3)]
    with Store.open(directory) as store:
        for record in sets:
            store.add(record)
        found = [paths.keys[0][1] for paths in store.path_sets(sets[0].weak)]
        assert found == [b"/in2", b"/in1", b"/in0"]
        store.touch(strong_of(sets[0]))
    with Store.open(directory) as store:
        found = [paths.keys[0][1] for paths in store.path_sets(sets[0].weak)]
        assert found == [b"/in0", b"/in2", b"/in1"]


def test_a_recent_use_is_not_written_again(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    record = make_record(b"a")
    with Store.open(bytes(directory)) as store:
        store.add(record)
    before = (directory / "index.db").read_bytes()
    with Store.open(bytes(directory)) as store:
        assert store.outcome(strong_of(record)) is not None
        store.touch(strong_of(record))
    assert (directory / "index.db").read_bytes() == before


def test_the_order_of_facts_does_not_count(store: Store) -> None:
    facts = (Fact(Kind.CONTENT, b"/a", b"1"), Fact(Kind.EXISTS, b"/b", b"2"))
    assert store.add(make_record(b"a", facts=facts)) == STORED
    assert store.add(make_record(b"a", facts=(*reversed(facts), facts[0]))) == KNOWN


def test_facts_that_contradict_each_other_are_refused(store: Store) -> None:
    facts = (Fact(Kind.CONTENT, b"/a", b"1"), Fact(Kind.CONTENT, b"/a", b"2"))
    record = make_record(b"a", facts=facts)
    with pytest.raises(StoreError, match="contradictory"):
        store.add(record)
    assert store.path_sets(record.weak) == []


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (Outcome(0x100), "exit status (0x0, 0x100)"),
        (Outcome(0, (Output(b"-", b"/o"),)), "output /o"),
        (Outcome(0, (), ((1, 1),), b""), "standard output"),
        (Outcome(0, (), (), b"", ((0, 5),)), "offset of standard input"),
    ],
)
def test_contradicting_outcomes_are_both_withdrawn(store: Store, other: Outcome, what: str) -> None:
    if other.chunks:
        data = store.blobs.put_bytes(b"x")
        other = Outcome(0, (), ((1, 1),), data)
    record = make_record(b"a")
    assert store.add(record) == STORED
    assert store.add(make_record(b"a", outcome=other)) == NONDETERMINISTIC
    strong = strong_of(record)
    assert store.outcome(strong) is None
    assert store.withdrawn(strong) == what
    assert store.add(record) == NONDETERMINISTIC
    assert store.outcome(strong) is None
    assert store.withdrawn(strong) == what
    changed = make_record(b"a", facts=(Fact(Kind.CONTENT, b"/in", b"fY"),))
    assert store.add(changed) == STORED


def test_accidents_of_scheduling_are_no_contradiction(store: Store) -> None:
    put = store.blobs.put_bytes
    outputs = (Output(b"-", b"/a"), Output(b"-", b"/b"))
    one = Outcome(0, outputs, ((1, 2), (2, 1), (1, 1)), put(b"abEc"), wall_ns=1)
    other = Outcome(0, outputs[::-1], ((2, 1), (1, 3)), put(b"Eabc"), wall_ns=2)
    swapped = Outcome(0, outputs, ((1, 3), (2, 1)), put(b"bacE"))
    assert store.add(make_record(b"a", outcome=one)) == STORED
    assert store.add(make_record(b"a", outcome=other)) == KNOWN
    assert store.add(make_record(b"a", outcome=swapped)) == NONDETERMINISTIC


def test_uncacheable_executions_are_explained_until_they_are_stored(store: Store) -> None:
    record = make_record(b"a")
    reasons = [Uncacheable(Reason.NETWORK, "inet"), Uncacheable(Reason.PTRACE, "")]
    store.add_uncacheable(record.call, record.weak, [Uncacheable(Reason.CONFLICT, "/x")])
    store.add_uncacheable(record.call, record.weak, reasons)
    assert sorted(store.uncacheable(record.weak), key=repr) == sorted(reasons, key=repr)
    assert store.call(record.weak) == record.call
    store.add(record)
    assert store.uncacheable(record.weak) == []


def test_a_batch_is_stored_whole_or_not_at_all(store: Store) -> None:
    one, two = make_record(b"1"), make_record(b"2")
    with pytest.raises(RuntimeError), store.batch():
        store.add(one)
        raise RuntimeError
    assert store.path_sets(one.weak) == []
    with store.batch():
        store.add(one)
        store.add(two)
    assert store.path_sets(one.weak)
    assert store.path_sets(two.weak)


def test_noise_is_kept_out_of_the_stored_call(store: Store) -> None:
    call = make_call(b"a", env=(b"A=1", b"SHLVL=3", b"PWD=/", b"MAKEFLAGS= -j2"))
    record = Record(call, b"w" * 16, (), Outcome(0))
    store.add(record)
    stored = store.call(b"w" * 16)
    assert stored is not None
    assert stored.env == (b"A=1", b"PWD=/", b"MAKEFLAGS=")


# Several processes


WRITER = """
import sys
from pcache.store.index import Store
from tests.lib.stores import MANY, make_record, strong_of
part = int(sys.argv[2])
with Store.open(sys.argv[1]) as store:
    for number in range(60):
        name = b"%d" % number
        with store.batch():
            store.blobs.put_bytes(b"common" * number)
            store.blobs.put_bytes(b"x" * 5000 + name)
            store.add(make_record(b"common", name))
            store.add(make_record(b"%d" % part, name))
"""


def python(code: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


def test_several_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    directory = str(tmp_path / "store")
    writers = [python(WRITER, directory, str(part)) for part in range(4)]
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    with Store.open(directory) as store:
        for number in range(60):
            for part in (b"common", b"0", b"1", b"2", b"3"):
                record = make_record(part, b"%d" % number)
                assert store.outcome(strong_of(record)) == record.outcome


def test_a_killed_writer_leaves_whole_records(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    code = WRITER.replace("range(60)", "range(10**6)")
    generator = random.Random(5)
    for _ in range(8):
        writer = python(code, str(directory), "7")
        index = directory / "index.db"
        while not index.exists():
            assert writer.poll() is None
        try:
            writer.wait(generator.uniform(0.05, 0.25))
        except subprocess.TimeoutExpired:
            writer.kill()
        writer.wait()
        with Store.open(bytes(directory)) as store:
            for number in range(10**6):
                record = make_record(b"7", b"%d" % number)
                twin = make_record(b"common", b"%d" % number)
                found = store.outcome(strong_of(record))
                assert (found is None) == (store.outcome(strong_of(twin)) is None)
                assert (found is None) == (store.path_sets(record.weak) == [])
                if found is None:
                    break
    assert number > 0


# Damage


@pytest.mark.parametrize("compress", [True, False])
def test_long_sets_of_paths_are_compressed(tmp_path: Path, compress: bool) -> None:
    record = make_record(facts=MANY)
    with Store.open(bytes(tmp_path / "store"), policy=Policy(compress=compress)) as store:
        assert store.add(record) == STORED
        size = store.database.number("SELECT length(keys) FROM path_sets")
        assert size < 4000 if compress else size > 9000
    with Store.open(bytes(tmp_path / "store")) as store:  # whatever its own setting
        (paths,) = store.path_sets(record.weak)
        assert set(paths.keys) == {(fact.kind, fact.path) for fact in MANY}
        assert store.add(record) == KNOWN
        assert Verifier(store).run().faults == []


# Opening


def test_the_store_is_private_whatever_the_umask(tmp_path: Path) -> None:
    directory = tmp_path / "new/cache/pcache"
    for mask in (0o777, 0o000):
        before = os.umask(mask)
        try:
            with Store.open(bytes(directory)) as store:
                store.blobs.put_bytes(b"large" * 4000)
                store.add(make_record(b"%d" % mask))
                store.digests.flush()
                for path in directory.rglob("*"):
                    if path.is_dir():
                        assert path.stat().st_mode & 0o7777 == 0o700, path
                    else:
                        assert path.stat().st_mode & 0o7777 in (0o600, 0o400), path
        finally:
            os.umask(before)
    for path in (directory, directory.parent, directory.parent.parent):
        assert path.stat().st_mode & 0o7777 == 0o700


def test_no_store_and_none_wanted(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        Store.open(bytes(tmp_path / "store"), create=False)
    assert caught.value.remedy
    assert not (tmp_path / "store").exists()


def test_a_store_of_another_version(tmp_path: Path) -> None:
    Store.open(bytes(tmp_path)).close()
    database = sqlite3.connect(tmp_path / "index.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreError, match="schema 99"):
        Store.open(bytes(tmp_path))
    remove_outdated(bytes(tmp_path))
    assert (tmp_path / "index.db").exists()


def test_a_store_in_the_way_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as caught:
        Store.open(bytes(tmp_path / "file/store"))
    assert caught.value.remedy


def test_unprivileged_and_unwritable(as_user, user_dir: Path) -> None:  # type: ignore[no-untyped-def]
    code = (
        "import sys\n"
        "from pcache.errors import StoreError\n"
        "from pcache.store.index import Store\n"
        "try:\n"
        "    Store.open(sys.argv[1]).close()\n"
        "    print('opened')\n"
        "except StoreError as error:\n"
        "    print(error, '|', error.remedy)\n"
    )
    env = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    theirs = user_dir / "theirs"
    done = as_user(["python3", "-c", code, str(theirs)], env=env)
    assert done.stdout == b"opened\n", done.stderr
    done = as_user(["python3", "-c", code, "/usr"], env=env)
    assert b"another user" in done.stdout
    done = as_user(["python3", "-c", code, "/usr/pcache-store"], env=env)
    assert b"Permission denied | make it writable" in done.stdout
    with pytest.raises(StoreError, match="another user"):
        Store.open(bytes(theirs))
