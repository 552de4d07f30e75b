"""What was saved, day by day."""

from __future__ import annotations

import sys
import time

from pcache.history.sessions import Session
from pcache.report import schema
from pcache.session.steps.closing import seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pcache.report.style import Style

_WIDTH, _LEAST = 40, 8
_BESIDE = 37
"""Columns that what stands before a bar takes."""
_BAR = "\N{FULL BLOCK}"


def by_day(sessions: Sequence[Session]) -> list[schema.Day]:
    """One for each day, local, on which there was a session."""
    found: dict[str, schema.Day] = {}
    for session in sessions:
        at = session.summary
        name = time.strftime("%Y-%m-%d", time.localtime(at.began_ns // 10**9))
        day = found.setdefault(
            name, schema.Day(day=name, sessions=0, hits=0, seconds=0, saved_seconds=0)
        )
        day.sessions += 1
        day.hits += at.hits
        day.seconds += at.elapsed_ns / 1e9
        day.saved_seconds += at.saved_ns / 1e9
    return list(found.values())


def chart(days: Sequence[schema.Day], style: Style) -> Iterator[str]:
    """A bar for each day."""
    most = max(day.saved_seconds for day in days) or 1
    width = min(_WIDTH, max(style.columns - _BESIDE, _LEAST)) if style.columns else _WIDTH
    bar = _BAR if (sys.stdout.encoding or "").lower().startswith("utf") else "#"
    for day in days:
        drawn = style("hit", bar * round(day.saved_seconds / most * width))
        saved = seconds(int(day.saved_seconds * 1e9))
        noun = "session " if day.sessions == 1 else "sessions"
        yield f"{day.day}  {saved:>8}  {day.sessions:>4} {noun}  {drawn}".rstrip()
