"""Sessions and what is said of them in the forms of `pcache.report.schema`."""

from __future__ import annotations

from pcache.history.entries import Entry
from pcache.history.log import UNKNOWN
from pcache.history.sessions import Session
from pcache.model import SERIES, Kind
from pcache.report import difference, schema
from pcache.report.why import Why, path_text
from pcache.session.steps.describe import value_text
from pcache.wording import changed_text, fact_name, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.history.sessions import Parts
    from pcache.report.why import Refusal

KINDS = {
    value: name.lower().replace("_", " ")
    for name, value in vars(Kind).items()
    if name.isupper() and isinstance(value, bytes)
}
"""Kinds of fact in words."""

OUTPUT_KINDS = {
    b"f": "file",
    b"w": "file in place",
    b"r": "moved",
    b"d": "directory",
    b"l": "symbolic link",
    b"h": "hard link",
    b"p": "fifo",
    b"-": "deleted",
    b"m": "attributes",
    SERIES: "numbered directories",
    b"t": "newer",
}


def summary(session: Session) -> schema.Summary:
    at = session.summary
    return schema.Summary(
        session=at.number,
        name=at.name.decode(),
        verb=at.verb,
        command=list(map(string, at.argv)),
        directory=string(at.cwd),
        began=at.began_ns / 1e9,
        seconds=at.elapsed_ns / 1e9,
        status=_known(at.status),
        programs=at.programs,
        hits=at.hits,
        ran=at.ran,
        not_cacheable=at.refused,
        stored=at.stored,
        saved_seconds=at.saved_ns / 1e9,
        why=clean(at.why),
    )


def _execution(number: int, entry: Entry) -> schema.Execution:
    return schema.Execution.model_validate(
        {
            "execution": number,
            "parent": _known(entry.parent),
            "verdict": entry.verdict,
            "command": list(map(string, entry.argv)),
            "program": string(entry.executable),
            "directory": string(entry.cwd),
            "process": entry.tgid,
            "start_seconds": None if entry.start_ns == UNKNOWN else entry.start_ns / 1e9,
            "seconds": entry.wall_ns / 1e9 if entry.wall_ns else None,
            "cpu_seconds": entry.cpu_ns / 1e9,
            "saved_seconds": entry.saved_ns / 1e9,
            "status": _known(entry.status),
            "miss": clean(entry.miss),
            "changed": [
                clean(changed_text([key]).removeprefix("input changed: ")) for key in entry.changed
            ],
            "reasons": [
                {"reason": reason, "evidence": clean(evidence)}
                for reason, evidence in entry.reasons
            ],
            "record": entry.strong.hex() or None,
        }
    )


def session(found: Session) -> schema.SessionDetail:
    executions = [_execution(number, entry) for number, entry in enumerate(found.entries)]
    return schema.SessionDetail(summary=summary(found), executions=executions)


def execution(found: Session, number: int) -> schema.ExecutionDetail:
    entry = found.entries[number]
    parts = found.parts(entry)
    return schema.ExecutionDetail(
        session=found.number,
        execution=_execution(number, entry),
        call=None if parts is None else call(parts),
        inputs=None if parts is None else inputs(parts),
        outputs=None if parts is None else outputs(parts),
        streams=None if parts is None else streams(parts),
    )


def call(parts: Parts) -> schema.Call:
    found = parts[0]
    pairs = (string(entry).partition("=") for entry in found.env)
    return schema.Call(
        program=string(found.executable),
        command=list(map(string, found.argv)),
        directory=string(found.cwd),
        umask=found.umask,
        user=found.uid,
        group=found.gid,
        environment={name: value for name, _, value in pairs},
        descriptors=list(map(string, found.fds)),
    )


def inputs(parts: Parts) -> list[schema.Input]:
    return [
        schema.Input(
            kind=KINDS.get(at.kind, string(at.kind)),
            path=clean(fact_name(at.kind, at.path)),
            value=clean(value_text(at.kind, at.value)),
        )
        for at in parts[1]
    ]


def outputs(parts: Parts) -> list[schema.Output]:
    return [
        schema.Output(
            kind=OUTPUT_KINDS[at.kind],
            path=string(at.path),
            mode=at.mode,
            content=at.content.hex() if at.kind in (b"f", b"w") else string(at.content) or None,
        )
        for at in parts[2].outputs
    ]


def streams(parts: Parts) -> list[schema.Stream]:
    return [schema.Stream(descriptor=fd, bytes=length) for fd, length in parts[2].chunks]


def causes(why: Why) -> schema.Causes:
    return schema.Causes(
        session=why.session.number,
        causes=[
            schema.Cause(
                changed=clean(cause.name),
                path=clean(path_text(cause.key)),
                written_by=clean(cause.writer),
                ran=cause.reran,
                followed=cause.followed,
            )
            for cause in why.causes
        ],
        unknown=why.unknown,
        other=why.other,
        not_cacheable=list(map(refusal, why.refusals)),
    )


def refusal(found: Refusal) -> schema.Refusal:
    return schema.Refusal(
        reason=found.reason,
        evidence=list(map(clean, found.evidence)),
        executions=found.programs,
        seconds=found.wall_ns / 1e9,
        cure=found.cure,
        page=found.page,
    )


def differences(changes: list[difference.Change]) -> schema.Differences:
    return schema.Differences(
        differences=[
            schema.Change.model_validate(
                {
                    "what": change.what,
                    "name": clean(change.name),
                    "old": clean(change.old),
                    "new": clean(change.new),
                }
            )
            for change in changes
        ]
    )


def _known(number: int) -> int | None:
    return None if number == UNKNOWN else number


def string(data: bytes) -> str:
    """Bytes that are no UTF-8 as backslash escapes, for JSON has none."""
    return data.decode(errors="backslashreplace")


def clean(words: str) -> str:
    """Words that may hold names with surrogates."""
    return text(words.encode(errors="surrogateescape"))
