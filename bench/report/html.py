"""The report to look at: one page without anything else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from bench.report.plots import Plot
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

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0.3rem; }
h2 { margin-top: 2.5rem; border-bottom: 2px solid #0072b2; }
p.summary { font-size: 1.15rem; font-weight: 600; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.2rem 0.7rem; border-bottom: 1px solid #ddd;
         vertical-align: top; }
th { position: sticky; top: 0; background: #fff; }
tr.missed td { background: #fdf1d6; }
tr.wrong td { background: #f8d0c8; font-weight: 600; }
.scroll { overflow-x: auto; }
figure { margin: 1.5rem 0 2.5rem; }
figcaption, ul.conditions { color: #444; font-size: 14px; }
svg { max-width: 100%; height: auto; }
"""


def render(results: Results, plots: Sequence[Plot]) -> str:
    """The whole page, with the plots in it."""
    body = [
        "<h1>Benchmarks of pcache</h1>",
        f'<p class="summary">{escape(summary(results))}</p>',
        _list(conditions(results)),
    ]
    if results.wrong:
        body += ["<h2>Wrong results</h2>", _list(wrong_results(results))]
    for plot in plots:
        caption = f"<figcaption>{escape(plot.caption)}</figcaption>"
        body.append(f'<figure id="{plot.name}">\n{plot.svg}\n{caption}\n</figure>')
    if results.goals.goals:
        body += ["<h2>Goals</h2>", _table(GOAL_HEADINGS, goal_lines(results))]
        body.append(f"<p>Others, earlier: {escape(results.goals.measured)}.</p>")
    if reasons := why_missed(results):
        body += ["<p>Why goals are missed:</p>", _list(reasons)]
    for section in sections(results):
        body.append(f"<h2>{section.title}</h2>")
        if section.notes:
            body.append(_list(section.notes))
        body.append(_table(section.headings, section.lines))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Benchmarks of pcache</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _list(items: Iterable[str]) -> str:
    shown = "\n".join(f"<li>{escape(item)}</li>" for item in items)
    return f'<ul class="conditions">\n{shown}\n</ul>'


def _table(headings: Sequence[str], table: Iterable[Line]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "\n".join(
        f'<tr class="{line.mark}">'
        + "".join(f"<td>{escape(cell)}</td>" for cell in line.cells)
        + "</tr>"
        for line in table
    )
    return f'<div class="scroll"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'
