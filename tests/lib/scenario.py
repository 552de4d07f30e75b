"""A scenario as data: a command, what surrounds it, and what happens between its runs."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.lib.edits import Edit
from tests.lib.launch import Result, Stdio

_SECOND_NS = 1_000_000_000
_AGE_NS = 60 * _SECOND_NS


@dataclass(frozen=True)
class Expect:
    """What `replay` must decide.

    root: whether the command itself hits (then nothing else is decided).  ran: parts of commands;
    each must occur in a command that missed, and every command that missed must hold one.  hit:
    parts of commands, each of which must occur in one that hit.  may: of those that may run or hit,
    as what reads from pipes, which only entry can hold.  None leaves `root` or `ran` open.
    """

    root: bool | None = None
    ran: tuple[str, ...] | None = None
    hit: tuple[str, ...] = ()
    may: tuple[str, ...] = ()

    def faults(self, result: Result) -> list[str]:
        """How a result of `replay -v` deviates."""
        decisions = result.decisions
        hits = [decision.command for decision in decisions if decision.hit]
        misses = [decision for decision in decisions if not decision.hit]
        faults = []
        root = len(hits) == 1 and not misses and result.counters["hits"] == 1
        if self.root is not None and self.root != root:
            faults.append("a root hit" if root else "no root hit")
        if self.ran is not None:
            faults += [
                f"ran, and should not: {miss.command} ({miss.why})"
                for miss in misses
                if not any(part in miss.command for part in (*self.ran, *self.may))
            ]
            faults += [
                f"should have run, and did not: {part}"
                for part in self.ran
                if not any(part in miss.command for miss in misses)
            ]
        faults += [
            f"did not hit: {part}" for part in self.hit if not any(part in hit for hit in hits)
        ]
        return faults


ROOT_HIT = Expect(root=True, ran=())


def only(*ran: str, hit: Sequence[str] = (), may: Sequence[str] = ()) -> Expect:
    """Exactly the commands with one of these parts run; the command itself is one of them."""
    return Expect(root=False, ran=ran, hit=tuple(hit), may=tuple(may))


@dataclass(frozen=True)
class Step:
    """One thing that happens, and what pcache makes of it.

    Steps do not add up: each starts from the scenario's files (`built`: as the command left them).
    env and cwd are changed for this step.  record: whether it is then traced too, after which the
    command itself must hit.
    """

    title: str
    edits: tuple[Edit, ...]
    expect: Expect
    built: bool = False
    env: Mapping[str, str | None] = field(default_factory=dict)
    cwd: str | None = None
    command: tuple[str, ...] | None = None
    record: bool = True
    root_hit: bool = True
    """Whether the command itself can hit once the step was traced."""


def step(title: str, *edits: Edit, expect: Expect = ROOT_HIT, **keywords: object) -> Step:
    return Step(title, edits, expect, **keywords)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Scenario:
    """A command that is deterministic when run plainly, in a directory of its own.

    setup: edits that make the directory.  first: what replay decides after one trace, with nothing
    changed.  again: whether the command is run a second time over what it made, and what replay
    decides then (None: open).  retrace: whether a second trace must find the same records;
    retraced: but for so many, of commands whose arguments hold a random name.
    masks: file name -> pattern of the starts of lines that no two plain runs write alike.
    """

    name: str
    command: tuple[str, ...]
    setup: tuple[Edit, ...] = ()
    steps: tuple[Step, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "."
    stdio: Stdio = field(default_factory=Stdio)
    first: Expect = ROOT_HIT
    again: Expect = field(default_factory=Expect)
    retrace: bool = True
    retraced: int = 0
    masks: Mapping[str, str] = field(default_factory=dict)

    def prepare(self, directory: Path) -> None:
        """Makes the directory, with files of a minute ago: of the same second as the run they
        would leave it to chance whether a time in a result is theirs or that of an output."""
        began = time.time_ns()
        for edit in self.setup:
            edit(directory)
        for parent, directories, names in os.walk(directory):
            for name in (*directories, *names):
                path = os.path.join(parent, name)
                status = os.lstat(path)
                if status.st_mtime_ns >= began - _SECOND_NS:
                    times = status.st_atime_ns - _AGE_NS, status.st_mtime_ns - _AGE_NS
                    os.utime(path, ns=times, follow_symlinks=False)
