"""What `--json` tells of a recording besides its result: what it cost."""

from __future__ import annotations

import re
import time

import pytest

from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Stdio
from tests.lib.scripts import script

pytestmark = [pytest.mark.root, pytest.mark.system_files]


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


COMMON = {"start-up", "command", "store", "closing", "total"}
DECIDED = {"call", "path sets", "facts", "outcome"}
RESTORED = {"staging", "placing", "streams"}
RECORDED = {"probes", "running", "analysis", "last events", "records", "room"}


def test_where_the_time_goes(bench: Bench) -> None:
    """Each verb tells of the phases it went through, and of them only."""
    scenario = script("timed", "cat run.sh >copy\necho done\n")
    scenario.prepare(bench.directory)
    expected = [
        (bench.launcher.trace, COMMON | RECORDED),
        (bench.launcher.replay, COMMON | DECIDED | RESTORED),
        (bench.launcher.run, COMMON | DECIDED | RESTORED),
    ]
    for start, phases in expected:
        (bench.directory / "copy").unlink(missing_ok=True)
        done = start(scenario.command, bench.directory, bench.env, Stdio(), ("-q", "--timing"))
        assert phases_of(done.own) == phases
    (bench.directory / "run.sh").write_text("cat run.sh >copy\necho changed\n")
    time.sleep(SETTLE_SECONDS)
    for start, phases in (
        (bench.launcher.replay, COMMON | {"call", "path sets", "facts", "supervisor", "running"}),
        (bench.launcher.run, COMMON | RECORDED | {"call", "path sets", "facts", "supervisor"}),
    ):
        done = start(scenario.command, bench.directory, bench.env, Stdio(), ("-q", "--timing"))
        assert phases_of(done.own) >= phases


def phases_of(printed: str) -> set[str]:
    shape = re.compile(r"pcache: timing: (\S.*?) +[0-9.]+ ms(  \(\d+ times\))?")
    found = list(map(shape.fullmatch, printed.splitlines()))
    assert all(found), printed
    return {match[1] for match in found if match}
