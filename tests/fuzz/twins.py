"""Two trees that take turns at one place: what happens to one happens to the other."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lib.edits import Edit
from tests.lib.launch import Launcher, Result, Stdio
from tests.lib.tree import Snapshot

SETTLE_NS = 30_000_000
"""A file changed less than 20 ms before it is read is not recorded as an input."""

_TICK_NS = 10_000_000
"""File times lag behind the clock by up to a kernel tick."""
_FAR_NS = 1 << 62


@dataclass(frozen=True)
class Command:
    """Whatever a run depends on besides the tree."""

    words: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    stdio: Stdio


class Twins:
    """`here` is where both are run; the names of the trees say which one is compared with which."""

    def __init__(self, base: Path, launcher: Launcher) -> None:
        self.here = base / "here"
        self.store = base / "cache"
        self._ours, self._plain = base / "ours", base / "plain"
        self._saved = base / "saved"
        self._launcher = launcher
        self._start_ns = 0
        self._ran_ns = 0
        """When the last run ended."""
        for path in self._directories():
            path.mkdir()

    def _directories(self) -> tuple[Path, ...]:
        return self._ours, self._plain, self._saved, self.store

    def clear(self) -> None:
        """Both are empty again, and nothing is saved or recorded."""
        for path in self._directories():
            shutil.rmtree(path)
            path.mkdir()
        self._start_ns = time.time_ns() - _TICK_NS

    def edit(self, edit: Edit) -> None:
        """Changes both in the same way, times included: later than whatever was there."""
        _sleep_until(self._ran_ns + 2 * _TICK_NS)
        for tree in (self._ours, self._plain):
            before = _times(tree)
            edit(tree)
            now = time.time_ns() - _TICK_NS
            if tree is self._ours:
                made = now
            for path, times in _times(tree).items():
                if before.get(path) != times:
                    os.utime(path, ns=(made, made), follow_symlinks=False)

    def look(self) -> Snapshot:
        """The tree before a run, with exact times."""
        return Snapshot.take(self._ours, _FAR_NS, _FAR_NS)

    def paths(self) -> list[str]:
        """All names that are in either tree."""
        return sorted(self.look().nodes)

    def save(self, name: str) -> None:
        """Keeps the present state of both."""
        for tree in (self._ours, self._plain):
            _copy(tree, self._saved / name / tree.name)

    def restore(self, name: str) -> None:
        """Goes back to a kept state, as `git checkout` would: with contents, modes and times."""
        for tree in (self._ours, self._plain):
            shutil.rmtree(tree)
            _copy(self._saved / name / tree.name, tree)

    def compare(self, command: Command, start: Callable[..., Result]) -> tuple[Result, list[str]]:
        """Runs the command plainly in one tree and by `start` in the other.

        What `start` returned, and all differences.
        """
        plain, wanted = self._run(self._plain, command, self._launcher.plain, 0)
        settle_ns = 0 if start == self._launcher.plain else SETTLE_NS
        ours, got = self._run(self._ours, command, start, settle_ns)
        faults = [
            f"{name}: {getattr(ours, name)!r}, plainly {getattr(plain, name)!r}"
            for name in ("status", "stdout", "stderr")
            if getattr(ours, name) != getattr(plain, name)
        ]
        faults += wanted.difference(got)
        if "internal error" in ours.own:
            faults.append(ours.own)
        return ours, faults

    def _run(
        self, tree: Path, command: Command, start: Callable[..., Result], settle_ns: int
    ) -> tuple[Result, Snapshot]:
        os.rename(tree, self.here)
        try:
            began = time.time_ns() - _TICK_NS
            _sleep_until(began + _TICK_NS + settle_ns)
            result = start(command.words, self.here / command.cwd, command.env, command.stdio)
            self._ran_ns = time.time_ns()
            return result, Snapshot.take(self.here, self._start_ns, began)
        finally:
            os.rename(self.here, tree)


def _sleep_until(ns: int) -> None:
    """Until that realtime; not at all if it is over."""
    left = ns - time.time_ns()
    if left > 0:
        time.sleep(left / 1e9)


def _times(tree: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for top, directories, files in os.walk(tree):
        for name in (*directories, *files):
            path = os.path.join(top, name)
            status = os.lstat(path)
            found[path] = status.st_ino, status.st_mtime_ns
    return found


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", f"{source}/.", str(target)], check=True)
