"""Decisions: a hit exactly when every input is as recorded, else a miss with its reason."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pcache.counters import Counters
from pcache.linux.descriptors import FdView, OwnFds
from pcache.linux.stamps import RACY_NS
from pcache.memo.decide import Decider
from pcache.memo.facts import Facts
from pcache.model import Call, Fact, Kind, Outcome, Output, Reason, Record, Uncacheable
from pcache.store.fingerprint import weak_fingerprint
from pcache.store.index import Store
from pcache.store.record_writer import NONDETERMINISTIC, STORED
from pcache.values import replaceable_path
from tests.lib.stores import make_call


class Bench:
    """A pretended compiler: reads `in`, looks for `cfg`, lists `.`, writes `out`, prints."""

    def __init__(self, path: Path) -> None:
        self.path = path / "work"
        self.path.mkdir()
        (self.path / "in").write_bytes(b"source")
        self.out = self.path / "build/out"
        self.out.parent.mkdir()
        self.counters = Counters()
        self.store = Store.open(bytes(path / "store"), counters=self.counters)
        self.call = make_call(b"-c", b"in")
        self.settle()

    def settle(self) -> None:
        """Waits until what was just written is no longer racily young."""
        time.sleep(RACY_NS / 1e9 + 0.01)

    def keys(self) -> list[tuple[bytes, bytes]]:
        here = bytes(self.path)
        return [
            (Kind.CONTENT, here + b"/in"),
            (Kind.EXISTS, here + b"/cfg"),
            (Kind.LISTING, here),
            (Kind.REPLACEABLE, replaceable_path(0o644, bytes(self.out))),
            (Kind.FD, b"0"),
        ]

    def record(self, text: bytes, status: int = 0) -> str:
        """Records an execution over the inputs as they are."""
        keys = self.keys()
        values = Facts(self.store.digests, OwnFds(), self.counters).values(keys)
        facts = tuple(Fact(k, p, v) for (k, p), v in zip(keys, values, strict=True))
        put = self.store.blobs.put_bytes
        outputs = (Output(b"f", bytes(self.out), 0o644, put(b"object " + text)),)
        outcome = Outcome(status, outputs, ((1, len(text)),), put(text))
        return self.store.add(Record(self.call, weak_fingerprint(self.call), facts, outcome))

    def decide(self, call: Call | None = None, fds: FdView | None = None) -> bytes | str:
        """The text of the hit, put in place; or why it missed."""
        decider = Decider(self.store, self.counters)
        plan = decider.decide(call or self.call, fds or OwnFds())
        if plan is None:
            assert decider.last_miss
            return decider.last_miss
        assert decider.last_miss == ""
        plan.commit()
        return b"".join(bytes(data) for _, data in plan.writes())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.store.close()


def test_unknown_then_hit(bench: Bench) -> None:
    assert bench.decide() == "unknown call"
    assert bench.record(b"one") == STORED
    assert bench.decide() == b"one"
    assert bench.out.read_bytes() == b"object one"
    # Its output is there now, with the mode that it is replaceable with.
    assert bench.decide() == b"one"
    assert bench.counters["hits"] == 2
    assert bench.counters["misses"] == bench.counters["miss: unknown call"] == 1


def test_an_unknown_call_that_was_refused(bench: Bench) -> None:
    """Why is told where it is asked for: it takes a look into the store."""
    decider = Decider(bench.store, bench.counters)
    decider.decide(bench.call, OwnFds())
    assert decider.explained_miss == decider.last_miss == "unknown call"
    reasons = [Uncacheable(Reason.NETWORK, "socket"), Uncacheable(Reason.PTRACE, "gdb")]
    bench.store.add_uncacheable(bench.call, weak_fingerprint(bench.call), reasons)
    decider.decide(bench.call, OwnFds())
    assert decider.last_miss == "unknown call"
    assert decider.explained_miss == "not cacheable when it last ran: network, ptrace"
    decider.decide(make_call(b"-O2"), OwnFds())
    assert decider.explained_miss == "unknown call"


def test_another_call_is_unknown(bench: Bench) -> None:
    bench.record(b"one")
    assert bench.decide(make_call(b"-O2")) == "unknown call"


@pytest.mark.parametrize("change", ["content", "mode", "probe", "listing", "output", "deleted"])
def test_every_input_counts(bench: Bench, change: str) -> None:
    bench.record(b"one")
    changed = bench.path / "in"
    if change == "content":
        changed.write_bytes(b"ecruos")
    elif change == "mode":
        changed.chmod(0o600)
    elif change == "probe":
        changed = bench.path / "cfg"
        changed.touch()
    elif change == "listing":
        (bench.path / "other").touch()
        changed = bench.path
    elif change == "output":
        changed = bench.out
        changed.touch(0o600)
        changed.chmod(0o600)
    else:
        changed.unlink()
    answer = bench.decide()
    assert isinstance(answer, str)
    assert answer.startswith("input changed: ")
    assert str(changed) in answer or answer.endswith("more")
    assert bench.counters["miss: input changed"] == 1
    assert change == "output" or not bench.out.exists()


def test_touching_an_input_changes_nothing(bench: Bench) -> None:
    bench.record(b"one")
    os.utime(bench.path / "in")
    assert bench.decide() == b"one"


def test_going_back_to_an_earlier_version(bench: Bench) -> None:
    for text in (b"one", b"two", b"three"):
        (bench.path / "in").write_bytes(text)
        bench.settle()
        assert bench.record(text) == STORED
    for text in (b"one", b"three", b"two"):
        (bench.path / "in").write_bytes(text)
        assert bench.decide() == text
        assert bench.out.read_bytes() == b"object " + text


def test_the_cost_does_not_depend_on_the_number_of_versions(bench: Bench) -> None:
    bench.record(b"one")
    before = bench.counters["facts checked"]
    assert bench.decide() == b"one"
    cost = bench.counters["facts checked"] - before
    for number in range(20):
        (bench.path / "in").write_bytes(b"version %d" % number)
        bench.record(b"x%d" % number)
    before = bench.counters["facts checked"]
    assert bench.decide() == b"x19"
    assert bench.counters["facts checked"] - before == cost == len(bench.keys())


def test_several_path_sets_share_the_facts_they_have_in_common(bench: Bench) -> None:
    bench.record(b"one")
    keys = bench.keys()
    bench.keys = lambda: [*keys, (Kind.CONTENT, b"/etc/passwd")]  # type: ignore[method-assign]
    (bench.path / "in").write_bytes(b"other")
    bench.record(b"two")
    (bench.path / "in").write_bytes(b"source")
    before = bench.counters["facts checked"]
    assert bench.decide() == b"one"
    assert bench.counters["facts checked"] - before == len(keys) + 1


def test_non_determinism(bench: Bench) -> None:
    bench.record(b"one")
    assert bench.record(b"two") == NONDETERMINISTIC
    answer = bench.decide()
    assert answer == f"non-deterministic: output {bench.out} differed"
    assert bench.counters["miss: non-deterministic"] == 1


def test_a_damaged_blob_is_a_miss_until_it_is_recorded_again(bench: Bench) -> None:
    bench.record(b"x" * 9000)
    for path in Path(os.fsdecode(bench.store.directory), "objects").glob("*/*"):
        path.chmod(0o600)
        path.write_bytes(b"y" * 9000)
    answer = bench.decide()
    assert isinstance(answer, str)
    assert "damaged" in answer
    assert bench.counters["miss: damaged"] == 1
    assert not bench.out.exists()
    bench.record(b"x" * 9000)
    assert bench.decide() == b"x" * 9000


def test_a_damaged_row_is_a_miss_until_it_is_recorded_again(bench: Bench) -> None:
    bench.record(b"one")
    with bench.store.batch() as database:
        database.change("UPDATE outcomes SET outcome = x'00'")
    assert "damaged" in str(bench.decide())
    bench.record(b"one")
    assert bench.decide() == b"one"


def test_a_store_that_breaks_is_a_miss(bench: Bench) -> None:
    bench.record(b"one")
    bench.store.close()
    database = sqlite3.connect(os.fsdecode(bench.store.directory) + "/index.db")
    database.execute("DROP TABLE lookups")
    database.commit()
    database.close()
    bench.store = Store.open(bench.store.directory, counters=bench.counters)
    decider = Decider(bench.store, bench.counters)
    assert decider.decide(bench.call, OwnFds()) is None
    assert "damaged" in decider.last_miss
    assert decider.damaged_index
    assert bench.counters["miss: store error"] == 1


def test_outputs_that_cannot_be_put_in_place_are_a_miss(bench: Bench) -> None:
    keys = bench.keys()
    bench.keys = lambda: keys[:2]  # type: ignore[method-assign]
    bench.record(b"one")
    bench.out.parent.rmdir()
    answer = bench.decide()
    assert answer == f"{bench.out.parent}: Not a directory"
    assert bench.counters["miss: cannot restore"] == 1


class Other(FdView):
    """A task whose descriptors are of other kinds than ours."""

    def get(self, fd: int) -> int:
        raise OSError(9, "Bad file descriptor")


def test_facts_about_descriptors_are_those_of_the_task(bench: Bench) -> None:
    bench.record(b"one")
    assert bench.decide(fds=Other()) == "input changed: standard input"


def test_an_input_that_cannot_be_known_is_a_miss(bench: Bench) -> None:
    here = bytes(bench.path)
    fact = Fact(Kind.CONTENT, here + b"/in", b"f644:whatever")
    bench.store.add(Record(bench.call, weak_fingerprint(bench.call), (fact,), Outcome(0)))

    class Unknowable(OSError):
        pass

    def fail(*_: object) -> bytes:
        raise Unknowable(5, "Input/output error", here + b"/in")

    bench.store.digests.file_digest = fail  # type: ignore[method-assign]
    answer = bench.decide()
    assert answer == f"cannot read an input: {bench.path}/in: Input/output error"


def test_unchanged_inputs_are_read_once(bench: Bench) -> None:
    bench.record(b"one")
    directory = bench.store.directory
    bench.store.close()
    for _ in range(3):
        counters = Counters()
        with Store.open(directory, counters=counters) as store:
            plan = Decider(store, counters).decide(bench.call, OwnFds())
            assert plan is not None
            assert counters["files hashed"] == 0
            assert counters["digests remembered"] == 1
            plan.abandon()
    bench.store = Store.open(directory)


def test_failures_are_replayed_too(bench: Bench) -> None:
    bench.record(b"error", status=0x200)
    plan = Decider(bench.store, bench.counters).decide(bench.call, OwnFds())
    assert plan is not None
    assert plan.status == 0x200
    plan.abandon()


def test_the_cost_of_a_hit_is_that_of_its_own_facts(bench: Bench) -> None:
    """However many versions there are, and however many sets of paths used less lately."""
    weak = weak_fingerprint(bench.call)
    for number in range(40):
        path = b"/nowhere/%d" % (number // 2)
        fact = Fact(Kind.CONTENT, path, b"f644:%016d" % number)
        bench.store.add(Record(bench.call, weak, (fact,), Outcome(0)))
    bench.record(b"text")
    checked = bench.counters["facts checked"]
    plan = Decider(bench.store, bench.counters).decide(bench.call, OwnFds())
    assert plan is not None
    plan.abandon()
    assert bench.counters["facts checked"] - checked == len(bench.keys())
    (bench.path / "in").write_bytes(b"other")
    checked = bench.counters["facts checked"]
    assert Decider(bench.store, bench.counters).decide(bench.call, OwnFds()) is None
    assert bench.counters["facts checked"] - checked == len(bench.keys()) + 20


def test_a_set_of_paths_that_goes_meanwhile_is_passed_over(bench: Bench) -> None:
    weak = weak_fingerprint(bench.call)
    bench.record(b"text")
    other = Fact(Kind.EXISTS, b"/nowhere", b"f644:0:0")
    bench.store.add(Record(bench.call, weak, (other,), Outcome(0)))
    each = bench.store.each_path_set(weak)
    assert next(each).keys == ((other.kind, other.path),)
    bench.store.database.change("DELETE FROM path_sets")
    assert list(each) == []


def test_what_a_first_decision_imports(tmp_path: Path) -> None:
    """Start-up is most of the cost of a hit: none of these may creep in."""
    import subprocess
    import sys

    code = (
        "import sys\n"
        f"sys.path[:0] = {[path for path in sys.path if path]!r}\n"
        "before = set(sys.modules)\n"
        "import pcache.memo.decide, pcache.store.index\n"
        "print(*set(sys.modules) - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {
        "argparse", "bcc", "collections", "ctypes", "dataclasses", "datetime", "enum",
        "functools", "json", "pathlib", "pydantic", "pyseccomp", "re", "rich", "signal",
        "socket", "sqlite3", "subprocess", "typing",
    }  # fmt: skip
    assert not heavy & set(done.stdout.split())
    assert "pcache.memo.decide" in done.stdout
