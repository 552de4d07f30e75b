"""Facts about which file is newer than which, and how recorded rules are applied."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pcache.counters import Counters
from pcache.memo.facts import Facts
from pcache.model import Key, Kind, Reason
from pcache.observe.changes import CREATED
from pcache.observe.configured import apply
from pcache.observe.executions import Execution
from pcache.observe.mentions import Mentions
from pcache.observe.observations import Observation
from pcache.settings.rules import CALLERS, ITSELF, Policy, Rule
from pcache.store.digests import DigestCache
from pcache.values import ABSENT, order_path


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
    apply(made, Policy((rule,), digest=b"1"), facts, Mentions())
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
