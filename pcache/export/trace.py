"""The Trace Event Format, which Perfetto (ui.perfetto.dev) and chrome://tracing open.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

import json

from pcache.history.entries import HIT
from pcache.history.sessions import Session
from pcache.report import words
from pcache.report.shape import Shape
from pcache.wording import text

_SLOTS = 0
"""In place of a process: the rows of what went on at the same time."""


def chrome_trace(session: Session) -> str:
    """Slices of each execution in a track of its process, and of what went on in one of its slot.

    Times are microseconds since the session began.
    """
    shape = Shape(session)
    entries, cwd = shape.entries, session.summary.cwd
    events: list[dict[str, object]] = [_named("process_name", _SLOTS, _SLOTS, "slots")]
    events += [_named("thread_name", _SLOTS, slot, f"slot {slot}") for slot in range(shape.slots)]
    for number, entry in enumerate(entries):
        if not entry.wall_ns:
            continue
        events.append(_named("process_name", entry.tgid, entry.tgid, words.program(entry)))
        cpu, children, other = shape.waited_ns(number)
        arguments: dict[str, object] = {
            "execution": f"{session.number}.{number}",
            "command": words.command(entry.argv),
            "directory": text(entry.cwd),
            "verdict": entry.verdict,
            "why": words.why(entry, cwd),
            "status": words.status(entry.status),
            "on a processor (us)": cpu / 1e3,
            "waiting for what it started (us)": children / 1e3,
            "waiting for something else (us)": other / 1e3,
        }
        if entry.verdict == HIT:
            arguments["in place of (us)"] = entry.saved_ns / 1e3
        events.append(
            {
                "name": words.program(entry),
                "cat": shape.colour(number),
                "ph": "X",
                "ts": entry.start_ns / 1e3,
                "dur": entry.wall_ns / 1e3,
                "pid": entry.tgid,
                "tid": entry.tgid,
                "args": arguments,
            }
        )
    events += [
        {
            "name": words.program(entries[at.number]),
            "cat": shape.colour(at.number),
            "ph": "X",
            "ts": at.start_ns / 1e3,
            "dur": (at.end_ns - at.start_ns) / 1e3,
            "pid": _SLOTS,
            "tid": at.slot,
            "args": {"execution": f"{session.number}.{at.number}"},
        }
        for at in shape.segments
    ]
    other_data = {
        "session": str(session.number),
        "command": words.command(session.summary.argv),
        "began": words.when(session.summary.began_ns),
    }
    document = {"traceEvents": events, "displayTimeUnit": "ms", "otherData": other_data}
    return json.dumps(document, separators=(",", ":")) + "\n"


def _named(what: str, process: int, thread: int, name: str) -> dict[str, object]:
    return {"name": what, "ph": "M", "pid": process, "tid": thread, "args": {"name": name}}
