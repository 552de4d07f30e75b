"""Signals that somebody sends to pcache: the command gets what it would have got in its place."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
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
COUNTS = """
import signal, time
heard = 0
def hear(*_):
    global heard
    heard += 1
    open("heard", "a").write("told\\n")
signal.signal(signal.SIGUSR1, hear)
open("ready", "w").close()
until = time.monotonic() + 20
while heard < EXPECTED and time.monotonic() < until:
    time.sleep(0.02)
time.sleep(0.6)
"""
"""Two of the same number that are pending at once are one."""
PATIENCE = 20.0
"""Seconds."""


def started(pcache: str, verb: str, directory: Path, *command: str) -> subprocess.Popen[bytes]:
    """A command under pcache, once it runs."""
    process = subprocess.Popen(
        [pcache, *VERBS[verb], *command],
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
    process = started(pcache, verb, tmp_path, "sh", "-c", DIES)
    os.kill(process.pid, number)
    assert process.wait(PATIENCE) == -number


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("number", SENT, ids=lambda number: number.name)
def test_heeded(pcache: str, tmp_path: Path, verb: str, number: signal.Signals) -> None:
    script = HEEDS.format(name=number.name.removeprefix("SIG"))
    process = started(pcache, verb, tmp_path, "sh", "-c", script)
    os.kill(process.pid, number)
    assert process.wait(PATIENCE) == 9
    assert (tmp_path / "heard").read_text() == "told\n"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("sends", [[os.kill], [os.killpg], [os.kill, os.killpg], [os.killpg] * 2])
def test_counted(
    pcache: str, tmp_path: Path, verb: str, sends: list[Callable[[int, int], None]]
) -> None:
    """Sent to pcache or to the process group that the command is in too: each is heard once."""
    script = f"EXPECTED = {len(sends)}\n{COUNTS}"
    process = started(pcache, verb, tmp_path, "/usr/bin/python3", "-c", script)
    heard = tmp_path / "heard"
    heard.touch()
    for count, send in enumerate(sends, 1):
        send(process.pid, signal.SIGUSR1)
        until = time.monotonic() + PATIENCE
        while heard.read_text().count("told") < count and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.2)
    assert process.wait(PATIENCE) == 0
    assert heard.read_text() == "told\n" * len(sends)
