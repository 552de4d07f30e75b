"""The report that appears when a run ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.report.text import (
    GOAL_HEADINGS,
    HEADINGS,
    MICRO_HEADINGS,
    TOOL_HEADINGS,
    Line,
    conditions,
    goal_lines,
    lines,
    micro_lines,
    tool_lines,
    why_missed,
    wrong_results,
)
from bench.results import Results
from bench.verdicts import summary

_STYLES = {"": "", "missed": "yellow", "wrong": "bold red"}


def show(results: Results, console: Console) -> None:
    """Print everything that matters, the verdicts last."""
    _show(console, "All numbers", HEADINGS, lines(results), sections=True)
    _show(console, "Micro benchmarks", MICRO_HEADINGS, micro_lines(results), sections=True)
    _show(console, "Tools", TOOL_HEADINGS, tool_lines(results))
    _show(console, "Goals", GOAL_HEADINGS, goal_lines(results))
    for text in why_missed(results):
        console.print(f"Missed: {text}", highlight=False, markup=False)
    for line in conditions(results):
        console.print(line, style="dim", highlight=False, markup=False)
    for text in wrong_results(results):
        console.print(f"WRONG RESULT: {text}", style="bold red", markup=False)
    console.print(summary(results), style="bold", highlight=False, markup=False)


def _show(
    console: Console,
    title: str,
    headings: Sequence[str],
    shown: Iterable[Line],
    *,
    sections: bool = False,
) -> None:
    """A table, if there is anything in it; with a gap where the first cell changes."""
    table = Table(*headings, title=title, title_justify="left", title_style="bold", box=None)
    last = ""
    for line in shown:
        if sections and last and line.cells[0] != last:
            table.add_section()
        last = line.cells[0]
        table.add_row(*(Text(cell) for cell in line.cells), style=_STYLES[line.mark])
    if table.rows:
        console.print(table)
        console.print()
