"""The forms of what is said of commands, the store, settings and the machine; as
`pcache.report.schema`, which has those of sessions."""

from __future__ import annotations

from typing import Any, Literal

from pcache.report.schema import Day, Document, Form, Reason, Refusal, Summary


class Changed(Form):
    about: str
    changes: list[str]


class Compared(Form):
    facts: int
    versions: int
    used: float
    differing: int
    changed: list[Changed]


class Restored(Form):
    status: int
    paths: int
    bytes: int
    seconds: float


class Explained(Form):
    """One call beside what is recorded."""

    hit: bool
    why: str
    restores: Restored | None
    compared: list[Compared]
    reasons: list[Reason]
    contradictions: list[str]
    nearest: list[list[str]]
    otherwise: Explained | None
    elsewhere: list[str]


class Explanation(Document):
    """`pcache explain --json`."""

    kind: Literal["explanation"] = "explanation"
    command: list[str]
    directory: str
    explained: Explained


class Spent(Form):
    execution: int
    start_seconds: float
    seconds: float


class Slice(Spent):
    slot: int


class Dependency(Form):
    path: str
    executions: int
    seconds: float


class Report(Document):
    """`pcache report --json`."""

    kind: Literal["report"] = "report"
    summary: Summary
    slots: int
    slices: list[Slice]
    critical_path: list[Spent]
    seconds: dict[Literal["hit", "ran", "not cacheable"], float]
    not_cacheable: list[Refusal]
    inputs: list[Dependency]
    days: list[Day]


class Passed(Form):
    reason: str
    records: int
    example: str


class Rerun(Form):
    wanted: int
    equal: int
    different: list[str]
    passed: list[Passed]


class Verification(Document):
    """`pcache verify --json`."""

    kind: Literal["verification"] = "verification"
    sound: bool
    calls: int
    records: int
    contents: int
    bytes: int
    damaged: list[str]
    rerun: Rerun | None


class Collection(Document):
    """`pcache gc --json`."""

    kind: Literal["collection"] = "collection"
    dry_run: bool
    records: int
    contents: int
    leftovers: int
    compressed: int
    bytes_before: int
    bytes_after: int


class Removal(Document):
    """`pcache rm --json` and `pcache clear --json`."""

    kind: Literal["removal"] = "removal"
    records: int
    contents: int


class Check(Form):
    name: str
    needed_for: list[str]
    status: Literal["ok", "warn", "fail"]
    found: str
    remedy: str


class Checks(Document):
    """`pcache doctor --json`."""

    kind: Literal["checks"] = "checks"
    failed: int
    checks: list[Check]


class Preparation(Document):
    """`pcache doctor --prepare --json`."""

    kind: Literal["preparation"] = "preparation"
    files: int
    problems: list[str]


class Setting(Form):
    about: str
    name: str
    value: Any
    file: str | None
    line: int | None
    because: str


class Settings(Document):
    """`pcache config --json`."""

    kind: Literal["settings"] = "settings"
    settings: list[Setting]


class Kept(Form):
    command: str
    reason: str


class Push(Document):
    """`pcache push --json`."""

    kind: Literal["push"] = "push"
    dry_run: bool
    records: int
    contents: int
    bytes: int
    manifests: int
    known: int
    stays: list[Kept]
    seconds: float


class Pull(Document):
    """`pcache pull --json`."""

    kind: Literal["pull"] = "pull"
    dry_run: bool
    records: int
    contents: int
    bytes: int
    received: int


class PublicKey(Document):
    """`pcache key --json`."""

    kind: Literal["key"] = "key"
    file: str
    public: str


class Service(Document):
    """`pcache service --json`: one for each thing that was done."""

    kind: Literal["service"] = "service"
    said: str
    answers: bool | None
