"""The forms of all JSON that pcache writes: docs/json.md says what they mean.  Those of sessions;
`pcache.report.schema_upkeep` has the others.

Fields are only added within a version; who reads should pass over what it does not know.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Form(BaseModel):
    """A part of what is written."""

    model_config = ConfigDict(extra="forbid")


class Document(Form):
    """What is written as a whole."""

    version: Literal[1] = 1


class Counted(Document):
    """What `--json FILE` of run, trace and replay writes."""

    kind: Literal["counters"] = "counters"
    status: int | None
    counters: dict[str, int]
    supervisor: dict[str, int] | None = None
    timing: dict[str, dict[str, float]] | None = None
    session: str | None = None


class Summary(Form):
    """One session."""

    session: int
    name: str
    verb: str
    command: list[str]
    directory: str
    began: float
    seconds: float
    status: int | None
    programs: int
    hits: int
    ran: int
    not_cacheable: int
    stored: int
    saved_seconds: float
    why: str


class SessionList(Document):
    """`pcache log --json`."""

    kind: Literal["sessions"] = "sessions"
    sessions: list[Summary]


Verdict = Literal["hit", "stored", "known", "nondeterministic", "not cacheable", "ran"]


class Reason(Form):
    reason: str
    evidence: str


class Execution(Form):
    """One execution in a session."""

    execution: int
    parent: int | None
    verdict: Verdict
    command: list[str]
    program: str
    directory: str
    process: int
    start_seconds: float | None
    seconds: float | None
    cpu_seconds: float
    saved_seconds: float
    status: int | None
    miss: str
    changed: list[str]
    reasons: list[Reason]
    record: str | None


class SessionDetail(Document):
    """`pcache show --json`."""

    kind: Literal["session"] = "session"
    summary: Summary
    executions: list[Execution]


class Call(Form):
    program: str
    command: list[str]
    directory: str
    umask: int
    user: int
    group: int
    environment: dict[str, str]
    descriptors: list[str]


class Input(Form):
    kind: str
    path: str
    value: str


class Output(Form):
    kind: str
    path: str
    mode: int
    content: str | None


class Stream(Form):
    descriptor: int
    bytes: int


class ExecutionDetail(Document):
    """`pcache show --json EXECUTION`; call and what follows it are null without a record."""

    kind: Literal["execution"] = "execution"
    session: int
    execution: Execution
    call: Call | None
    inputs: list[Input] | None
    outputs: list[Output] | None
    streams: list[Stream] | None


class Cause(Form):
    changed: str
    path: str
    written_by: str
    ran: list[int]
    followed: list[int]


class Refusal(Form):
    reason: str
    evidence: list[str]
    executions: list[int]
    seconds: float
    cure: str
    page: str


class Causes(Document):
    """`pcache why --json`."""

    kind: Literal["causes"] = "causes"
    session: int
    causes: list[Cause]
    unknown: list[int]
    other: dict[str, list[int]]
    not_cacheable: list[Refusal]


class Change(Form):
    what: Literal["call", "input", "output", "stream", "status", "verdict", "execution"]
    name: str
    old: str
    new: str


class Differences(Document):
    """`pcache diff --json`."""

    kind: Literal["differences"] = "differences"
    differences: list[Change]


class File(Form):
    path: str
    sha256: str | None
    size: int | None
    xxh3_128: str


class FilesOfExecution(Form):
    execution: int
    session: int
    verdict: Verdict
    command: list[str]
    directory: str
    known: bool
    inputs: list[int]
    outputs: list[int]
    deleted: list[str]


class Files(Document):
    """`pcache export --format json`."""

    kind: Literal["files"] = "files"
    session: int
    command: list[str]
    directory: str
    complete: bool
    files: list[File]
    executions: list[FilesOfExecution]


class Day(Form):
    day: str
    sessions: int
    hits: int
    seconds: float
    saved_seconds: float


class Statistics(Document):
    """`pcache stats --json`."""

    kind: Literal["statistics"] = "statistics"
    statistics: dict[str, int]
    not_cacheable: dict[str, int]
    days: list[Day]


class Recorded(Form):
    command: list[str]
    directory: str
    last: float
    records: int
    not_cacheable: list[str]


class Records(Document):
    """`pcache ls --json`."""

    kind: Literal["records"] = "records"
    records: list[Recorded]
