"""Goals against results: which are met, which are missed, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.goals import JUDGED, JUDGED_RUN, Goal, MicroGoal
from bench.results import Micro, Results, Row, rows

_NO_OTHERS = ("plain", JUDGED, JUDGED_RUN)
_CLOSE = 2.0
"""From here on what is missed is told as a multiple."""


@dataclass(frozen=True)
class Verdict:
    """One goal for one workload and one way to use pcache."""

    goal: Goal
    workload: str
    tool: str
    row: Row | None
    """None if it was not measured."""
    others: tuple[Row, ...]
    """Other tools in the same phase, in the same results."""

    @property
    def most(self) -> float:
        """The highest ratio that is good."""
        return self.goal.limits(self.tool)[self.workload]

    @property
    def way(self) -> str:
        """How pcache was used."""
        if self.tool == JUDGED_RUN:
            return "run"
        return "trace" if self.goal.phase == "cold" else "replay"

    @property
    def met(self) -> bool | None:
        """None if it was not measured."""
        if self.row is None:
            return None
        return not self.row.wrong and not self.row.missed

    @property
    def text(self) -> str:
        """The verdict in words."""
        if self.row is None:
            return "not measured"
        if self.row.wrong:
            return "WRONG RESULT"
        if not self.row.missed:
            return "met"
        noise = ", within the spread" if self.row.wall.low <= self.most else ""
        return f"missed by {missed_by(self.row.wall.median, self.most)}{noise}"


def missed_by(measured: float, most: float) -> str:
    """By how much `measured` is above `most`."""
    factor = measured / most
    if factor < _CLOSE:
        return f"{measured - most:.2g} ({factor - 1:.0%})"
    return f"a factor of {factor:.1f}"


def verdicts(results: Results) -> list[Verdict]:
    """In the order of goals.toml, of the workloads that were to be measured: `run` comes after
    `trace` or `replay` of the same one."""
    return list(_verdicts(results))


def _verdicts(results: Results) -> Iterator[Verdict]:
    found = rows(results)
    wanted = results.workloads.keys() | results.skipped.keys()
    for goal in results.goals.goals:
        for workload in (name for name in goal.most if name in wanted):
            here = [row for row in found if (row.workload, row.phase) == (workload, goal.phase)]
            for tool in (JUDGED, JUDGED_RUN):
                if workload in goal.limits(tool):
                    yield Verdict(
                        goal=goal,
                        workload=workload,
                        tool=tool,
                        row=next((row for row in here if row.tool == tool), None),
                        others=tuple(row for row in here if row.tool not in _NO_OTHERS),
                    )


def micro_goal(results: Results, row: Micro) -> MicroGoal | None:
    """The goal for a micro benchmark, if it has one."""
    return results.goals.of_micro(row.name, row.what)


def micro_missed(goal: MicroGoal | None, row: Micro) -> bool:
    """Whether a micro benchmark does not reach its goal."""
    if goal is None or row.ratio is None:
        return False
    if goal.most is not None:
        return row.ratio > goal.most
    return goal.least is not None and row.ratio < goal.least


def summary(results: Results) -> str:
    """How many goals were met, in one line."""
    judged = [verdict for verdict in verdicts(results) if verdict.met is not None]
    met = sum(verdict.met is True for verdict in judged)
    numbers = [(goal, row) for row in results.micro if (goal := micro_goal(results, row))]
    micro = sum(not micro_missed(goal, row) for goal, row in numbers)
    parts = []
    if judged:
        parts.append(f"{met} of {len(judged)} goals of workloads met")
    if numbers:
        parts.append(f"{micro} of {len(numbers)} goals of micro benchmarks met")
    if results.wrong:
        parts.append(f"{len(results.wrong)} runs with a WRONG RESULT")
    elif results.samples:
        parts.append("every result was that of the plain command")
    return "; ".join(parts)
