"""kill -9 of pcache at random moments: the store still opens, and no later replay is wrong."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pcache.counters import Counters
from pcache.store.index import Store
from tests.conftest import SUDO
from tests.lib.differential import Bench
from tests.lib.edits import write
from tests.lib.launch import MODES, Stdio
from tests.lib.tree import Snapshot

pytestmark = [pytest.mark.root, pytest.mark.system_files]

SEED = 20
MOST_TRIES = 4
"""For each kill that finds pcache running."""
LINES = "".join(
    f"seq {n} {n + 3000} >data.{n}; sort -r data.{n} >sorted.{n}; cp sorted.{n} kept.{n}\n"
    for n in range(12)
)
SCRIPT = f"{LINES}wc -l data.1 sorted.2\nmkdir out; mv kept.* out; ls out\n"
COMMAND = ("dash", "run.sh")


def kill_after(seconds: float, verb: list[str], bench: Bench) -> bool:
    """Starts `verb` and kills it; whether it was still running.  What it left running ends."""
    with subprocess.Popen(
        [*verb, *COMMAND],
        cwd=bench.directory,
        env=bench.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        time.sleep(seconds)
        running = process.poll() is None
        process.send_signal(signal.SIGKILL)
    # The command itself goes on, as without pcache; the next round needs the directory.
    deadline = time.monotonic() + 30
    while session_alive(process.pid):
        assert time.monotonic() < deadline, "what the killed pcache was running hangs"
        time.sleep(0.01)
    return running


def session_alive(session: int) -> bool:
    """Whether a process of that session has not ended."""
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.getsid(int(name)) == session:
                status = Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split()[0]
                if status not in "ZX":
                    return True
        except (ProcessLookupError, FileNotFoundError):
            continue
    return False


def opens(store: Path) -> None:
    """The store can be read and written."""
    with Store.open(os.fsencode(store / "pcache"), counters=Counters()) as opened, opened.batch():
        assert opened.path_sets(b"\0" * 16) == []


def compare(bench: Bench, start: Path, plain: Snapshot, printed: bytes, options: list[str]) -> int:
    """A replay that must be right; how much of it hit."""
    bench.states.restore(start)
    result = bench.launcher.replay(COMMAND, bench.directory, bench.env, Stdio(), options)
    assert (result.status, result.stdout, result.stderr) == (0, printed, b"")
    assert plain.difference(Snapshot.take(bench.directory, 0, 0)) == []
    return result.counters["hits"]


@pytest.mark.rounds(20, 782)
def test_killed_at_random_moments(bench: Bench, rounds: int) -> None:
    write("run.sh", SCRIPT)(bench.directory)
    start = bench.states.save()
    done = bench.launcher.plain(COMMAND, bench.directory, bench.env, Stdio())
    plain = Snapshot.take(bench.directory, 0, 0)
    source = random.Random(SEED)
    trace = [*SUDO, bench.launcher.pcache, "trace", "-q"]
    killed = number = 0
    while killed < rounds:
        number += 1
        assert number < rounds * MOST_TRIES, "the moments are badly chosen: too little was killed"
        mode = f"--intercept={MODES[number % 2]}"
        bench.states.restore(start)
        killed += kill_after(source.uniform(0.02, 0.6), trace, bench)
        opens(bench.store)
        compare(bench, start, plain, done.stdout, ["-q", mode])
        bench.states.restore(start)
        replay = [bench.launcher.pcache, "replay", "-q", mode]
        killed += kill_after(source.uniform(0.02, 0.2), replay, bench)
        opens(bench.store)
        compare(bench, start, plain, done.stdout, ["-q", mode])
    # And it records as ever: everything hits in the end.
    bench.states.restore(start)
    time.sleep(0.05)
    bench.launcher.trace(COMMAND, bench.directory, bench.env, Stdio())
    assert compare(bench, start, plain, done.stdout, ["-q"]) == 1
