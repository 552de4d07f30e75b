"""The report for a repository."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.report.text import HEADINGS, MICRO_HEADINGS, cells, conditions, micro_cells
from bench.results import Results, rows


def render(results: Results) -> str:
    """The whole report."""
    parts = ["# Benchmarks of pcache", "\n".join(f"- {line}" for line in conditions(results))]
    if results.wrong:
        wrong = [
            f"- {s.workload}, {s.tool}, {s.phase}: {text}"
            for s in results.wrong
            for text in s.wrong
        ]
        parts += ["## Wrong results", "\n".join(wrong)]
    table = [cells(row) for row in rows(results)]
    if table:
        parts += ["## Workloads", _table(HEADINGS, table)]
    if results.micro:
        parts += ["## Micro", _table(MICRO_HEADINGS, map(micro_cells, results.micro))]
    return "\n\n".join(parts) + "\n"


def _table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(
        f"| {' | '.join(line)} |" for line in [headings, ["---"] * len(headings), *escaped]
    )
