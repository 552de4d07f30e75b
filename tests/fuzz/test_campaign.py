"""The long run's bookkeeping, with seeds that have been tried already."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Event

import pytest

from tests.fuzz.__main__ import Campaign
from tests.fuzz.fuzzing import Wrong
from tests.fuzz.machine import Tally

FOREVER = float("inf")


def tally() -> Tally:
    made = Tally()
    made.steps.update({"run": 5, "replay": 5})
    made.oracle.known, made.oracle.hits = 4, 3
    made.oracle.lost["cat a   because"] = 1
    return made


def tried(result: Tally | Wrong) -> Future[Tally]:
    future: Future[Tally] = Future()
    if isinstance(result, Wrong):
        future.set_exception(result)
    else:
        future.set_result(result)
    return future


def campaign(begin: Callable[[int], Future[Tally]], steps: int) -> Campaign:
    return Campaign(begin, Event(), steps)


def test_seeds_add_up_until_there_are_enough_steps(capsys: pytest.CaptureFixture[str]) -> None:
    begun: list[int] = []

    def begin(number: int) -> Future[Tally]:
        begun.append(number)
        return tried(tally())

    ran = campaign(begin, 25)
    ran.run(7, 1, FOREVER)
    assert begun == [7, 8, 9]
    assert ran.sum.steps.total() == 30
    assert ran.sum.oracle.rate == 0.75
    assert ran.sum.oracle.lost["cat a   because"] == 3
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["seed 7", "seed 8", "seed 9"]
    assert "in all 20," in lines[1]


def test_the_first_wrong_result_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    ran = campaign(lambda number: tried(Wrong("o: missing") if number == 2 else tally()), 1_000_000)
    ran.run(1, 1, FOREVER)
    assert ran.wrong == 1
    assert ran.sum.steps.total() == 10
    assert "seed 2: WRONG\no: missing\n" in capsys.readouterr().out


def test_no_seed_is_begun_after_the_deadline() -> None:
    ran = campaign(lambda _: tried(tally()), 1_000_000)
    ran.run(1, 2, 0)
    assert ran.sum.steps.total() == 0
