"""Facts about which file is newer than which, and how recorded rules are applied."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcache.counters import Counters
from pcache.memo.facts import ABSENT, Facts, narrowed_order, order_files, order_path, order_value
from pcache.model import Key, Kind, Reason
from pcache.observe.changes import CREATED
from pcache.observe.configured import apply
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.settings.rules import CALLERS, ITSELF, Policy, Rule
from pcache.store.digests import DigestCache

TIMES = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=8)
NAMES = [b"/%d" % number for number in range(8)]


def relation(times: list[int], flags: list[bool]) -> list[bool]:
    """What the fact is about: for each decisive file and each other one, whether that is newer."""
    return [
        other > time
        for time, decisive in zip(times, flags, strict=True)
        if decisive
        for other in times
    ]


@given(TIMES, st.lists(st.integers(0, 5), min_size=8, max_size=8))
def test_values_are_equal_exactly_if_the_order_is(
    files: list[tuple[int, bool]], others: list[int]
) -> None:
    times, flags = [time for time, _ in files], [flag for _, flag in files]
    other = others[: len(times)]
    same = relation(times, flags) == relation(other, flags)
    assert (order_value(times, flags) == order_value(other, flags)) == same


@given(TIMES, st.sets(st.sampled_from(NAMES)))
def test_narrowing_is_as_if_only_those_had_been_looked_at(
    files: list[tuple[int, bool]], kept: set[bytes]
) -> None:
    times, flags = [time for time, _ in files], [flag for _, flag in files]
    names = NAMES[: len(files)]
    path, value = order_path(zip(names, flags, strict=True)), order_value(times, flags)
    rest = [entry for entry in zip(names, flags, times, strict=True) if entry[0] in kept]
    narrowed = narrowed_order(path, value, kept.__contains__)
    if len(rest) < 2 or not any(flag for _, flag, _ in rest):
        assert narrowed is None
    else:
        expected = order_path((name, flag) for name, flag, _ in rest)
        flags = [flag for _, flag, _ in rest]
        assert narrowed == (expected, order_value([time for _, _, time in rest], flags))


@given(st.lists(st.tuples(st.binary(max_size=20), st.booleans())))
def test_paths_come_back(files: list[tuple[bytes, bool]]) -> None:
    assert order_files(order_path(files)) == files


def test_evaluation(tmp_path: Path) -> None:
    facts = Facts(DigestCache(None, Counters()), None, Counters())
    names = [bytes(tmp_path / name) for name in "abc"]
    for name in names:
        Path(os.fsdecode(name)).touch()
    for number, name in enumerate(names):
        os.utime(name, ns=(number, number))
    path = order_path((name, True) for name in names)
    assert facts.evaluate(Kind.ORDER, path) == b"m0 1 2"
    os.utime(names[0], ns=(9, 9))
    assert facts.evaluate(Kind.ORDER, path) == b"m2 0 1"
    os.unlink(names[1])
    assert facts.evaluate(Kind.ORDER, path) == ABSENT
    (tmp_path / "link").symlink_to("c")
    os.utime(tmp_path / "link", ns=(5, 5), follow_symlinks=False)
    link, owner = bytes(tmp_path / "link"), (os.getuid(), os.getgid())
    assert facts.evaluate(Kind.TIMES, link) == b"t2 %d %d 1" % owner
    assert facts.evaluate(Kind.LTIMES, link) == b"t5 %d %d 1" % owner


def execution(parent: Execution | None = None) -> Execution:
    made = Execution(100, 1, parent)
    made.executable = b"/usr/bin/tool"
    made.cwd = b"/"
    return made


def applied(made: Execution, rule: Rule) -> Execution:
    facts = Facts(DigestCache(None, Counters()), None, Counters())
    apply(made, Policy((rule,), digest=b"1"), facts)
    return made


def test_never_cache() -> None:
    parent = execution()
    child = applied(execution(parent), Rule(b"tool", never_cache=ITSELF))
    assert list(child.problems) == [Reason.CONFIGURED] and not parent.problems
    child = applied(execution(parent), Rule(b"tool", never_cache=CALLERS))
    assert list(child.problems) == list(parent.problems) == [Reason.CONFIGURED]


@pytest.mark.parametrize(("status", "refused"), [(0, False), (256, True), (9, True)])
def test_failures(status: int, refused: bool) -> None:
    made = execution()
    made.status = status
    applied(made, Rule(b"tool", cache_failures=False))
    assert bool(made.problems) is refused


def test_ignored_paths_and_extra_inputs(tmp_path: Path) -> None:
    made = execution()
    keys: list[Key] = [(Kind.CONTENT, b"/log/a"), (Kind.CONTENT, b"/in"), (Kind.FD, b"0")]
    for key in keys:
        made.observe(key, Observation(1, key[1] if key[0] == Kind.CONTENT else b"", b"x"))
    made.change(b"/log/out", 2, CREATED)
    made.change(b"/out", 2, CREATED)
    missing = bytes(tmp_path / "missing")
    applied(made, Rule(b"*", ignore_paths=(b"/log/*",), extra_inputs=(missing,)))
    assert [*made.inputs] == [*keys[1:], (Kind.CONTENT, missing)]
    assert made.inputs[(Kind.CONTENT, missing)].value == ABSENT
    assert made.ignored == {b"/log/out"}


def test_order_leaves_out_what_the_caller_made_before() -> None:
    parent, names = execution(), [b"/made", b"/source", b"/target"]
    parent.change(b"/made", 50, CREATED)
    child = execution(parent)
    path = order_path((name, True) for name in names)
    child.inputs[Kind.ORDER, path] = Observation(100, b"", b"m2 0 1")
    child.merge_into_parent()
    rest = order_path((name, True) for name in names[1:])
    assert {key: seen.value for key, seen in parent.inputs.items()} == {(Kind.ORDER, rest): b"m0 1"}


def test_times_of_a_directory_that_was_changed_are_no_inputs() -> None:
    for changed, expected in ((50, 0), (150, 1)):
        made = execution()
        made.change(b"/d/new", changed, CREATED)
        made.observe_times([((Kind.TIMES, b"/d"), Observation(100, b"/d", b"t1"))])
        assert len(made.inputs) == expected


def test_pairs_of_equal_files() -> None:
    for one, other in combinations(((1, 1), (1, 2), (2, 1)), 2):
        assert order_value(one, (True, True)) != order_value(other, (True, True))
