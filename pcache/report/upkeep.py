"""What verbs found or did, in the forms of `pcache.report.schema_upkeep`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pcache.report import data, schema, schema_upkeep
from pcache.report.over_time import by_day
from pcache.report.shape import Shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.history.sessions import Session
    from pcache.report.shape import Segment
    from pcache.session.steps.command import Command
    from pcache.session.verbs.explain import Explanation
    from pcache.session.verbs.pull import Pulled
    from pcache.session.verbs.verify import Verification
    from pcache.store.gc import Report as Collected

_INPUTS = 100
"""How many of the inputs most depended on are told."""


def explanation(command: Command, found: Explanation) -> schema_upkeep.Explanation:
    return schema_upkeep.Explanation(
        command=list(map(data.string, command.argv)),
        directory=data.string(command.cwd),
        explained=_explained(found),
    )


def _explained(found: Explanation) -> schema_upkeep.Explained:
    outcome, otherwise = found.outcome, found.otherwise
    return schema_upkeep.Explained(
        hit=found.hit,
        why=found.why,
        restores=None
        if outcome is None
        else schema_upkeep.Restored(
            status=outcome.status,
            paths=len(outcome.outputs),
            bytes=sum(length for _, length in outcome.chunks),
            seconds=outcome.wall_ns / 1e9,
        ),
        compared=[
            schema_upkeep.Compared(
                facts=at.facts,
                versions=at.versions,
                used=at.used_ns / 1e9,
                differing=at.differing,
                changed=[
                    schema_upkeep.Changed(about=data.clean(about), changes=_all_clean(changes))
                    for about, changes in at.changes.items()
                ],
            )
            for at in found.versions
        ],
        reasons=[
            schema.Reason(reason=at.reason, evidence=data.clean(at.evidence))
            for at in found.refusals
        ],
        contradictions=_all_clean(found.contradictions),
        nearest=list(map(_all_clean, found.calls)),
        otherwise=None if otherwise is None else _explained(otherwise),
        elsewhere=_all_clean(found.elsewhere),
    )


def report(session: Session, others: Sequence[Session]) -> schema_upkeep.Report:
    """`others`: all sessions that are kept, for what was saved over time."""
    shape = Shape(session)
    costs = shape.costs()
    return schema_upkeep.Report(
        summary=data.summary(session),
        slots=shape.slots,
        slices=[schema_upkeep.Slice(slot=at.slot, **_span(at)) for at in shape.segments],
        critical_path=[schema_upkeep.Spent(**_span(at)) for at in shape.critical],
        seconds={
            "hit": costs["hit"] / 1e9,
            "ran": costs["ran"] / 1e9,
            "not cacheable": costs["bad"] / 1e9,
        },
        not_cacheable=list(map(data.refusal, shape.refusals)),
        inputs=[
            schema_upkeep.Dependency(
                path=data.string(at.path), executions=at.executions, seconds=at.wall_ns / 1e9
            )
            for at in shape.dependencies()[:_INPUTS]
        ],
        days=by_day(others),
    )


def _span(at: Segment) -> dict[str, Any]:
    return {
        "execution": at.number,
        "start_seconds": at.start_ns / 1e9,
        "seconds": (at.end_ns - at.start_ns) / 1e9,
    }


def verification(found: Verification) -> schema_upkeep.Verification:
    read, sample = found.read_report, found.sample
    return schema_upkeep.Verification(
        sound=found.sound,
        calls=read.calls,
        records=read.records,
        contents=read.contents,
        bytes=read.bytes,
        damaged=_all_clean(read.faults),
        rerun=None
        if sample is None
        else schema_upkeep.Rerun(
            wanted=sample.wanted,
            equal=sample.equal,
            different=_all_clean(sample.different),
            passed=[
                schema_upkeep.Passed(
                    reason=reason, records=count, example=data.clean(sample.examples[reason])
                )
                for reason, count in sample.passed.most_common()
            ],
        ),
    )


def collection(found: Collected, dry_run: bool) -> schema_upkeep.Collection:
    return schema_upkeep.Collection(
        dry_run=dry_run,
        records=found.records,
        contents=found.blobs,
        leftovers=found.leftovers,
        compressed=found.compressed,
        bytes_before=found.size_before,
        bytes_after=found.size_after,
    )


def pulled(found: Pulled, dry_run: bool) -> schema_upkeep.Pull:
    return schema_upkeep.Pull(
        dry_run=dry_run,
        records=found.records,
        contents=found.contents,
        bytes=found.bytes,
        received=found.received,
    )


def _all_clean(lines: Sequence[str]) -> list[str]:
    return list(map(data.clean, lines))
