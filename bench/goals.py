"""What is to be reached, and what other tools reach: the contents of goals.toml, checked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PositiveFloat, ValidationError, model_validator

from bench.config import PhaseName, Table

GOALS = Path(__file__).with_name("goals.toml")
JUDGED, JUDGED_RUN = "pcache", "pcache-run"
"""The tools that goals are for."""


class BadGoals(Exception):
    """A file that holds no goals."""


def _ascending(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError(f"{span[0]} is more than {span[1]}")
    return span


Range = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_ascending)]
Figure = PositiveFloat | Range
"""One ratio, or the lowest and the highest."""


def _span(figure: Figure) -> tuple[float, float]:
    return figure if isinstance(figure, tuple) else (figure, figure)


class Goal(Table):
    """The highest ratio to the plain command that is good, in one phase of similar workloads."""

    title: str
    phase: PhaseName
    most: Annotated[dict[str, PositiveFloat], Field(min_length=1)]
    """By workload, of `pcache trace` and `pcache replay`."""
    run: dict[str, PositiveFloat] = Field(default={})
    """The same of `pcache run`."""
    others: dict[str, Figure | dict[str, Figure]] = Field(default={})
    """What was measured with other tools, earlier: for all of the workloads, or by workload."""
    remark: str = ""
    why: str = ""
    """What it takes that is too much, where the goal is missed: from profiles, not a guess."""

    def limits(self, tool: str) -> dict[str, float]:
        """The highest good ratio by workload, of a tool that is judged; empty for others."""
        return {JUDGED: self.most, JUDGED_RUN: self.run}.get(tool, {})

    def of_others(self, workload: str) -> dict[str, tuple[float, float]]:
        """Lowest and highest figure of every tool that has one for the workload."""
        found = {}
        for tool, figures in self.others.items():
            figure = figures.get(workload) if isinstance(figures, dict) else figures
            if figure is not None:
                found[tool] = _span(figure)
        return found

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if unknown := self.run.keys() - self.most.keys():
            raise ValueError(f"run has goals for {sorted(unknown)}, which have no other")
        for tool, figures in self.others.items():
            if isinstance(figures, dict) and (unknown := figures.keys() - self.most.keys()):
                raise ValueError(f"{tool} has figures for {sorted(unknown)}, which have no goal")
        return self


class MicroGoal(Table):
    """The same for the ratio of a micro benchmark, which may also be one that should be high."""

    name: str
    what: str
    most: PositiveFloat | None = None
    least: PositiveFloat | None = None
    why: str = ""
    """As for `Goal`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.most is None) == (self.least is None):
            raise ValueError("either `most` or `least` is needed")
        return self


class Goals(Table):
    """All of them."""

    measured: str = ""
    """Where the figures of other tools come from."""
    goals: list[Goal] = Field(default=[])
    micro: list[MicroGoal] = Field(default=[])

    def most(self, workload: str, phase: PhaseName, tool: str) -> float | None:
        """The highest good ratio there; None without a goal."""
        for goal in self.goals:
            if goal.phase == phase and workload in (limits := goal.limits(tool)):
                return limits[workload]
        return None

    def of_micro(self, name: str, what: str) -> MicroGoal | None:
        """The goal of a micro benchmark, if it has one."""
        return next((goal for goal in self.micro if (goal.name, goal.what) == (name, what)), None)


def load(path: Path = GOALS) -> Goals:
    """Raises BadGoals, which says what is wrong with the file."""
    try:
        with path.open("rb") as file:
            return Goals.model_validate(tomllib.load(file))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise BadGoals(f"{path}: {error}") from None
