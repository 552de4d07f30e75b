"""What an execution has itself put in the way of its look-ups."""

from __future__ import annotations

from pcache.observe.accesses.event import Event
from pcache.observe.changes import CREATED


def note_own_obstacle(event: Event, name: bytes) -> None:
    """A call failed with ENOTDIR: if what is in the way is of an execution's own making, so is that
    there is nothing below it."""
    while (slash := name.rfind(b"/")) > 0:
        name = name[:slash]
        for execution in event.execution.chain():
            change = execution.changes.get(name)
            if change is not None and change.first_how == CREATED:
                execution.directories.add(name)
