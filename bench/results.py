"""Results as they are kept in files, and the ratios that are drawn from them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.config import PhaseName
from bench.goals import Goals

FORMAT: Literal[1] = 1


class BadResults(Exception):
    """A file that holds no results."""


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Machine(_Stored):
    """What the numbers depend on."""

    kernel: str
    distribution: str
    cpu: str
    cpus: int
    memory_mib: int
    python: str
    revision: str
    """Of the checkout."""


class ToolInfo(_Stored):
    """What a report says about a tool."""

    title: str
    version: str = ""
    absent: str = ""
    """Why it was not measured; empty if it was."""


class Sample(_Stored):
    """One measured run."""

    workload: str
    tool: str
    phase: PhaseName
    rep: int
    wall: float
    """Seconds."""
    cpu: float
    """Seconds, user and kernel."""
    peak_kib: int
    """Of the largest process."""
    store_bytes: int = 0
    counters: dict[str, float] = {}
    """What the tool reported, without zeros."""
    wrong: list[str] = []
    """How the result differs from that of the plain command."""
    root: Literal["", "hit", "ran"] = ""
    """Whether the command itself was brought back; empty where nobody asked."""
    why: str = ""
    """Why it was not."""
    ran: int = 0
    """Programs that were not brought back, after an edit."""
    needed: int = 0
    """How many of them an oracle would have run as well: see `bench.oracle`."""
    programs: int = 0
    """How many the plain command starts then."""

    @property
    def skipped(self) -> float | None:
        """Which part was brought back, after an edit, of what an oracle would not have run; None if
        there is nothing to skip."""
        skippable = self.programs - self.needed
        return (self.programs - self.ran) / skippable if skippable > 0 else None


class Micro(_Stored):
    """One number of a micro benchmark."""

    name: str
    what: str
    value: float
    unit: str
    spread: tuple[float, float]
    """Lowest and highest of the repetitions."""
    reference: str = ""
    """What `ratio` relates to."""
    ratio: float | None = None


class WorkloadInfo(_Stored):
    """What a report says about a workload."""

    title: str
    group: str
    packages: dict[str, str] = {}
    """Versions of the packages that it needs."""
    unsteady: list[str] = []
    """What differs when the plain command is run twice: it is not compared."""


class Results(_Stored):
    """One run of the benchmarks."""

    format: Literal[1] = FORMAT
    date: str
    plan: str
    machine: Machine
    goals: Goals = Goals()
    """As they were then."""
    workloads: dict[str, WorkloadInfo] = {}
    tools: dict[str, ToolInfo] = {}
    """Those that were asked for, the plain command first."""
    skipped: dict[str, str] = {}
    """Workloads that were not measured, and why."""
    samples: list[Sample] = []
    micro: list[Micro] = []

    @property
    def wrong(self) -> list[Sample]:
        """The runs that did not do what the plain command does."""
        return [sample for sample in self.samples if sample.wrong]


def asked(results: Results) -> list[Sample]:
    """Samples of which is known whether the command itself was brought back, the last of each."""
    found = {(one.workload, one.tool, one.phase): one for one in results.samples if one.root}
    return list(found.values())


def read(path: Path) -> Results:
    """Raises BadResults."""
    try:
        return Results.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise BadResults(f"{path}: {error}") from None


def write(results: Results, path: Path) -> None:
    """Replaces the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(results.model_dump_json(indent=1) + "\n")


@dataclass(frozen=True)
class Spread:
    """Median and extremes."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of at least one value."""
        found = sorted(values)
        return cls(statistics.median(found), found[0], found[-1])


@dataclass(frozen=True)
class Row:
    """One workload, tool and phase: all repetitions together, as ratios to plain.

    Each run is divided by the plain runs of the same repetition, which ran next to it.
    """

    workload: str
    tool: str
    phase: PhaseName
    wall: Spread
    """Ratio."""
    cpu: Spread
    """Ratio."""
    seconds: float
    """Median."""
    peak_kib: int
    store_bytes: int
    counters: dict[str, float]
    """Of the last repetition."""
    runs: int
    wrong: list[str]
    goal: float | None

    @property
    def missed(self) -> bool:
        """Whether there is a goal that the median does not reach."""
        return self.goal is not None and self.wall.median > self.goal


def baseline(phase: PhaseName) -> PhaseName:
    """The phase in which the plain command does what it would do instead of this one."""
    return "cold" if phase in ("warm", "versions") else phase


def rows(results: Results) -> list[Row]:
    """In the order in which they were measured."""
    return list(_rows(results))


def _rows(results: Results) -> Iterator[Row]:
    groups: dict[tuple[str, str, PhaseName], list[Sample]] = {}
    plain: dict[tuple[str, PhaseName, int], list[Sample]] = {}
    for sample in results.samples:
        groups.setdefault((sample.workload, sample.tool, sample.phase), []).append(sample)
        if sample.tool == "plain":
            plain.setdefault((sample.workload, sample.phase, sample.rep), []).append(sample)
    for (workload, tool, phase), samples in groups.items():
        pairs = [
            (sample, base)
            for sample in samples
            if (base := plain.get((workload, baseline(phase), sample.rep)))
        ]
        if not pairs:
            continue
        yield Row(
            workload=workload,
            tool=tool,
            phase=phase,
            wall=Spread.of(s.wall / statistics.median(b.wall for b in base) for s, base in pairs),
            # The clock of CPU time ticks in milliseconds: a command may seem to need none.
            cpu=Spread.of(
                s.cpu / max(statistics.median(b.cpu for b in base), 0.001) for s, base in pairs
            ),
            seconds=statistics.median(sample.wall for sample in samples),
            peak_kib=max(sample.peak_kib for sample in samples),
            store_bytes=max(sample.store_bytes for sample in samples),
            counters=samples[-1].counters,
            runs=len(samples),
            wrong=[text for sample in samples for text in sample.wrong],
            goal=results.goals.most(workload, phase, tool),
        )
