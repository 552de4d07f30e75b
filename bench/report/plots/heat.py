"""Workloads by phases: where the command itself comes back, and what each phase takes."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb
from matplotlib.patches import Rectangle

from bench.config import PHASES, PhaseName
from bench.report.plots.style import FAULT, NORMAL, SMALL, Plot, figure, plot
from bench.report.text import ratio
from bench.results import Results, Row, Sample, asked, rows

_TITLES: dict[PhaseName, str] = {
    "cold": "first run",
    "again": "again, in place",
    "third": "third time",
    "warm": "cleaned, again",
    "edit": "one edit",
}
_TITLE = "Everyday commands: what comes back, and what it takes"
_CAPTION = (
    "Each number is the time relative to the plain command in the same phase (cleaned, again: to"
    " its first run); blue is less, orange more. A dot stands where the command itself was brought"
    " back, a cross where it could have been; after an edit, the second number is how much was"
    " skipped of what an oracle would skip."
)
_STOPS = ((0.0, "#0072B2"), (0.45, "#cfe6f3"), (0.5, "#f4f4f4"), (0.6, "#fde2c0"), (1.0, "#D55E00"))
_COLOURS = LinearSegmentedColormap.from_list("cost", _STOPS)
_NORM = LogNorm(0.02, 50.0)
_LINE = 0.24
_DARK = 0.45
"""Mean of red, green and blue below which text on it is white."""


def heat_plot(results: Results) -> Iterator[Plot]:
    """One, if tools were asked what became of the command itself."""
    samples = {(one.workload, one.phase): one for one in asked(results)}
    if not samples:
        return
    tools = {one.tool for one in samples.values()}
    found = {(row.workload, row.phase): row for row in rows(results) if row.tool in tools}
    workloads = sorted({workload for workload, _ in samples})
    phases = [phase for phase in PHASES if any(at == phase for _, at in samples)]
    drawn = figure(1.4 + _LINE * len(workloads))
    axes = drawn.subplots()
    for line, workload in enumerate(workloads):
        for column, phase in enumerate(phases):
            row, sample = found.get((workload, phase)), samples.get((workload, phase))
            if row is not None and sample is not None:
                _draw(axes, column, line, row, sample)
    axes.set_xlim(-0.5, len(phases) - 0.5)
    axes.set_ylim(len(workloads) - 0.5, -0.5)
    axes.xaxis.tick_top()
    titles = [_TITLES.get(phase, phase) for phase in phases]
    axes.set_xticks(range(len(phases)), titles, fontsize=NORMAL)
    axes.set_yticks(range(len(workloads)), workloads, fontsize=SMALL)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    yield plot("heat", _TITLE, _CAPTION, drawn)


def _draw(axes: Axes, column: int, line: int, row: Row, sample: Sample) -> None:
    colour = _COLOURS(_NORM(min(max(row.wall.median, 0.02), 50.0)))
    axes.add_patch(
        Rectangle((column - 0.5, line - 0.5), 1, 1, facecolor=colour, edgecolor="white", lw=1.5)
    )
    mark = "\N{BLACK CIRCLE} " if sample.root == "hit" else ""
    if sample.root == "ran" and sample.phase not in ("cold", "edit"):
        mark = "\N{MULTIPLICATION SIGN} "
    text = mark + ratio(row.wall.median)
    if sample.skipped is not None:
        text += f"   {100 * sample.skipped:.0f} %"
    dark = sum(to_rgb(colour)) / 3 < _DARK
    if sample.wrong:
        text += "   WRONG"
    axes.text(
        column,
        line,
        text,
        ha="center",
        va="center",
        fontsize=SMALL,
        color=FAULT if sample.wrong else "white" if dark else "black",
    )
