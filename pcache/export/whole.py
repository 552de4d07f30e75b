"""A session with the inside of what was brought back, as it was when that ran."""

from __future__ import annotations

from pcache.history.entries import HIT, Entry
from pcache.history.log import UNKNOWN
from pcache.history.sessions import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_BEFORE = 200
"""Sessions that are searched."""

Name = tuple[bytes, tuple[bytes, ...]]
"""Directory and arguments."""


def expanded(session: Session, before: Sequence[Session]) -> list[tuple[Session, Entry]]:
    """The executions of a session, and in the place of each that was brought back also those that
    it had started when it last ran; `before`: earlier sessions, the latest first.

    Each with the session that it is of.  In the order of their start, callers first.
    """
    inside: dict[Name, tuple[Session, int]] = {}
    for other in before[:_BEFORE]:
        entries = other.entries
        callers = {entry.parent for entry in entries} - {UNKNOWN}
        for number in callers:
            inside.setdefault(_name(entries[number]), (other, number))
    found: list[tuple[Session, Entry]] = []
    seen: set[Name] = set()

    def add(of: Session, number: int, children: dict[int, list[int]]) -> None:
        entry = of.entries[number]
        found.append((of, entry))
        name = _name(entry)
        if entry.verdict == HIT and name in inside and name not in seen:
            seen.add(name)  # whatever it is that starts itself
            other, root = inside[name]
            below = _children(other)
            waiting = [(other, child, below) for child in reversed(below.get(root, []))]
        else:
            waiting = [(of, child, children) for child in reversed(children.get(number, []))]
        stack.extend(waiting)

    own = _children(session)
    stack = [(session, number, own) for number in reversed(own.get(UNKNOWN, []))]
    while stack:
        add(*stack.pop())
    return found


def _name(entry: Entry) -> Name:
    return entry.cwd, entry.argv


def _children(session: Session) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for number, entry in enumerate(session.entries):
        found.setdefault(entry.parent, []).append(number)
    return found
