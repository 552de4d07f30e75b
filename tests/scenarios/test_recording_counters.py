"""What `--json` tells of a recording besides its result: what it cost."""

from __future__ import annotations

import time

import pytest

from tests.lib.differential import Bench
from tests.lib.launch import Stdio
from tests.lib.scripts import script

pytestmark = pytest.mark.root


def test_events_and_the_time_after_the_command_are_counted(bench: Bench) -> None:
    scenario = script("counted", "for n in 1 2 3; do cat run.sh; cat run.sh; done\n")
    scenario.prepare(bench.directory)
    start = time.monotonic()
    done = bench.launcher.trace(scenario.command, bench.directory, bench.env, Stdio())
    milliseconds = (time.monotonic() - start) * 1000
    counters = done.counters
    assert counters["events"] > counters["executions"] == 7
    # No event is smaller than its header.
    assert counters["bytes of events"] >= 16 * counters["events"]
    assert counters["events lost"] == 0
    assert 0 < counters["milliseconds after"] < milliseconds
