"""The report that appears when a run ends."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.report.text import HEADINGS, MICRO_HEADINGS, cells, conditions, micro_cells, missed
from bench.results import Results, rows


def show(results: Results, console: Console) -> None:
    """Print everything that matters."""
    table = Table(*HEADINGS, box=None)
    last = ""
    for row in rows(results):
        style = "bold red" if row.wrong else "yellow" if row.missed else ""
        if last and row.workload != last:
            table.add_section()
        last = row.workload
        table.add_row(*(Text(cell) for cell in cells(row)), style=style)
    if table.rows:
        console.print(table)
    if results.micro:
        micro = Table(*MICRO_HEADINGS, box=None)
        for number in results.micro:
            style = "yellow" if missed(number) else ""
            micro.add_row(*(Text(cell) for cell in micro_cells(number)), style=style)
        console.print(micro)
    for line in conditions(results):
        console.print(line, style="dim", highlight=False, markup=False)
    for sample in results.wrong:
        what = f"{sample.workload}, {sample.tool}, {sample.phase}"
        for text in sample.wrong:
            console.print(f"WRONG RESULT: {what}: {text}", style="bold red", markup=False)
