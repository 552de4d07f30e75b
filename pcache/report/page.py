"""`pcache report`: a session as one page that needs nothing else."""

from __future__ import annotations

import json
import os
from html import escape

from pcache.history.entries import HIT
from pcache.history.log import UNKNOWN
from pcache.report import words
from pcache.report.shape import Shape, by_program
from pcache.session.steps.closing import closing_line, seconds
from pcache.wording import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pcache.history.sessions import Session

_LABEL = 160
"""Letters of a command line that the pictures have."""
_ROWS = 25
_BARS = 60
_COLOURS = ("hit", "ran", "bad")

Cell = str | tuple[str, str]
"""A text, or a text with the class of its cell."""


def page(session: Session, others: Sequence[Session]) -> str:
    """The page; `others`: all sessions that are kept, for what was saved over time."""
    shape = Shape(session)
    title = f"pcache {session.summary.verb} {words.command(session.summary.argv)}"
    template = os.path.join(os.path.dirname(__file__), "page.html")
    with open(template, encoding="utf-8") as file:
        parts = file.read()
    data = json.dumps(_data(shape), separators=(",", ":")).replace("<", "\\u003c")
    body = "\n".join(_body(shape, title, others))
    # The body last: it may hold anything.
    return (
        parts.replace("@TITLE@", escape(title)).replace("@DATA@", data).replace("@BODY@", body, 1)
    )


def _data(shape: Shape) -> dict[str, object]:
    """What the pictures are drawn from; times in milliseconds."""
    entries, cwd = shape.entries, shape.session.summary.cwd
    return {
        "session": shape.session.number,
        "slots": shape.slots,
        "end": max((segment.end_ns for segment in shape.segments), default=0) / 1e6,
        "executions": [
            [
                entry.parent,
                entry.start_ns / 1e6,
                (entry.start_ns + entry.wall_ns) / 1e6,
                entry.cpu_ns / 1e6,
                shape.own_ns[number] / 1e6,
                _COLOURS.index(shape.colour(number)),
                _clean(shape.label(number))[:_LABEL],
                _clean(words.why(entry, cwd))[:_LABEL],
                entry.saved_ns / 1e6,
            ]
            for number, entry in enumerate(entries)
        ],
        "segments": [
            [at.number, at.slot, at.start_ns / 1e6, at.end_ns / 1e6] for at in shape.segments
        ],
        "critical": [[at.number, at.start_ns / 1e6, at.end_ns / 1e6] for at in shape.critical],
    }


def _body(shape: Shape, title: str, others: Sequence[Session]) -> Iterator[str]:
    at = shape.session.summary
    yield f"<header><h1>{escape(title)}</h1>"
    yield f'<p class="dim">session {at.number}, {words.when(at.began_ns)}, in <code>'
    yield f"{escape(text(at.cwd))}</code>, {words.status(at.status)}</p>"
    line = closing_line(at, shape.entries).removeprefix("pcache: ")
    yield f"<p>{escape(_clean(line))}</p></header>"
    yield '<div class="cards">'
    for value, what in (
        (seconds(at.elapsed_ns), "took"),
        (seconds(at.saved_ns), "saved"),
        (f"{at.hits} of {at.programs}", "brought back"),
        (str(at.refused), "not cacheable"),
    ):
        yield f'<div class="card"><b>{value}</b>{what}</div>'
    yield "</div>"
    costs = shape.costs()
    yield (
        f'<p><span class="key hit"></span>brought back {seconds(costs["hit"])}'
        f'<span class="key ran"></span>ran {seconds(costs["ran"])}'
        f'<span class="key bad"></span>not cacheable {seconds(costs["bad"])}'
        ' <label>&emsp;find <input id="seek" type="search" size="16"></label></p>'
    )
    yield '<section id="time-line"><h2>Time line</h2>'
    yield (
        '<p class="dim">A row for each program that went on at the same time as others; the last'
        " row is the critical path. Point at a box for what it waited for, click to zoom,"
        " double-click to go back.</p>"
    )
    yield '<canvas id="timeline" role="img" aria-label="time line"></canvas></section>'
    yield '<section id="flames"><h2>Flame view</h2>'
    yield '<p class="dim">Who started whom; as wide as the time of it and of all that it started.'
    yield '</p><canvas id="flame" role="img" aria-label="flame view"></canvas></section>'
    yield from _critical(shape)
    yield from _refusals(shape)
    yield from _slowest(shape)
    yield from _dependencies(shape)
    yield from _over_time(others)


def _critical(shape: Shape) -> Iterator[str]:
    path = [at for at in shape.critical if at.end_ns > at.start_ns]
    total = sum(at.end_ns - at.start_ns for at in path)
    yield f'<section id="critical"><h2>Critical path: {seconds(total)}</h2>'
    yield '<p class="dim">What the end had to wait for: only less of this makes it come sooner. '
    programs = ", ".join(f"{name} {seconds(ns)}" for name, ns in by_program(shape, path)[:8])
    yield f"By program: {escape(programs)}.</p>"
    longest = sorted(path, key=lambda at: at.start_ns - at.end_ns)[:_ROWS]
    yield from _table(
        ("time", "from", "execution"),
        (
            (
                _number(seconds(at.end_ns - at.start_ns)),
                _number(seconds(at.start_ns)),
                (shape.label(at.number), "command"),
            )
            for at in longest
        ),
    )
    yield "</section>"


def _refusals(shape: Shape) -> Iterator[str]:
    yield '<section id="refusals"><h2>Not cacheable</h2>'
    if not shape.refusals:
        yield "<p>Nothing that is not contained in something cacheable.</p>"
    else:
        yield from _table(
            ("reason", "programs", "cost", "evidence", "cure"),
            (
                (
                    at.reason,
                    _number(str(len(at.programs))),
                    _number(seconds(at.wall_ns)),
                    (_clean("; ".join(at.evidence[:5])), "command"),
                    at.cure,
                )
                for at in shape.refusals
            ),
        )
    yield "</section>"


def _slowest(shape: Shape) -> Iterator[str]:
    yield '<section id="slowest"><h2>What took longest by itself</h2>'
    rows = []
    for number in shape.slowest(_ROWS):
        cpu, children, other = map(seconds, shape.waited_ns(number))
        own = _number(seconds(shape.own_ns[number]))
        label = (shape.label(number), "command")
        rows.append((own, _number(cpu), _number(children), _number(other), label))
    yield from _table(
        ("itself", "on a processor", "for what it started", "for something else", "execution"), rows
    )
    yield "</section>"


def _dependencies(shape: Shape) -> Iterator[str]:
    yield '<section id="inputs"><h2>Inputs most depended on</h2>'
    yield '<p class="dim">What would have to run again if it changed.</p>'
    here = shape.session.summary.cwd + b"/"
    found = shape.dependencies()
    for title, chosen in (
        ("In the directory of the session", [at for at in found if at.path.startswith(here)]),
        ("Elsewhere", [at for at in found if not at.path.startswith(here)]),
    ):
        if chosen:
            yield f"<h3>{title}</h3>"
            yield from _table(
                ("time", "executions", "file"),
                (
                    (
                        _number(seconds(at.wall_ns)),
                        _number(str(at.executions)),
                        (words.within(text(at.path), shape.session.summary.cwd), "command"),
                    )
                    for at in chosen[:_ROWS]
                ),
            )
    if not found:
        yield "<p>No records of these executions are in the store.</p>"
    yield "</section>"


def _over_time(sessions: Sequence[Session]) -> Iterator[str]:
    """Bars: what was saved and what it took, session by session."""
    shown = [at.summary for at in sessions][-_BARS:]
    yield '<section id="over-time"><h2>Saved over time</h2>'
    total = sum(at.summary.saved_ns for at in sessions)
    yield f'<p class="dim">{seconds(total)} in {len(sessions)} sessions; the last {len(shown)}: '
    yield '<span class="key hit"></span>saved<span class="key ran"></span>took</p>'
    most = max((at.saved_ns + at.elapsed_ns for at in shown), default=1) or 1
    yield '<svg viewBox="0 0 1200 140" width="100%" role="img" aria-label="saved over time">'
    for place, at in enumerate(shown):
        x, width = place * 1200 / _BARS, 1200 / _BARS - 2
        took, saved = at.elapsed_ns * 120 / most, at.saved_ns * 120 / most
        name = escape(f"session {at.number}: {words.command(at.argv)}"[:_LABEL])
        yield (
            f"<g><title>{name}: took {seconds(at.elapsed_ns)}, saved {seconds(at.saved_ns)}</title>"
            f'<rect class="bar took" x="{x:.1f}" y="{120 - took:.1f}" width="{width:.1f}"'
            f' height="{took:.1f}"/><rect class="bar" x="{x:.1f}" y="{120 - took - saved:.1f}"'
            f' width="{width:.1f}" height="{saved:.1f}"/></g>'
        )
    yield '<text x="0" y="136">earlier</text><text x="1200" y="136" text-anchor="end">now</text>'
    yield "</svg></section>"


def _number(value: str) -> tuple[str, str]:
    return value, "number"


def _table(titles: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    made = list(rows)
    numeric = [bool(made) and isinstance(cell, tuple) and cell[1] == "number" for cell in made[0]]
    yield "<table><thead><tr>"
    for title, number in zip(titles, numeric or [False] * len(titles), strict=True):
        yield f'<th class="number">{title}</th>' if number else f"<th>{title}</th>"
    yield "</tr></thead><tbody>"
    for row in made:
        yield "<tr>"
        for cell in row:
            value, kind = cell if isinstance(cell, tuple) else (cell, "")
            whole = escape(_clean(value))
            if len(value) > _LABEL:
                cut = escape(_clean(value[:_LABEL])) + "&hellip;"
                yield f'<td class="{kind}" title="{whole}">{cut}</td>'
            else:
                yield f'<td class="{kind}">{whole}</td>'
        yield "</tr>"
    yield "</tbody></table>"


def _clean(value: str) -> str:
    """Without surrogates, which UTF-8 has not."""
    return value.encode(errors="backslashreplace").decode()


def markdown(session: Session) -> str:
    """The summary of a session for a page of a continuous integration."""
    shape, at = Shape(session), session.summary
    lines = [
        f"### pcache {at.verb} `{_clean(words.command(at.argv)).replace('`', '')[:_LABEL]}`",
        "",
        _clean(closing_line(at, shape.entries).removeprefix("pcache: ")),
        "",
        "| took | saved | brought back | ran | not cacheable |",
        "| --- | --- | --- | --- | --- |",
        f"| {seconds(at.elapsed_ns)} | {seconds(at.saved_ns)} | {at.hits} of {at.programs} |"
        f" {at.ran} | {at.refused} |",
    ]
    if shape.refusals:
        lines += ["", "| not cacheable | programs | cost | cure |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {found.reason} | {len(found.programs)} | {seconds(found.wall_ns)} |"
            f" {found.cure.replace('|', chr(92) + '|')} |"
            for found in shape.refusals
        ]
    slow = [number for number in shape.slowest(5) if shape.entries[number].verdict != HIT]
    if slow and any(entry.end_ns != UNKNOWN for entry in shape.entries):
        lines += ["", "| took longest by itself | time |", "| --- | --- |"]
        lines += [
            f"| `{_clean(shape.label(number)).replace('|', '').replace('`', '')[:_LABEL]}` |"
            f" {seconds(shape.own_ns[number])} |"
            for number in slow
        ]
    return "\n".join(lines) + "\n"
