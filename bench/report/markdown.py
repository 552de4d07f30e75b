"""The report for a repository."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.report.text import (
    GOAL_HEADINGS,
    HEADINGS,
    HOW_TO_READ,
    MICRO_HEADINGS,
    TOOL_HEADINGS,
    WORKLOAD_HEADINGS,
    Line,
    conditions,
    goal_lines,
    lines,
    micro_lines,
    tool_lines,
    why_missed,
    workload_lines,
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
    if results.samples:
        parts += ["## All numbers", _list(HOW_TO_READ), _table(HEADINGS, lines(results))]
    if results.micro:
        parts += ["## Micro benchmarks", _table(MICRO_HEADINGS, micro_lines(results))]
    if results.workloads:
        parts += ["## Workloads", _table(WORKLOAD_HEADINGS, workload_lines(results))]
    if results.tools:
        parts += ["## Tools", _table(TOOL_HEADINGS, tool_lines(results))]
    return "\n\n".join(filter(None, parts)) + "\n"


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(headings: Sequence[str], table: Iterable[Line]) -> str:
    rows = [headings, ["---"] * len(headings), *(map(_cell, line.cells) for line in table)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
