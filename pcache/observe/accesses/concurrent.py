"""Files that several executions of the tree have open for writing at the same time."""

from __future__ import annotations

from pcache.model import Reason
from pcache.observe.accesses.event import Event
from pcache.observe.events import Stamp
from pcache.observe.executions import Execution
from pcache.wording import text


class ConcurrentWriters:
    def __init__(self) -> None:
        self._modifiers: dict[bytes, list[Execution]] = {}
        """Who has opened a file to modify it, by name."""

    def modified_by(self, event: Event, name: bytes, stamp: Stamp) -> None:
        """A file was opened to be modified: the same-time writers of a file, and those that contain
        one but not the other, cannot tell whose bytes are in it."""
        mine = event.execution
        others = self._modifiers.setdefault(name, [])
        for other in [*others]:
            if other.end is not None:
                others.remove(other)
            elif not (other.contains(mine) or mine.contains(other)):
                _conflict(mine, other, name)
                _conflict(other, mine, name)
        if stamp.writers:
            # By an open descriptor, of whoever opened the file before.
            for at in mine.chain():
                change = at.changes.get(name)
                if change is not None and change.first < event.ts:
                    break
                at.problem(Reason.CONFLICT, f"{text(name)}, which somebody else has open to write")
        if mine not in others:
            others.append(mine)


def look_at_streams(event: Event, name: bytes, stamp: Stamp) -> bool:
    """Whether a file that is looked at is one that somebody was handed down to write to: of one
    which was empty then he must see his own bytes, and no others."""
    found = False
    for execution in event.execution.chain():
        if execution.writes_to(stamp):
            found = True
            empty = not execution.streams[stamp.st_ino][0].stamp.st_size
            if empty and stamp.st_size != execution.written_to(stamp):
                what = f"{text(name)}, which somebody else writes to as well"
                execution.problem(Reason.INPUT_CHANGED, what)
    return found


def _conflict(one: Execution, other: Execution, name: bytes) -> None:
    """Marks `one` and what contains it, as far as it does not contain `other`."""
    evidence = f"{text(name)}, with {other.label()}"
    for at in one.chain():
        if at.contains(other):
            return
        at.problem(Reason.CONFLICT, evidence)
