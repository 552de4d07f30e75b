"""What a workload is: the contents of its `bench.toml`, checked."""

from __future__ import annotations

import os
import re
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    ValidationError,
    model_validator,
)

WORKLOADS = Path(__file__).with_name("workloads")

PhaseName = Literal[
    "unknown",
    "cold",
    "again",
    "third",
    "warm",
    "no-op",
    "edit",
    "edit10",
    "edit50",
    "edit90",
    "versions",
]
PHASES: tuple[PhaseName, ...] = get_args(PhaseName)
IN_PLACE: tuple[PhaseName, ...] = ("again", "third")
"""They begin with what the phase before has left."""
JOB_PHASES: dict[PhaseName, float] = {"edit10": 0.1, "edit50": 0.5, "edit90": 0.9}


class BadWorkload(Exception):
    """A bench.toml that cannot be used."""


def _relative(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path!r} is not below the tree of the workload")
    return path


def _pattern(text: str) -> str:
    try:
        re.compile(text.encode())
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


RelativePath = Annotated[str, AfterValidator(_relative)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Command = Annotated[list[str], Field(min_length=1)]


class Table(BaseModel):
    """A table of a bench.toml: a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(Table):
    """Where the files come from; the folder's own `files/` are copied over them in any case."""

    source: str | None = None
    """Source package of the distribution whose upstream archive is unpacked."""
    generator: Literal["families", "reads", "texts"] | None = None
    """Function of bench/data.py that writes files, always the same ones."""
    arguments: dict[str, int | str] = {}
    """Keyword arguments of the generator."""


class Prepare(Table):
    """What is done once before anything is measured; its results are inputs of the workload."""

    commands: list[Command] = []


class Run(Table):
    """The command that is measured.  `{cpus}` stands for the number of processors."""

    command: Command
    env: dict[str, str] = {}
    timeout: PositiveFloat = 900.0
    """Seconds for the plain command; a tool gets 30 times what that took, at most this."""

    @property
    def argv(self) -> list[str]:
        """The command with its placeholders filled in."""
        return [word.replace("{cpus}", str(os.cpu_count() or 1)) for word in self.command]


class Verify(Table):
    """How results are compared with those of the plain command."""

    ignore: list[str] = []
    """Patterns (as in the shell, `*` also matches `/`) of paths that are left out."""
    mask: list[Pattern] = []
    """Regular expressions (`^` and `$` match at lines) whose matches are deleted from files and
    streams before comparing: what differs between two plain runs."""
    streams: Literal["exact", "lines"] = "exact"
    """`lines` compares sorted lines: the jobs of a parallel make print in any order."""


class Edit(Table):
    """A change of one input: text is appended.  `{n}` differs from edit to edit."""

    file: RelativePath
    append: str


class Jobs(Table):
    """Inputs with one job each; edit10, edit50 and edit90 change that part of them."""

    files: RelativePath
    """Pattern of the inputs, relative to the tree."""
    append: str


class Versions(Table):
    """That many versions of the file of `edit` are recorded before one is replayed."""

    count: Annotated[int, Field(ge=1, le=1000)]


class Workload(Table):
    """One folder below bench/workloads."""

    title: str
    group: Literal["C builds", "bioinformatics", "scripts", "many files", "everyday"]
    packages: list[str] = []
    """Packages that must be installed to run it."""
    kits: list[str] = []
    """Of `kits.toml`: their programs come first in PATH, and `KITS` is the directory of all."""
    compiles: bool = False
    """Whether compiler caches apply."""
    input: Input = Input()
    prepare: Prepare = Prepare()
    run: Run
    verify: Verify = Verify()
    edit: Edit | None = None
    jobs: Jobs | None = None
    versions: Versions | None = None
    folder: Path
    """Set by `load`."""

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.name

    def matches(self, pattern: str) -> bool:
        """Whether this is the name, a pattern of the name, or the group."""
        return fnmatchcase(self.name, pattern) or self.group == pattern

    @property
    def phases(self) -> tuple[PhaseName, ...]:
        """The phases that make sense here, in the order in which they are measured."""
        wanted: list[PhaseName] = ["unknown", "cold", *IN_PLACE, "warm", "no-op"]
        if self.edit:
            wanted.append("edit")
        if self.jobs:
            wanted.extend(JOB_PHASES)
        if self.versions:
            wanted.append("versions")
        return tuple(wanted)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.versions and not self.edit:
            raise ValueError("versions are versions of the file of an edit: [edit] is missing")
        if self.input.source and self.input.generator:
            raise ValueError("input has a source package or a generator, not both")
        return self


def load(folder: Path) -> Workload:
    """Read the bench.toml of `folder`.  Raises BadWorkload, which says what is wrong with it."""
    path = folder / "bench.toml"
    try:
        with path.open("rb") as file:
            return Workload.model_validate({**tomllib.load(file), "folder": folder})
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc']) or 'bench'}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise BadWorkload(f"{path}: {'; '.join(problems)}") from None
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadWorkload(f"{path}: {error}") from None


def load_all(base: Path = WORKLOADS) -> list[Workload]:
    """Every workload below `base`, by name.  Raises BadWorkload."""
    return [load(path.parent) for path in sorted(base.glob("*/bench.toml"))]


def select(workloads: list[Workload], patterns: list[str]) -> list[Workload]:
    """The workloads whose name or group matches a pattern, in the order of the patterns.

    Raises BadWorkload for a pattern that matches nothing.
    """
    chosen: list[Workload] = []
    for pattern in patterns:
        matching = [workload for workload in workloads if workload.matches(pattern)]
        if not matching:
            raise BadWorkload(f"no workload matches {pattern!r}; `bench list` shows them")
        chosen += [workload for workload in matching if workload not in chosen]
    return chosen
