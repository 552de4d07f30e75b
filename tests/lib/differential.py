"""Runs a scenario plainly and under pcache, in the same directory, and compares everything."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.lib.launch import MODES, Launcher, Result
from tests.lib.scenario import ROOT_HIT, Expect, Scenario, Step
from tests.lib.tree import Snapshot, States

SETTLE_SECONDS = 0.03
"""A file changed less than 20 ms before it is read is not recorded as an input."""

_TICK_NS = 10_000_000
"""File times lag behind the clock by up to a kernel tick."""


class Bench:
    """Directories for one scenario: the one it runs in, saved states, the store.

    env: what every command is given besides the scenario's own.  owner: uid and gid of the files.
    """

    def __init__(
        self,
        base: Path,
        launcher: Launcher,
        env: Mapping[str, str],
        owner: tuple[int, int] | None = None,
    ) -> None:
        self.directory = base / "here"
        self.store = base / "cache"
        self.launcher = launcher
        self.owner = owner
        self.env = {**env, "XDG_CACHE_HOME": str(self.store)}
        storage = base / "states"
        for path in (self.directory, self.store, storage):
            path.mkdir()
        if owner:
            os.chown(self.store, *owner)
        self.states = States(self.directory, storage)

    def own(self) -> None:
        """Give the files to their owner."""
        if self.owner:
            os.chown(self.directory, *self.owner)
            for top, directories, files in os.walk(self.directory):
                for name in (*directories, *files):
                    os.chown(os.path.join(top, name), *self.owner, follow_symlinks=False)


def fresh(bench: Bench, script: str) -> None:
    """An empty directory in which a script was run."""
    shutil.rmtree(bench.directory)
    bench.directory.mkdir()
    subprocess.run(
        ["sh", "-c", f"{script}\nsleep {SETTLE_SECONDS}"], cwd=bench.directory, check=True
    )


def look(bench: Bench, script: str) -> bytes:
    """What a script prints there."""
    done = subprocess.run(
        ["sh", "-c", script], cwd=bench.directory, capture_output=True, check=False
    )
    return done.stdout + done.stderr


class Observed:
    """A result together with the directory afterwards; look: what else was looked at printed."""

    def __init__(self, result: Result, tree: Snapshot, look: str = "") -> None:
        self.result = result
        self.tree = tree
        self.look = look

    def faults(self, other: Observed) -> list[str]:
        """How `other` deviates from this plain run."""
        mine, theirs = self.result, other.result
        faults = []
        if self.look != other.look:
            faults.append(f"look: {_short(other.look)}, plainly {_short(self.look)}")
        for name in ("status", "stdout", "stderr"):
            want, got = getattr(mine, name), getattr(theirs, name)
            if want != got:
                faults.append(f"{name}: {_short(got)}, plainly {_short(want)}")
        return faults + self.tree.difference(other.tree)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 400 else f"{text[:300]} ... {text[-100:]}"


class Differential:
    """One scenario on one bench; its steps take turns at the two places of interception.

    `check` raises pytest's failure with all deviations found.
    """

    def __init__(self, scenario: Scenario, bench: Bench) -> None:
        self._scenario = scenario
        self._bench = bench
        self._faults: list[tuple[str, str]] = []
        self._start_ns = 0
        self._verdicts = ""
        self._decisions = ""
        self._env: dict[str, str] = {}
        self._cwd = bench.directory
        self._command: tuple[str, ...] = ()

    def check(self) -> None:
        scenario, states = self._scenario, self._bench.states
        self._surround(None)
        scenario.prepare(self._bench.directory)
        self._bench.own()
        start = self._save()
        start_ns = self._start_ns
        first = self._plain()
        built = states.save()
        second = self._plain()

        self._record("first trace", start, first)
        if scenario.retrace:
            self._retrace(start, first)
        for mode in MODES:
            self._quietly("quiet replay", mode, start, first)
            self._replay("replay", mode, start, first, scenario.first)
            self._replay("replay over it", mode, None, second, scenario.again)
        for number, step in enumerate(scenario.steps):
            self._step(step, built if step.built else start, MODES[number % len(MODES)])
        if scenario.steps:
            self._surround(None)
            self._start_ns = start_ns
            self._replay("back to the start", MODES[0], start, first, scenario.first)
        if self._faults:
            pytest.fail(self._report(), pytrace=False)

    def _report(self) -> str:
        """Each deviation once, with the runs that show it; what the last trace and replay said."""
        runs: dict[str, list[str]] = {}
        for title, fault in self._faults:
            runs.setdefault(fault, []).append(title)
        lines = [f"{self._scenario.name}:"]
        for fault, titles in runs.items():
            lines += [f"  {fault}", f"      in: {', '.join(titles)}"]
        for title, text in (("trace", self._verdicts), ("a faulty replay", self._decisions)):
            lines += [f"  {title} said:", *(f"    {line}" for line in text.splitlines())]
        return "\n".join(lines)

    def _step(self, step: Step, before: Path, mode: str) -> None:
        states = self._bench.states
        self._surround(step)
        states.restore(before)
        for edit in step.edits:
            edit(self._bench.directory)
        self._bench.own()
        start = self._save()
        plain = self._plain()
        self._replay(step.title, mode, start, plain, step.expect)
        if step.record:
            self._record(f"{step.title}, traced", start, plain)
            expect = ROOT_HIT if step.root_hit else Expect()
            self._replay(f"{step.title}, traced, replayed", mode, start, plain, expect)

    def _save(self) -> Path:
        """The state that the following runs start from."""
        saved = self._bench.states.save()
        time.sleep(_TICK_NS * 2 / 1e9)
        self._start_ns = time.time_ns() - _TICK_NS
        return saved

    def _surround(self, step: Step | None) -> None:
        scenario = self._scenario
        self._command = (step and step.command) or scenario.command
        self._cwd = self._bench.directory / ((step and step.cwd) or scenario.cwd)
        env: dict[str, str | None] = {**self._bench.env, **scenario.env}
        env.update(step.env if step else {})
        self._env = {name: value for name, value in env.items() if value is not None}

    # ---- the three kinds of run ----

    def _plain(self) -> Observed:
        return self._run(self._bench.launcher.plain)

    def _record(
        self, title: str, start: Path, plain: Observed, options: tuple[str, ...] = ("-q",)
    ) -> Result:
        self._bench.states.restore(start)
        time.sleep(SETTLE_SECONDS)
        run = self._run(self._bench.launcher.trace, options)
        self._verdicts = run.result.own or self._verdicts
        self._compare(title, plain, run)
        if run.result.counters["events lost"]:
            self._faults.append((title, "events lost"))
        return run.result

    def _retrace(self, start: Path, plain: Observed) -> None:
        """The same thing twice is the same records."""
        counters = self._record("second trace", start, plain, ("-q", "--explain")).counters
        allowed = {"records stored": self._scenario.retraced, "records non-deterministic": 0}
        for name, limit in allowed.items():
            if counters[name] > limit:
                self._faults.append(("second trace", f"{counters[name]} {name}"))

    def _quietly(self, title: str, mode: str, start: Path, plain: Observed) -> None:
        """Nothing on stderr but what the command writes there."""
        self._bench.states.restore(start)
        run = self._run(self._bench.launcher.replay, ("-q", f"--intercept={mode}"))
        self._compare(title, plain, run)
        if run.result.own:
            self._faults.append((title, run.result.own))

    def _replay(
        self, title: str, mode: str, start: Path | None, plain: Observed, expect: Expect
    ) -> None:
        """Telling its decisions.  Without a start the directory is taken as it is."""
        title = f"{title} ({mode})"
        if start is not None:
            self._bench.states.restore(start)
        run = self._run(self._bench.launcher.replay, ("-v", f"--intercept={mode}"))
        self._compare(title, plain, run)
        faults = expect.faults(run.result)
        self._faults += [(title, fault) for fault in faults]
        if faults and not self._decisions:
            self._decisions = f"({title})\n{run.result.own}"

    def _run(self, start: object, options: tuple[str, ...] = ()) -> Observed:
        time.sleep(_TICK_NS * 2 / 1e9)
        began = time.time_ns() - _TICK_NS
        words = (self._command, self._cwd, self._env, self._scenario.stdio)
        result = start(*words, options) if options else start(*words)  # type: ignore[operator]
        masks = self._scenario.masks
        return Observed(result, Snapshot.take(self._bench.directory, self._start_ns, began, masks))

    def _compare(self, title: str, plain: Observed, run: Observed) -> None:
        faults = plain.faults(run)
        if "internal error" in run.result.own:
            faults.append(run.result.own)
        self._faults += [(title, fault) for fault in faults]
