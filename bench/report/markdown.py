"""The report for a repository."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.report.text import (
    GOAL_HEADINGS,
    Line,
    conditions,
    goal_lines,
    sections,
    why_missed,
    wrong_results,
)
from bench.results import Results
from bench.verdicts import summary


def render(results: Results, plots: Sequence[tuple[str, str]] = ()) -> str:
    """The whole report, with images, each a title and a path relative to the report."""
    parts = ["# Benchmarks of pcache", summary(results), _list(conditions(results))]
    if results.wrong:
        parts += ["## Wrong results", _list(wrong_results(results))]
    parts += [f"![{title}]({path})" for title, path in plots]
    if results.goals.goals:
        earlier = f"Others, earlier: {results.goals.measured}."
        parts += ["## Goals", _table(GOAL_HEADINGS, goal_lines(results)), earlier]
    if reasons := why_missed(results):
        parts += ["Why goals are missed:", _list(reasons)]
    for section in sections(results):
        parts += [
            f"## {section.title}",
            _list(section.notes),
            _table(section.headings, section.lines),
        ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(headings: Sequence[str], table: Iterable[Line]) -> str:
    rows = [headings, ["---"] * len(headings), *(map(_cell, line.cells) for line in table)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
