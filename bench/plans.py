"""What is measured if nothing else is asked for: the contents of plans.toml, checked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveInt, TypeAdapter, ValidationError

from bench.config import PhaseName, Table

PLANS = Path(__file__).with_name("plans.toml")
QUICK = "quick"


class BadPlans(Exception):
    """A file that holds no plans."""


class Plan(Table):
    """A choice of workloads, tools and phases."""

    title: str
    reps: PositiveInt
    workloads: Annotated[list[str], Field(min_length=1)]
    """Names, patterns or groups."""
    tools: Annotated[list[str], Field(min_length=1)]
    """Names besides the plain command, or `*` for all."""
    phases: Annotated[list[PhaseName], Field(min_length=1)]
    micro: bool = True
    """Whether the micro benchmarks are run."""


def load(path: Path = PLANS) -> dict[str, Plan]:
    """Every plan by its name.  Raises BadPlans, which says what is wrong with the file."""
    try:
        with path.open("rb") as file:
            return TypeAdapter(dict[str, Plan]).validate_python(tomllib.load(file))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise BadPlans(f"{path}: {error}") from None
