"""Fresh times: of now, and in order with those of what programs write before and after."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pcache.linux import stamps

NUMBERED_NS = 1000
"""Times of one tick are told apart by less than this."""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "_last", 0)
    monkeypatch.setattr(stamps, "_file", None)


@pytest.fixture(params=["as this kernel does", "by ticks"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "by ticks":
        monkeypatch.setattr(stamps, "_file", -1)


@pytest.mark.usefixtures("way")
def test_fresh_times_ascend_and_are_of_now() -> None:
    before = time.time_ns() - 10_000_000
    times = [stamps.fresh_ns() for _ in range(1000)]
    assert times == sorted(set(times))
    assert before < times[0] and times[-1] <= time.time_ns() + NUMBERED_NS


@pytest.mark.usefixtures("way")
def test_what_runs_afterwards_is_later(tmp_path: Path) -> None:
    for number in range(20):
        given = stamps.fresh_ns()
        stamps.let_time_pass()
        file = tmp_path / str(number)
        file.touch()
        assert file.stat().st_mtime_ns > given


@pytest.mark.usefixtures("way")
def test_what_is_written_meanwhile_is_not_earlier(tmp_path: Path) -> None:
    """By a program that goes on beside a hit."""
    for number in range(50):
        given = stamps.fresh_ns()
        file = tmp_path / str(number)
        file.touch()
        assert file.stat().st_mtime_ns > given - NUMBERED_NS


@pytest.mark.parametrize("looked_at", [False, True])
def test_what_ran_before_is_earlier(tmp_path: Path, looked_at: bool) -> None:
    """Also if the kernel stamped it exactly, as it does what somebody has looked at (make)."""
    for number in range(50):
        file = tmp_path / str(number)
        file.write_text("one")
        if looked_at:
            file.stat()
            file.write_text("two")
        assert file.stat().st_mtime_ns <= stamps.fresh_ns()


def test_no_file_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_name: str) -> int:
        raise OSError

    monkeypatch.setattr(os, "memfd_create", none)
    assert stamps.fresh_ns() < stamps.fresh_ns()
    stamps.let_time_pass()
