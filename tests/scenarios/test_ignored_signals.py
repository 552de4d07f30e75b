"""Signals that a caller ignores are ignored for the command, although Python hides two of them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Stdio
from tests.lib.verbs import VERBS

pytestmark = pytest.mark.root


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("ignored", ["", "PIPE", "XFSZ", "PIPE XFSZ", "HUP PIPE", "USR1"])
def test_ignored(pcache: str, tmp_path: Path, verb: str, ignored: str) -> None:
    def found(*prefix: str) -> str:
        trap = f"trap '' {ignored}; " if ignored else ""
        words = ["sh", "-c", trap + '"$@"', "sh", *prefix, "grep", "SigIgn", "/proc/self/status"]
        env = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path)}
        return subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout

    plain = found()
    for _ in range(2):
        assert found(pcache, *VERBS[verb]) == plain


def test_ignored_by_a_script(bench: Bench) -> None:
    """What it starts comes back as long as the same signals are ignored."""
    steps = "sort in; sh -c 'kill -ALRM $$; echo survived'; sh -c 'kill -USR1 $$; echo survived'"
    (bench.directory / "in").write_text("2\n1\n")
    for number, (signals, hits) in enumerate(
        [("ALRM USR1", 0), ("ALRM USR1", 3), ("ALRM", 0), ("USR1 ALRM", 3), ("", 0), ("ALRM", 3)]
    ):
        trap = f"trap '' {signals}; " if signals else ""
        command = ("sh", "-c", f"{trap}{steps}; echo {number}")
        plain = bench.launcher.plain(command, bench.directory, bench.env, Stdio())
        time.sleep(SETTLE_SECONDS)
        got = bench.launcher.run(command, bench.directory, bench.env, Stdio(), ("-q", "--explain"))
        assert (got.stdout, got.status) == (plain.stdout, plain.status)
        assert got.counters["hits"] == hits, got.own
