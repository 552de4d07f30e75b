"""Phases add up, and nobody is measured who did not ask for it."""

from __future__ import annotations

import re
import time

import pytest

from pcache.timing import PHASES, UNTIMED, Timing

pytestmark = pytest.mark.alone


def test_phases_add_up() -> None:
    timing = Timing(on=True)
    since = timing.now()
    for _ in range(3):
        time.sleep(0.01)
        since = timing.spent("facts", since)
    timing.spent("outcome", since)
    found = timing.as_dict()
    assert list(found) == ["start-up", "facts", "outcome", "total"]
    assert set(found) <= {*PHASES, "total"}
    assert found["facts"]["times"] == 3
    assert 30 <= found["facts"]["milliseconds"] <= found["total"]["milliseconds"]
    assert found["outcome"]["milliseconds"] < found["facts"]["milliseconds"]
    assert found["start-up"]["milliseconds"] > 0
    lines = timing.lines()
    assert re.fullmatch(r"pcache: timing: facts +\d+\.\d\d ms  \(3 times\)", lines[1])
    assert re.fullmatch(r"pcache: timing: outcome +\d+\.\d\d ms", lines[2])


def test_off() -> None:
    timing = Timing()
    assert timing.spent("facts", timing.now()) == timing.now() == 0
    assert (timing.on, list(UNTIMED.as_dict())) == (False, ["total"])
