"""A supervisor that dies never breaks what it supervised."""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import open_directory
from tests.unit.enforce.lab import PATIENCE, Lab, wait_for

RECIPES = 60


def build_directory(directory: Path, lab: Lab) -> None:
    """A make build whose recipes start a program that is replayed and one that runs."""
    names = [f"o{n}" for n in range(RECIPES)]
    recipe = "\tbin/hit-0; cp Makefile $@ && echo $@ >>$@\n"
    rules = "".join(f"{name}:\n{recipe}" for name in names)
    (directory / "Makefile").write_text(f"all: {' '.join(names)}\n{rules}")
    (directory / "bin").symlink_to(lab.bin)


def assert_built(directory: Path) -> None:
    makefile = (directory / "Makefile").read_text()
    for n in range(RECIPES):
        assert (directory / f"o{n}").read_text() == f"{makefile}o{n}\n"


def build(lab: Lab, intercept: str, env: dict[str, str], kill_after: float | None) -> int:
    """Build, killing the supervisor so many seconds after it has begun, if at all; its status."""
    with open_directory() as directory:
        build_directory(directory, lab)
        words = ["sh", "-c", "echo >begun; make -s -j2; echo $? >ended"]
        silent = subprocess.DEVNULL
        process = lab.start(words, intercept, env, cwd=directory, stdout=silent, stderr=silent)
        if kill_after is not None:
            wait_for(directory / "begun")
            time.sleep(kill_after)
            process.kill()
        status = process.wait(PATIENCE)
        assert wait_for(directory / "ended") == "0\n"
        assert_built(directory)
        return status


def test_killed_at_random_moments(lab: Lab, intercept: str) -> None:
    kill_builds(lab, intercept, 10)


@pytest.mark.slow
def test_killed_in_two_hundred_builds(lab: Lab, intercept: str) -> None:
    kill_builds(lab, intercept, 200)


def kill_builds(lab: Lab, intercept: str, number: int) -> None:
    started = time.monotonic()
    assert build(lab, intercept, {}, None) == 0
    whole = time.monotonic() - started
    chance = random.Random(4711)
    moments = [chance.uniform(0, 0.75) * whole for _ in range(number)]
    statuses = [build(lab, intercept, {}, moment) for moment in moments]
    assert statuses.count(-9) >= number // 3


@pytest.mark.parametrize("step", range(1, 7))
def test_killed_while_it_ends_a_task(lab: Lab, intercept: str, step: int) -> None:
    """SIGKILL before each of the ptrace requests of an exit substitution, in the tenth one."""
    env = {"PCACHE_TEST_CRASH": str(6 * 9 + step), "PCACHE_TEST_REFUSE": "1"}
    assert build(lab, intercept, env, None) == -9


@pytest.mark.parametrize("step", (1, 2))
def test_killed_while_it_overwrites_a_task(lab: Lab, step: int) -> None:
    """SIGKILL before the write, or between it and the answer, in the tenth task."""
    assert build(lab, "entry", {"PCACHE_TEST_CRASH": str(2 * 9 + step)}, None) == -9


def test_refused_writes(lab: Lab) -> None:
    """Kernels can be set up to let nobody write to other processes' code."""
    script = "hit-7; echo $?; hit-8-musl; echo $?"
    result = lab.run(["sh", "-c", script], "entry", {"PCACHE_TEST_REFUSE": "1"})
    assert (result.out, result.report["applied"]) == ("7\n8\n", 2)


def test_killed_while_streams_stall(lab: Lab) -> None:
    """Tasks that wait with parked jobs are let go: their programs run, and end with 99."""
    big = lab.program("hitout-3-300000")
    with open_directory() as directory:
        stalled = f"({big} | {{ sleep 0.4; cat >/dev/null; echo read >>$0/read; }}) & "
        script = "echo >$0/begun; " + stalled * 5 + "wait; echo done >$0/ended"
        process = lab.start(["sh", "-c", script, str(directory)])
        wait_for(directory / "begun")
        time.sleep(0.3)
        process.kill()
        process.wait()
        assert wait_for(directory / "ended") == "done\n"
        assert (directory / "read").read_text() == "read\n" * 5


def test_daemon_outlives_the_command(lab: Lab, intercept: str) -> None:
    """We return when the command ends; what it left behind runs on, uncached."""
    with open_directory() as directory:
        daemon = "sleep 0.3; bin/hit-5; echo $? >$0/ended"
        script = f"setsid sh -c '{daemon}' $0 >/dev/null 2>&1 & exit 6"
        started = time.monotonic()
        result = lab.run(["sh", "-c", script, str(directory)], intercept)
        assert result.status == 6
        assert time.monotonic() - started < PATIENCE
        assert wait_for(directory / "ended") == "99\n"


def test_stalled_hit_outlives_the_command(lab: Lab) -> None:
    """The reader comes only after we have returned: neither waits for the other."""
    big = lab.program("hitout-3-300000")
    with open_directory() as directory:
        os.mkfifo(directory / "fifo")
        both = os.open(directory / "fifo", os.O_RDWR)
        script = f"{{ {big}; echo $? >$0/ended; }} >$0/fifo 2>/dev/null & sleep 0.1; exit 6"
        result = lab.run(["sh", "-c", script, str(directory)])
        assert result.status == 6
        fifo = os.open(directory / "fifo", os.O_RDONLY)
        os.close(both)
        size = 0
        while data := os.read(fifo, 1 << 16):
            size += len(data)
        os.close(fifo)
        assert size == 300_000
        assert wait_for(directory / "ended") == "3\n"
