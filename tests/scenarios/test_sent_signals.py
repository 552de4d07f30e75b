"""Signals that somebody sends to pcache: the command gets what it would have got in its place."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.lib.verbs import VERBS

pytestmark = pytest.mark.root

SENT = [
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
]
DIES = "ulimit -c 0; echo >ready; while :; do sleep 0.02; done"
HEEDS = "trap 'echo told >heard; exit 9' {name}; " + DIES
PATIENCE = 20.0
"""Seconds."""


def started(pcache: str, verb: str, directory: Path, script: str) -> subprocess.Popen[bytes]:
    """A shell under pcache, once it runs."""
    process = subprocess.Popen(
        [pcache, *VERBS[verb], "sh", "-c", script],
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(directory / "cache")},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    until = time.monotonic() + PATIENCE
    while not (directory / "ready").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("number", SENT, ids=lambda number: number.name)
def test_deadly(pcache: str, tmp_path: Path, verb: str, number: signal.Signals) -> None:
    process = started(pcache, verb, tmp_path, DIES)
    os.kill(process.pid, number)
    assert process.wait(PATIENCE) == -number


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("number", SENT, ids=lambda number: number.name)
def test_heeded(pcache: str, tmp_path: Path, verb: str, number: signal.Signals) -> None:
    script = HEEDS.format(name=number.name.removeprefix("SIG"))
    process = started(pcache, verb, tmp_path, script)
    os.kill(process.pid, number)
    assert process.wait(PATIENCE) == 9
    assert (tmp_path / "heard").read_text() == "told\n"
