"""Two trees that take turns at one place: what happens to one happens to the other."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.lib.edits import Edit
from tests.lib.launch import Result, Stdio
from tests.lib.tree import Snapshot

DATES = (
    1577923200,  # 2020-01-02
    1500000000,
    1600000000,
)
"""Times, in seconds, that lines and edits give to files and directories."""
SETTLE_NS = 30_000_000
"""A file changed less than 20 ms before it is read is not recorded as an input."""

KEPT_TIME = "mtime is 'of an earlier run', not 'fresh'"
"""As `Snapshot.difference` says that a hit has restored a time as it was recorded."""
_TICK_NS = 10_000_000
"""File times lag behind the clock by up to a kernel tick."""
_FAR_NS = 1 << 62
_ROUND_NS = {seconds * 1_000_000_000 for seconds in DATES}
_MASKS = {"n/.ninja_log": r"\d"}
_GIT = "g/.git/"
"""Where git renews times by what the clock was when it looked last."""
_GIT_INDEX = _GIT + "index"


Start = Callable[..., Result]
Holding = Callable[[Path], AbstractContextManager[object]]


@dataclass(frozen=True)
class Command:
    """Whatever a run depends on besides the tree."""

    words: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    stdio: Stdio
    holding: Holding = nullcontext
    """What somebody else does with files meanwhile, given the directory."""


class Twins:
    """`here` is where both are run; the names of the trees say which one is compared with which."""

    def __init__(self, base: Path) -> None:
        self.here = base / "at" / "here"
        self.store = base / "cache"
        self._ours, self._plain = base / "ours", base / "plain"
        self._saved = base / "saved"
        self._start_ns = 0
        self._told_ns: set[int] = set()
        """Times that edits gave to files and directories."""
        self._ran_ns = 0
        """When the last run ended."""
        for path in (self.here.parent, *self._directories()):
            path.mkdir()

    def _directories(self) -> tuple[Path, ...]:
        return self._ours, self._plain, self._saved, self.store

    def clear(self) -> None:
        """Both are empty again, and nothing is saved or recorded."""
        for path in self._directories():
            shutil.rmtree(path)
            path.mkdir()
        self._start_ns = time.time_ns() - _TICK_NS
        self._told_ns.clear()

    def edit(self, edit: Edit) -> None:
        """Changes both in the same way, times included: those that it sets, or else later than
        whatever was there."""
        _sleep_until(self._ran_ns + 2 * _TICK_NS)
        for tree in (self._ours, self._plain):
            before = _times(tree)
            edit(tree)
            now = time.time_ns() - _TICK_NS
            if tree is self._ours:
                made = now
            for path, times in _times(tree).items():
                if before.get(path) != times and times[1] >= self._start_ns:
                    os.utime(path, ns=(made, made), follow_symlinks=False)
            self._told_ns.add(made)

    def look(self) -> Snapshot:
        """The tree before a run, with exact times."""
        return self._snapshot(self._ours, _FAR_NS, _FAR_NS)

    def _snapshot(self, tree: Path, start_ns: int, began_ns: int) -> Snapshot:
        """Without what holds times of a run or numbers of files."""
        taken = Snapshot.take(
            tree, start_ns, began_ns, _MASKS, closely=True, told=self._told_ns | _ROUND_NS
        )
        for name, node in list(taken.nodes.items()):
            if name.endswith(_GIT_INDEX):
                del taken.nodes[name]
            elif _GIT in name:
                taken.nodes[name] = node._replace(mtime=0)
        return taken

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

    def compare(
        self, command: Command, plain_start: Start, start: Start | None, timed: bool
    ) -> tuple[Result, list[str]]:
        """Runs the command plainly in one tree and by `start`, if it is given, in the other.

        What that returned, and all differences.  `timed`: what it printed may be the second in
        which it made something, and then that must keep this time.
        """
        plain, wanted = self._run(self._plain, command, plain_start, 0)
        settle_ns = SETTLE_NS if start else 0
        ours, got = self._run(self._ours, command, start or plain_start, settle_ns)
        faults = [
            f"{name}: {getattr(ours, name)!r}, plainly {getattr(plain, name)!r}"
            for name in ("status", "stdout", "stderr")
            if getattr(ours, name) != getattr(plain, name)
        ]
        times = wanted.difference(got)
        faults += [fault for fault in times if not (timed and fault.endswith(KEPT_TIME))]
        if "internal error" in ours.own:
            faults.append(ours.own)
        return ours, faults

    def _run(
        self, tree: Path, command: Command, start: Start, settle_ns: int
    ) -> tuple[Result, Snapshot]:
        os.rename(tree, self.here)
        try:
            began = time.time_ns() - _TICK_NS
            _sleep_until(began + _TICK_NS + settle_ns)
            with command.holding(self.here):
                result = start(command.words, self.here / command.cwd, command.env, command.stdio)
            self._ran_ns = time.time_ns()
            return result, self._snapshot(self.here, self._start_ns, began)
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
