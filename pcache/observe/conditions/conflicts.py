"""Conflicts between the children of an execution."""

from __future__ import annotations

from pcache.model import Reason
from pcache.observe.executions import Execution
from pcache.wording import text


def mark_conflicts(execution: Execution) -> None:
    """Marks children that ran at the same time and touched the same path, one of them writing."""
    children = execution.children
    if len(children) < 2 or not execution.changes:
        return
    writers: dict[bytes, list[Execution]] = {}
    for child in children:
        for name in child.changes:
            writers.setdefault(name, []).append(child)
    for child in children:
        names = {observation.name for observation in (*child.inputs.values(), *child.covering)}
        names |= child.changes.keys()
        for name in names & writers.keys():
            for writer in writers[name]:
                if writer is not child and _overlap(writer, child):
                    path = text(name)
                    child.problem(Reason.CONFLICT, f"{path}, with {writer.label()}")
                    writer.problem(Reason.CONFLICT, f"{path}, with {child.label()}")


def _overlap(one: Execution, other: Execution) -> bool:
    return (
        one.end is not None
        and other.end is not None
        and one.image < other.end
        and other.image < one.end
    )
