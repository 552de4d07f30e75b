"""What is measured if nothing else is asked for: the contents of plans.toml, checked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError

from bench.config import PhaseName, Table, Workload, select

PLANS = Path(__file__).with_name("plans.toml")
DEFAULT = "quick"


class BadPlans(Exception):
    """A file that holds no plans."""


class Part(Table):
    """A choice of workloads, with tools and phases for them."""

    workloads: Annotated[list[str], Field(min_length=1)]
    """Names, patterns or groups."""
    tools: Annotated[list[str], Field(min_length=1)]
    """Names besides the plain command, or `*` for all."""
    once: list[str] = Field(default=[])
    """Tools that are measured in the first repetition only."""
    phases: Annotated[list[PhaseName], Field(min_length=1)]
    reps: PositiveInt


class Plan(Table):
    """What is measured in one go."""

    title: str
    parts: Annotated[list[Part], Field(min_length=1)]
    micro_reps: NonNegativeInt
    """Repetitions of the micro benchmarks; 0 leaves them out."""

    def selected(self, workloads: list[Workload]) -> list[tuple[Workload, Part]]:
        """Those of the plan, each with the first part that names it.  Raises BadWorkload."""
        patterns = [pattern for part in self.parts for pattern in part.workloads]
        return [(workload, self._part(workload)) for workload in select(workloads, patterns)]

    def only(self, workloads: list[Workload]) -> Plan:
        """The same for these workloads; one that the plan does not have is in its last part."""
        parts = [
            self._part(workload).model_copy(update={"workloads": [workload.name]})
            for workload in workloads
        ]
        return self.model_copy(update={"parts": parts})

    def _part(self, workload: Workload) -> Part:
        for part in self.parts:
            if any(workload.matches(pattern) for pattern in part.workloads):
                return part
        return self.parts[-1]

    def instead(
        self, *, tools: list[str] | None, phases: list[PhaseName] | None, reps: int | None
    ) -> Plan:
        """The same with other tools, phases or repetitions where they are given."""
        changes: dict[str, object] = {}
        if tools:
            changes |= {"tools": tools, "once": []}
        if phases:
            changes["phases"] = phases
        if reps:
            changes["reps"] = reps
        parts = [part.model_copy(update=changes) for part in self.parts]
        micro_reps = min(self.micro_reps, 1) * reps if reps else self.micro_reps
        return self.model_copy(update={"parts": parts, "micro_reps": micro_reps})


def load(path: Path = PLANS) -> dict[str, Plan]:
    """Every plan by its name.  Raises BadPlans, which says what is wrong with the file."""
    try:
        with path.open("rb") as file:
            return TypeAdapter(dict[str, Plan]).validate_python(tomllib.load(file))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise BadPlans(f"{path}: {error}") from None
