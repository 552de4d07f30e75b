"""Fresh times: in order, in the kernel's present tick, and passed before a program runs."""

from __future__ import annotations

import time
from pathlib import Path

from pcache.stamps import fresh_ns, let_tick_pass


def test_fresh_times_ascend_and_are_of_now(tmp_path: Path) -> None:
    before = time.time_ns() - 10_000_000
    times = [fresh_ns() for _ in range(1000)]
    assert times == sorted(set(times))
    assert before < times[0] and times[-1] <= time.time_ns() + 1000


def test_what_runs_afterwards_is_later(tmp_path: Path) -> None:
    for number in range(20):
        given = fresh_ns()
        let_tick_pass()
        file = tmp_path / str(number)
        file.touch()
        assert file.stat().st_mtime_ns > given
