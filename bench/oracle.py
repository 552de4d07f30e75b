"""What pcache tells of a run, and what somebody who knew everything would have run.

An oracle skips a program if one with the same call and the same inputs was run before, or if it
would skip what started it.  Which those are is found by recording the edited command once more into
an empty store, and looking up its records among those of the first run.  Of a program without a
record, as one that reads from a pipe, it is taken to depend on what its caller ran beside it.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from typing import Literal

_ALWAYS = ("configured off", "never cached", "works on a temporary file of its caller")
"""Reasons why a program has to run again, if what started it runs."""
_TEMPORARY = re.compile(r"/tmp/[^/ ]+")


@dataclass(frozen=True)
class Program:
    """One execution, as `pcache show --json` tells it."""

    number: int
    parent: int | None
    verdict: str
    why: str
    """Why it ran, if it did."""
    refused: str
    """Why it is not recorded, if it is not."""
    record: str | None
    call: tuple[str, str]
    """Command line, without names in /tmp, and directory."""
    start: float
    end: float


@dataclass(frozen=True)
class Told:
    """A session; the command itself is the first program."""

    programs: list[Program]

    @property
    def ran(self) -> int:
        """How many programs were not brought back."""
        return sum(program.verdict != "hit" for program in self.programs)

    def verdict(self, first: Told) -> tuple[Literal["hit", "ran"], str]:
        """Whether the command itself was brought back, and why not: if that is because the first
        run was not recorded, why that is."""
        root = self.programs[0]
        if root.verdict == "hit":
            return "hit", ""
        return "ran", first.programs[0].refused or root.refused or root.why


def last_session(launcher: list[str], env: dict[str, str]) -> Told | None:
    """What pcache tells of its last session, None if it does not."""
    asked = [*launcher, "show", "--all", "--json", "last"]
    done = subprocess.run(asked, env=env, capture_output=True, check=False)
    if done.returncode:
        return None
    programs = [
        Program(
            told["execution"],
            told["parent"],
            told["verdict"],
            told["miss"] or "",
            "; ".join(f"{one['reason']}: {one['evidence']}" for one in told["reasons"]),
            told["record"],
            (_TEMPORARY.sub("/tmp/*", " ".join(told["command"])), told["directory"]),
            told["start_seconds"],
            told["start_seconds"] + told["seconds"],
        )
        for told in json.loads(done.stdout)["executions"]
    ]
    return Told(programs) if programs else None


def needed(told: Told, first: Told, edit: Told) -> tuple[int, int]:
    """How many programs there are in the recording of an edited command, and how many of them an
    oracle would run that has seen `first`: it skips what was skipped in `edit`, at the least."""
    records = {program.record for program in first.programs} - {None}
    calls = {program.call for program in first.programs if program.record is None}
    calls -= {program.call for program in told.programs if program.record is not None}
    brought_back = {program.call for program in edit.programs if program.verdict == "hit"}
    skipped: set[int] = set()
    unclear = []
    for program in told.programs:
        if program.record in records or program.parent in skipped or program.call in brought_back:
            skipped.add(program.number)
        elif program.call in calls and not program.refused.startswith(_ALWAYS):
            unclear.append(program)
    run = [one for one in told.programs if one.number not in skipped and one not in unclear]
    for program in unclear:
        beside = [one for one in run if one.parent == program.parent and _overlap(one, program)]
        if not beside:
            skipped.add(program.number)
    return len(told.programs), len(told.programs) - len(skipped)


def _overlap(one: Program, other: Program) -> bool:
    return one.start < other.end and other.start < one.end
