"""The report to look at: one page without anything else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from bench.config import PHASES, PhaseName
from bench.report import plots
from bench.report.text import HEADINGS, MICRO_HEADINGS, cells, conditions, micro_cells, missed
from bench.results import Results, rows

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.15rem 0.6rem; border-bottom: 1px solid #ddd; }
tr.missed td { background: #fff3cd; }
tr.wrong td { background: #f8d7da; }
.scroll { overflow-x: auto; }
svg { max-width: 100%; height: auto; }
small, ul.conditions { color: #555; }
"""
_PHASE_TITLES: dict[PhaseName, str] = {
    "cold": "Cold: the first run, with an empty store",
    "warm": "Warm: outputs deleted, nothing changed",
    "no-op": "No-op: all outputs in place",
    "edit": "Edit: one input changed, outputs deleted",
    "edit10": "Edit 10 %: a tenth of the jobs have another input",
    "edit50": "Edit 50 %: half of the jobs have another input",
    "edit90": "Edit 90 %: nine tenths of the jobs have another input",
    "versions": "Versions: warm, with more versions of one input on record",
}


def render(results: Results) -> str:
    """The whole page."""
    body = ["<h1>Benchmarks of pcache</h1>", _list(conditions(results))]
    if results.wrong:
        body += ["<h2>Wrong results</h2>", _list(_wrong(results))]
    for phase in PHASES:
        plot = plots.phase_plot(results, phase)
        if plot:
            body += [f"<h2>{escape(_PHASE_TITLES[phase])}</h2>", plot]
    micro = plots.micro_plot(results)
    if micro:
        body += ["<h2>Micro benchmarks</h2>", micro]
    if results.micro:
        marked = [("missed" if missed(row) else "", micro_cells(row)) for row in results.micro]
        body.append(_table(MICRO_HEADINGS, marked))
    lines = [
        ("wrong" if row.wrong else "missed" if row.missed else "", cells(row))
        for row in rows(results)
    ]
    if lines:
        body += ["<h2>All numbers</h2>", _table(HEADINGS, lines)]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Benchmarks of pcache</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _wrong(results: Results) -> list[str]:
    return [f"{s.workload}, {s.tool}, {s.phase}: {text}" for s in results.wrong for text in s.wrong]


def _list(lines: Iterable[str]) -> str:
    items = "\n".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="conditions">\n{items}\n</ul>'


def _table(headings: Sequence[str], lines: Iterable[tuple[str, Sequence[str]]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "\n".join(
        f'<tr class="{kind}">' + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>"
        for kind, line in lines
    )
    return f'<div class="scroll"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'
