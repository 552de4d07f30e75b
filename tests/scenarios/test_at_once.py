"""Sessions that start at the same time, with nothing of the recorder in the kernel yet."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.lib.differential import Bench
from tests.lib.verbs import VERBS

pytestmark = [pytest.mark.root, pytest.mark.system_files]

TOGETHER = ["trace", "run", "trace in a sandbox"]
PATIENCE_S = 60
# Programs that earlier sessions have left pinned are not seen.
APART = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    'mount -t bpf -o mode=0700 none /sys/fs/bpf; eval "$1"',
    "sh",
]


@pytest.mark.rounds(3, 200)
def test_each_is_recorded(bench: Bench, rounds: int) -> None:
    """Each has the kernel verify the programs, which signals interrupt (bpf(2): EAGAIN)."""
    for number in range(rounds):
        reports = [bench.directory / f"report-{at}" for at in range(len(TOGETHER))]
        starts = [
            f"{bench.launcher.pcache} {' '.join(VERBS[verb])} --json {report} echo {number} {at} &"
            for at, (verb, report) in enumerate(zip(TOGETHER, reports, strict=True))
        ]
        done = subprocess.run(
            [*APART, " ".join([*starts, "wait"])],
            cwd=bench.directory,
            env=bench.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        assert done.stderr == ""
        assert sorted(done.stdout.splitlines()) == [f"{number} {at}" for at in range(len(TOGETHER))]
        for report in reports:
            counters = json.loads(report.read_text())["counters"]
            assert (counters["executions"], counters["records stored"]) == (1, 1), counters
