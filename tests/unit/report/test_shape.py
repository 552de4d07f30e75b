"""The shape of sessions: slots, what was waited for, the critical path, dependencies, causes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from pcache.history.entries import HIT, RAN, REFUSED, STORED
from pcache.model import Kind, Reason
from pcache.report.shape import Shape, by_program
from pcache.report.style import Style
from pcache.report.why import Why, lines
from pcache.store.index import Store
from tests.unit.report.sessions import MS, Made, large, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path) as opened:
        yield opened


def build(store: Store) -> Made:
    """make starts two compilers at once, and then links."""
    made = Made(store)
    made.add(STORED, "make", 0, 100, reads=("a.c", "b.c"), writes=("a.o", "b.o", "prog"),
             changed=("a.c",))  # fmt: skip
    made.add(STORED, "cc a.c", 10, 50, reads=("a.c", "common.h"), writes=("a.o",), changed=("a.c",))
    made.add(HIT, "cc b.c", 12, 20, reads=("b.c", "common.h"), writes=("b.o",))
    made.add(STORED, "ld a.o b.o", 60, 90, reads=("a.o", "b.o"), writes=("prog",), changed=("a.o",))
    return made


def test_own_time_and_slots(store: Store) -> None:
    shape = Shape(build(store).keep())
    assert [own // MS for own in shape.own_ns] == [30, 40, 8, 30]
    assert shape.slots == 2
    segments = [(at.number, at.slot, at.start_ns // MS, at.end_ns // MS) for at in shape.segments]
    assert segments == [
        (0, 0, 0, 10), (1, 0, 10, 50), (2, 1, 12, 20),
        (0, 0, 50, 60), (3, 0, 60, 90), (0, 0, 90, 100),
    ]  # fmt: skip
    assert [part // MS for part in shape.waited_ns(0)] == [30, 70, 0]
    assert [part // MS for part in shape.waited_ns(1)] == [20, 0, 20]
    assert {name: cost // MS for name, cost in shape.costs().items()} == {
        "hit": 8, "ran": 100, "bad": 0,
    }  # fmt: skip


def test_critical_path_is_whole_and_in_order(store: Store) -> None:
    shape = Shape(build(store).keep())
    path = [(at.number, at.start_ns // MS, at.end_ns // MS) for at in shape.critical]
    assert path == [(0, 0, 10), (1, 10, 50), (0, 50, 60), (3, 60, 90), (0, 90, 100)]
    assert by_program(shape, shape.critical)[0] == ("cc", 40 * MS)


def test_no_two_of_one_slot_overlap(store: Store) -> None:
    shape = Shape(large(store, 500))
    assert 8 <= shape.slots <= 10
    for slot in range(shape.slots):
        own = [at for at in shape.segments if at.slot == slot]
        assert all(a.end_ns <= b.start_ns for a, b in pairwise(own))
    path = shape.critical
    assert path[0].start_ns == 0 and path[-1].end_ns == shape.entries[0].end_ns
    assert all(a.end_ns == b.start_ns for a, b in pairwise(path))


def test_inputs_most_depended_on(store: Store) -> None:
    found = Shape(build(store).keep()).dependencies()
    assert (found[0].path, found[0].executions) == (b"/src/common.h", 2)
    assert found[0].wall_ns == 140 * MS  # 40 that it ran, 100 that the hit had taken
    assert {at.path for at in found} == {b"/src/" + name for name in
                                        (b"a.c", b"b.c", b"common.h", b"a.o", b"b.o")}  # fmt: skip


def test_causes_go_downwards(store: Store) -> None:
    session = build(store).keep()
    (cause,) = Why(session, []).causes
    assert cause.key[1] == b"/src/a.c"
    assert (cause.reran, cause.followed) == ([0, 1], [3])


def test_the_writer_is_of_an_earlier_session(store: Store) -> None:
    before = Made(store, (b"gen",))
    before.add(STORED, "gen", 0, 5, writes=("a.c",))
    earlier = before.keep()
    (cause,) = Why(build(store).keep(), [earlier]).causes
    assert cause.writer == "written by 1.0: gen"


def test_a_path_that_changed_in_several_ways_is_one_cause(store: Store) -> None:
    made = Made(store)
    made.add(STORED, "make", 0, 9, changed=("a",))
    made.entries[0].changed += ((Kind.LEXISTS, b"/src/a"), (Kind.CONTENT, b"/src/b"))
    causes = Why(made.keep(), []).causes
    assert [(cause.name, cause.reran) for cause in causes] == [("/src/a", [0]), ("/src/b", [0])]


def test_causes_with_the_same_consequences_are_told_once(store: Store) -> None:
    made = Made(store)
    names = tuple(f"f{number:02}" for number in range(15))
    made.add(STORED, "make", 0, 9, changed=names)
    told = list(lines(Why(made.keep(), []), Style()))
    assert [line for line in told if line.startswith("changed: ")] == [
        f"changed: {name}" for name in names[:10]
    ]
    assert told[10] == "  and 5 more"
    assert told.count("  so these ran:") == 1


def test_refusals_by_cost(store: Store) -> None:
    made = Made(store)
    made.add(REFUSED, "make", 0, 100, reason=Reason.NETWORK)
    made.add(REFUSED, "curl x", 10, 30, reason=Reason.NETWORK)
    inner = made.add(STORED, "cc a.c", 30, 90)
    made.add(REFUSED, "cc1 a.c", 31, 80, inner, reason=Reason.PRIVATE_TEMPORARY)
    shape = Shape(made.keep())
    (refusal,) = shape.refusals
    assert (refusal.reason, refusal.programs) == (Reason.NETWORK, [0, 1])
    assert refusal.wall_ns == 20 * MS
    assert refusal.evidence == ["evidence of network"]
    assert [shape.colour(number) for number in range(4)] == ["bad", "bad", "ran", "ran"]


def test_what_ran_unrecorded_has_no_shape(store: Store) -> None:
    made = Made(store)
    made.add(RAN, "make", 0, 100)
    made.add(RAN, "cc", 10, -1)
    made.entries[1].end_ns = -1
    shape = Shape(made.keep())
    assert len(shape.segments) == 1
    assert shape.dependencies() == []


@pytest.mark.alone
def test_ten_thousand_executions(store: Store) -> None:
    """In seconds, and not in their square: a tenth of them takes a tenth of the time, about."""
    took = []
    for count in (1_000, 10_000):
        session = large(store, count)
        began = time.process_time()
        shape = Shape(session)
        shape.dependencies()
        took.append(time.process_time() - began)
    assert len(session.entries) == 10_000
    assert took[1] < 30 * took[0] + 1
