"""Measuring workloads: every tool in every phase, next to the plain command, again and again."""

from __future__ import annotations

import glob
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.config import IN_PLACE, JOB_PHASES, PhaseName, Workload
from bench.inputs import Inputs
from bench.kits import Kits
from bench.measure import Measured, measure
from bench.oracle import Told, needed
from bench.results import Sample, baseline
from bench.tools import Place, Tool
from bench.tree import Tree
from bench.verify import Result, Verifier

_WARM_RUNS = 3
"""A warm run takes milliseconds, so it costs little to have more of them."""

_LEAST_PATIENCE = 60.0
"""Seconds."""
_SLOWEST = 30
"""No tool takes that many times as long as the plain command."""

Progress = Callable[[str], None]


def base_env(home: Path) -> dict[str, str]:
    """What every command runs in: no variable of the caller changes a result."""
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
        "SHELL": "/bin/sh",
    }


@dataclass(frozen=True)
class Selection:
    """How much is to be measured."""

    tools: list[Tool]
    """Those that are installed; the plain command first."""
    once: frozenset[str]
    """Names of tools that are measured in the first repetition only."""
    phases: tuple[PhaseName, ...]
    reps: int

    @property
    def in_place(self) -> bool:
        """Whether phases begin with what others leave: a tool has all of them in one go then."""
        return any(phase in IN_PLACE for phase in self.phases)

    def runs(self, workload: Workload) -> Iterator[tuple[int, PhaseName, Tool]]:
        """Everything in the order in which it is to run: repetition, phase, tool."""
        tools = [tool for tool in self.tools if tool.suits(workload)]
        phases = [phase for phase in workload.phases if phase in self.phases]
        for rep in range(self.reps):
            present = [tool for tool in tools if rep == 0 or tool.name not in self.once]
            if self.in_place:
                for tool in _rotated(present, rep):
                    yield from ((rep, phase, tool) for phase in phases if phase in tool.phases)
                continue
            for phase in phases:
                for tool in _rotated(present, rep):
                    if phase in tool.phases:
                        yield rep, phase, tool


class Runner:
    """Measures workloads in one work folder."""

    def __init__(self, work: Path, progress: Progress) -> None:
        home = work / "home"
        home.mkdir(parents=True, exist_ok=True)
        self._work = work
        self._progress = progress
        self._env = base_env(home)
        self.kits = Kits(work)
        self.unsteady: dict[str, list[str]] = {}
        """By workload, what differed between two plain runs."""

    def run(self, workload: Workload, selection: Selection) -> Iterator[Sample]:
        """Every sample of the workload, as it is taken.  Raises NoInput."""
        env = self.kits.env(workload.kits, self._env)
        tree = Tree(Inputs(self._work, env).pristine(workload), self._work / "tree")
        tree.lay()
        bench = _Bench(workload, tree, self._work, env, selection.in_place)
        if selection.in_place:
            self.unsteady[workload.name] = bench.compare_plain()
        for rep, phase, tool in selection.runs(workload):
            self._progress(f"{workload.name}: {tool.name}, {phase} ({rep + 1})")
            yield from bench.samples(tool, phase, rep)


def _rotated(tools: list[Tool], rep: int) -> list[Tool]:
    """Nobody always runs after the same other.  The plain command is first at first: the others
    are verified against it."""
    start = rep % len(tools)
    return tools[start:] + tools[:start]


class _Bench:
    """One workload while it is measured."""

    def __init__(
        self, workload: Workload, tree: Tree, work: Path, env: dict[str, str], asks: bool
    ) -> None:
        """`asks`: whether to ask tools what became of the command itself, and why."""
        self._workload = workload
        self._tree = tree
        self._work = work
        self._env = {**env, **workload.run.env}
        self._verifier = Verifier(workload.verify)
        self._right: dict[PhaseName, Result] = {}
        self._patience = workload.run.timeout
        """Seconds that a run may take."""
        self._asks = asks
        self._first: dict[str, Told] = {}
        """What a tool told of the first run."""

    def compare_plain(self) -> list[str]:
        """What differs when the command is run twice plainly: it is not compared from then on."""
        tool, results = Tool(), []
        for _ in range(2):
            self._set_up(tool, "cold", self._place(tool))
            run = self._run(tool, "cold", self._place(tool))
            results.append(self._verifier.result(self._tree, run))
        return self._verifier.leave_out(*results)

    def samples(self, tool: Tool, phase: PhaseName, rep: int) -> Iterator[Sample]:
        """Run one phase with one tool."""
        place = self._place(tool)
        if phase in ("unknown", "cold"):
            tool.empty(place)
        if phase == "versions":
            self._record_versions(tool, place)
        several = phase in ("warm", "versions") and not self._asks
        for _ in range(_WARM_RUNS if several else 1):
            self._set_up(tool, phase, place)
            verb: PhaseName = "warm" if phase == "versions" else phase
            yield self._sample(tool, phase, rep, self._run(tool, verb, place), place)

    def _place(self, tool: Tool) -> Place:
        reports = self._work / "reports"
        reports.mkdir(exist_ok=True)
        return Place(
            home=Path(self._env["HOME"]),
            tree=self._tree.path,
            store=self._work / "stores" / tool.name,
            report=reports / f"{tool.name}.json",
        )

    def _set_up(self, tool: Tool, phase: PhaseName, place: Place) -> None:
        """Bring the tree into the state in which the phase starts."""
        if phase not in IN_PLACE:
            self._tree.reset()
        if phase == "no-op":
            self._run(tool, "warm", place)
        elif phase == "edit" and self._workload.edit:
            self._tree.append(self._workload.edit.file, _text(self._workload.edit.append, 1))
        elif phase in JOB_PHASES and self._workload.jobs:
            jobs = self._workload.jobs
            files = sorted(glob.glob(jobs.files, root_dir=self._tree.path))
            part = JOB_PHASES[phase]
            for name in files[: max(1, round(len(files) * part))]:
                # Text of its own for each phase: the edit of one must be no hit in the next.
                self._tree.append(name, _text(jobs.append, round(100 * part)))
        self._tree.settle()

    def _record_versions(self, tool: Tool, place: Place) -> None:
        edit, versions = self._workload.edit, self._workload.versions
        if edit is None or versions is None:
            raise AssertionError("checked by Workload")
        for number in range(versions.count):
            self._tree.reset()
            self._tree.append(edit.file, _text(edit.append, 1000 + number))
            self._tree.settle()
            self._run(tool, "versions", place)

    def _run(self, tool: Tool, phase: PhaseName, place: Place) -> Measured:
        argv = self._workload.run.argv
        place.report.unlink(missing_ok=True)
        tool.before(argv, place)
        try:
            return measure(
                tool.command(phase, argv, place),
                cwd=self._tree.path,
                env=tool.env(self._env, place),
                timeout=self._patience,
            )
        finally:
            tool.after(place)

    def _sample(
        self, tool: Tool, phase: PhaseName, rep: int, run: Measured, place: Place
    ) -> Sample:
        result = self._verifier.result(self._tree, run)
        if tool.name == "plain":
            self._right.setdefault(phase, result)
            if phase == "cold":
                # Whoever hangs is found out in reasonable time.
                patience = max(_LEAST_PATIENCE, _SLOWEST * run.wall)
                self._patience = min(self._workload.run.timeout, patience)
        right = self._right[baseline(phase)]
        told = tool.told(tool.env(self._env, place)) if self._asks else None
        if told is not None and phase == "cold":
            self._first[tool.name] = told
        sample = Sample(
            workload=self._workload.name,
            tool=tool.name,
            phase=phase,
            rep=rep,
            wall=run.wall,
            cpu=run.cpu,
            peak_kib=run.peak,
            store_bytes=_size(place.store),
            counters=_counters(place.report),
            wrong=self._verifier.differences(right, result),
        )
        if told is not None:
            sample.root, sample.why = told.verdict(self._first[tool.name])
        if told is not None and phase == "edit":
            sample.ran = told.ran
            sample.programs, sample.needed = self._oracle(tool, told)
        return sample

    def _oracle(self, tool: Tool, edit: Told) -> tuple[int, int]:
        """How many programs the plain command starts, and an oracle would run, after an edit."""
        place = self._place(tool)
        # Where the store is belongs to what programs are called with.
        kept = place.store.with_name("kept")
        shutil.rmtree(kept, ignore_errors=True)
        place.store.rename(kept)
        tool.empty(place)
        self._set_up(tool, "edit", place)
        self._run(tool, "cold", place)
        told = tool.told(tool.env(self._env, place))
        shutil.rmtree(place.store)
        kept.rename(place.store)
        return (0, 0) if told is None else needed(told, self._first[tool.name], edit)


def _text(template: str, number: int) -> str:
    return template.replace("{n}", str(number))


def _size(store: Path) -> int:
    """Bytes on disk of everything below `store`."""
    if not store.exists():
        return 0
    return sum(p.lstat().st_blocks * 512 for p in store.rglob("*"))


def _counters(report: Path) -> dict[str, float]:
    """Every number of a report that is not zero; those in a table of their own with its name."""
    if not report.exists():
        return {}
    found: dict[str, float] = {}
    for name, value in json.loads(report.read_text()).items():
        table = value if isinstance(value, dict) else {name: value}
        prefix = f"{name}: " if isinstance(value, dict) and name != "counters" else ""
        for key, number in table.items():
            if isinstance(number, int | float) and number:
                found[prefix + key] = number
    return found
