"""Recorded, then one input changed at a time: a replay does what the plain command does.

Through the commands a user types, so that recorder, store and supervisor agree on every fact.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.lib.recorder import PLAIN_ENV

pytestmark = [pytest.mark.root, pytest.mark.system_files]

Change = Callable[[Path], object]


def state(work: Path) -> dict[str, tuple[int, bytes]]:
    """What is in the tree: mode, and content, target or nothing."""
    found = {}
    for path in sorted(work.rglob("*")):
        mode = path.lstat().st_mode
        content = b""
        if path.is_symlink():
            content = os.fsencode(os.readlink(path))
        elif path.is_file():
            content = path.read_bytes()
        found[str(path.relative_to(work))] = (mode, content)
    return found


def run(work: Path, *words: str) -> tuple[int, bytes, bytes]:
    done = subprocess.run(
        words,
        cwd=work,
        env={**PLAIN_ENV, "XDG_CACHE_HOME": f"{work}.cache", "PYTHONPATH": str(CHECKOUT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def pcache(verb: str, *options: str) -> tuple[str, ...]:
    return (sys.executable, "-B", "-m", "pcache", verb, "-q", *options)


def prepare(work: Path) -> None:
    (work / "a").write_text("one\n")
    (work / "d1").mkdir()
    (work / "d2").mkdir()
    (work / "d1/x").write_text("x1\n")
    (work / "d2/x").write_text("x2\n")
    (work / "link").symlink_to("d1")
    (work / "list").mkdir()
    (work / "list/p").touch()


COMMAND = (
    "cat a; cat link/x; test -e none && echo there; cat f/x; echo y >link/out; ls list; "
    "cat a >made; mv made moved; uname -m; test -x a && echo x; readlink link; exit 3"
)

CHANGES: dict[str, Change] = {
    "nothing": lambda work: None,
    "content": lambda work: (work / "a").write_text("two\n"),
    "mode": lambda work: (work / "a").chmod(0o755),
    "gone": lambda work: (work / "a").unlink(),
    "appeared": lambda work: (work / "none").touch(),
    "a file where nothing was": lambda work: (work / "f").touch(),
    "link leads elsewhere": lambda work: (
        (work / "link").unlink(),
        (work / "link").symlink_to("d2"),
    ),
    "listed name": lambda work: (work / "list/q").touch(),
    "listed type": lambda work: ((work / "list/p").unlink(), (work / "list/p").mkdir()),
    "output is a directory": lambda work: (work / "moved").mkdir(),
    "output is there": lambda work: (work / "d1/out").write_text("old"),
    "output has another name": lambda work: (
        (work / "d1/out").write_text("old"),
        (work / "other").hardlink_to(work / "d1/out"),
    ),
    "output is a link": lambda work: (work / "d1/out").symlink_to("../elsewhere"),
}


def test_one_change_at_a_time(tmp_path: Path) -> None:
    """One recording; then for each change the plain command and the replay, from equal states."""
    work = tmp_path / "work"

    def start(change: Change) -> None:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        prepare(work)
        change(work)
        time.sleep(0.04)

    start(CHANGES["nothing"])
    recorded = run(work, *pcache("trace", "--as-root"), "sh", "-c", COMMAND)
    assert recorded[0] == 3, recorded
    wrong = []
    for title, change in CHANGES.items():
        start(change)
        plain = run(work, "sh", "-c", COMMAND), state(work)
        start(change)
        replay = run(work, *pcache("replay"), "sh", "-c", COMMAND), state(work)
        if replay != plain:
            wrong.append((title, plain, replay))
    assert not wrong
