"""Hits that come to nothing: their streams cannot be delivered, or they are interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from tests.lib.differential import Bench, fresh, look
from tests.lib.launch import Stdio
from tests.lib.stores import small_disk

pytestmark = pytest.mark.root

JOB = """import time
with open("log", "a") as f:
    time.sleep(.5)
    f.write("done\\n")
open("made", "w").write("made\\n")
for i in range(100000):
    print("line", i)
"""


@pytest.mark.parametrize("stdout", ["| head -n 1", ">small/out", "| (exec <&-; sleep 2)"])
@pytest.mark.parametrize("below", ["", 'sh -c \'"$0" "$@"; exit 0\' '], ids=["root", "child"])
def test_effects_of_what_cannot_be_delivered(bench: Bench, stdout: str, below: str) -> None:
    """A hit whose stream fails is taken back before the program runs; of a full disk what was
    written of the stream, too."""
    first = f"echo start >log; cat >job.py <<'X'\n{JOB}X"
    command = "/usr/bin/python3 -IS job.py"
    look_at = "cat log made; ls -s small; tail -n 2 small/*"
    fresh(bench, first)
    # What stdout is is part of the call: the recorded one is of the same kind.
    to_file = stdout.startswith(">")
    recorder = f"{bench.launcher.pcache} trace --as-root -q {command}"
    subprocess.run(
        ["sh", "-c", f"{recorder} 2>&1 " + (">recorded" if to_file else "| cat >/dev/null")],
        cwd=bench.directory,
        env=bench.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    results = []
    report = bench.directory.parent / "report"
    for prefix in ("", f"{bench.launcher.pcache} replay -q --json={report} "):
        fresh(bench, first)
        with small_disk(bench.directory / "small", "400k"):
            run = f"{prefix}{below}{command} 2>&1 {stdout}"
            subprocess.run(
                ["sh", "-c", run],
                cwd=bench.directory,
                env=bench.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            results.append(look(bench, look_at))
    assert results[0] == results[1]
    counters = json.loads(report.read_text())["counters"]
    assert counters.get("miss: not applied") == 1, counters


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_hit_leaves_nothing_beside_the_outputs(bench: Bench, number: int) -> None:
    arguments = (bench.directory, bench.env, Stdio())
    script = 'for i in range(1500): open(f"d/f{i}", "w").write(open("s").read() + str(i))'
    command = ("/usr/bin/python3", "-ISc", script)
    first = "mkdir d; echo 1 >s; for i in $(seq 0 1499); do echo old >d/f$i; done"
    fresh(bench, first)
    bench.launcher.trace(command, *arguments)
    seen: set[str] = set()
    for seconds in (0.15, 0.25, 0.4, 0.8):
        fresh(bench, first)
        with subprocess.Popen(
            [bench.launcher.pcache, "replay", "-q", *command],
            cwd=bench.directory,
            env=bench.env,
            stdin=subprocess.DEVNULL,
            # What they are is part of the call: pipes, as where it was recorded.
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                seen.update(os.listdir(bench.directory / "d"))
            process.send_signal(number)
            process.wait()
        seen.update(os.listdir(bench.directory / "d"))
    assert seen == {f"f{i}" for i in range(1500)}
    fresh(bench, first)
    assert bench.launcher.replay(command, *arguments).counters["hits"] == 1
    assert (bench.directory / "d/f7").read_text() == "1\n7"
