"""Differential cases as data: what a file below tests/cases says, and how it is tried.

A case is a start state, a command and a change.  The command is run twice, once for pcache to
record it and once for it to be brought back: both runs must be what plain ones are.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import signal
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.lib.differential import SETTLE_SECONDS, Bench, Observed
from tests.lib.launch import Launcher, Result, Stdio
from tests.lib.tree import Snapshot

CASES = Path(__file__).resolve().parent.parent / "cases"
MODES = ("replay", "run", "child")
"""`trace` then `replay`; `run` twice; `trace` then `replay` as the child of a root that misses."""

_TICK_NS = 10_000_000
_SHORTEST_GAP_SECONDS = 0.02
"""Between two runs, so that file times tell them apart."""
_AS_IT_IS = 'exec "$@"'
_ROOT = '"$@"; exit $?'


@dataclass(frozen=True)
class Case:
    """What a file says; all but the first three may be left out.

    kind: of fault, as in W1.  command: words, or a text for sh.  setup makes the start state in an
    empty directory, change is what happens to it before the second run (over: to what the first
    one left), look prints what else is worth comparing, undo takes back what deleting the directory
    does not.  within: what surrounds the second run, a text for sh whose "$@" is the command;
    recorded_within: the first one.  env and recorded_env likewise.  stdin, stdout: see Stdio.
    alone: what other tests do is an input; mounts: what they mount.
    user: an ordinary one, whose files the directory holds and whose groups are those named (of the
    second run; the first has those of the account).  ignore: patterns of paths that no two plain
    runs leave alike.  modes: only these.  needs: programs.  expect: "hit" if the second run must be
    one.  expect_wrong: why the case fails at present, in the modes of wrong_in.

    Scripts and command find OWNER (user:group of the directory) and PCACHE in the environment; in
    env and recorded_env, $HERE is the directory.
    """

    kind: str
    why: str
    command: str | Sequence[str]
    setup: str = ""
    change: str = ""
    over: bool = False
    look: str = ""
    undo: str = ""
    within: str = _AS_IT_IS
    recorded_within: str = _AS_IT_IS
    env: Mapping[str, str] = field(default_factory=dict)
    recorded_env: Mapping[str, str] = field(default_factory=dict)
    stdin: str | None = None
    stdout: str = "pipe"
    alone: bool = False
    mounts: bool = False
    user: bool = False
    groups: str = ""
    ignore: Sequence[str] = ()
    modes: Sequence[str] = MODES
    needs: Sequence[str] = ()
    expect: str = "any"
    expect_wrong: str = ""
    wrong_in: Sequence[str] = MODES

    @property
    def words(self) -> tuple[str, ...]:
        if isinstance(self.command, str):
            return ("sh", "-c", self.command)
        return tuple(self.command)

    @property
    def lacking(self) -> list[str]:
        """Programs that are not there."""
        return [name for name in self.needs if not shutil.which(name)]


def load(path: Path) -> Case:
    with path.open("rb") as file:
        return Case(**tomllib.load(file))


def parameters() -> list[object]:
    """One for each case and mode, with the mark of those that fail at present."""
    found = []
    for path in sorted(CASES.rglob("*.toml")):
        case = load(path)
        for mode in case.modes:
            marks = []
            if case.expect_wrong and mode in case.wrong_in:
                marks = [pytest.mark.xfail(reason=case.expect_wrong, strict=True)]
            if case.alone:
                marks.append(pytest.mark.alone)
            if case.mounts:
                marks.append(pytest.mark.mounts)
            name = path.relative_to(CASES).with_suffix("")
            found.append(pytest.param(case, mode, id=f"{name}-{mode}", marks=marks))
    return found


Plain = dict[bool, tuple[Observed, Observed]]
"""What plain runs of a case are, by whether the command is the child of a root."""


class Trial:
    """One case in one mode.  plain: what is known of plain runs on that bench, and filled in."""

    def __init__(self, case: Case, mode: str, bench: Bench, plain: Plain) -> None:
        self._case = case
        self._mode = mode
        self._bench = bench
        self._plain = plain
        self._started: list[int] = []
        self._start_ns = 0

    def check(self) -> None:
        """Raises pytest's failure with all deviations."""
        case = self._case
        first, second = self._launchers()
        child = self._mode == "child"
        try:
            if child not in self._plain:
                self._plain[child] = self._both(first.plain, second.plain)
            want = self._plain[child]
            if self._mode == "run":
                got = self._both(first.run, second.run)
            else:
                got = self._both(first.trace, second.replay)
        finally:
            self._clean()
        faults = [
            f"{title}: {fault}"
            for title, mine, theirs in zip(("first", "second"), want, got, strict=True)
            for fault in mine.faults(theirs)
        ]
        if case.expect == "hit" and not self._hit(got[1].result):
            faults.append("second: no hit")
        if faults:
            self._plain.clear()  # another try is one of the whole
            counters = {name: count for name, count in got[1].result.counters.items() if count}
            said = [run.result.own for run in got if run.result.own]
            lines = [f"{case.kind}: {case.why}", *faults, f"second: {counters}", *said]
            pytest.fail("\n".join(lines), pytrace=False)

    def _hit(self, result: Result) -> bool:
        """The command, or all that a root of its own started."""
        missed = 1 if self._mode == "child" else 0
        return result.counters["hits"] == 1 and result.counters["misses"] == missed

    def _launchers(self) -> tuple[Launcher, Launcher]:
        case, launcher = self._case, self._bench.launcher
        account = ("--init-groups",)
        groups = (f"--groups={case.groups}",) if case.groups else account
        return (
            launcher.within(case.recorded_within, account),
            launcher.within(case.within, groups if case.user else account),
        )

    def _both(
        self, first: Callable[..., Result], second: Callable[..., Result]
    ) -> tuple[Observed, Observed]:
        """The run that is recorded, and the one after the change."""
        case = self._case
        self._start()
        recorded = self._observe(first, "first", case.recorded_env)
        if not case.over:
            self._start()
        self._script(case.change)
        return recorded, self._observe(second, "second", case.env)

    def _start(self) -> None:
        self._clean()
        self._start_ns = time.time_ns() - _TICK_NS
        self._script(self._case.setup)

    def _clean(self) -> None:
        """An empty directory, nothing mounted in it, no process left that a script started."""
        directory = self._bench.directory
        if self._started:
            self._script(self._case.undo)
        for group in self._started:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self._started.clear()
        for place in _mounted_below(directory):
            subprocess.run(["umount", "--lazy", place], check=True)
        # What goes by itself meanwhile is no error, what stays is one of the next line.
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        if self._bench.owner:
            os.chown(directory, *self._bench.owner)

    def _script(self, text: str, *, must: bool = True) -> str:
        """Run it with bash; what it printed.  What it leaves running ends with the trial.

        must: whether each of its commands has to succeed.
        """
        if not text:
            return ""
        with tempfile.TemporaryFile() as printed:
            process = subprocess.Popen(
                ["bash", "-euc" if must else "-uc", text],
                cwd=self._bench.directory,
                env=self._env({}),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                process_group=0,
            )
            self._started.append(process.pid)
            status = process.wait()
            printed.seek(0)
            output = printed.read().decode(errors="replace")
        assert status == 0 or not must, output
        return output

    def _env(self, more: Mapping[str, str]) -> dict[str, str]:
        owner = ":".join(map(str, self._bench.owner or (0, 0)))
        own = {"PCACHE": self._bench.launcher.pcache, "OWNER": owner}
        here = str(self._bench.directory)
        given = {name: value.replace("$HERE", here) for name, value in more.items()}
        return {**self._bench.env, **own, **given}

    def _observe(
        self, start: Callable[..., Result], title: str, env: Mapping[str, str]
    ) -> Observed:
        case, directory = self._case, self._bench.directory
        words = case.words
        if self._mode == "child":
            words = ("sh", "-c", _ROOT, title, *words)
        time.sleep(SETTLE_SECONDS + _SHORTEST_GAP_SECONDS)
        began_ns = time.time_ns() - _TICK_NS
        stdin = case.stdin.encode() if case.stdin is not None else None
        stdio = Stdio(stdin=stdin, stdout=case.stdout)
        result = start(words, directory, self._env(env), stdio)
        look = self._script(case.look, must=False)
        tree = Snapshot.take(directory, self._start_ns, began_ns, closely=True)
        for pattern in case.ignore:
            for name in fnmatch.filter(tree.nodes, pattern):
                del tree.nodes[name]
        return Observed(result, tree, look)


def _mounted_below(directory: Path) -> list[str]:
    """Innermost first."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    places = [line.split()[4] for line in mounts]
    return [place for place in reversed(places) if place.startswith(f"{directory}/")]
