"""Time against the part of the jobs that have another input."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from matplotlib.axes import Axes

from bench.config import JOB_PHASES, PhaseName
from bench.report.plots.style import (
    GREY,
    LOOKS,
    NORMAL,
    SMALL,
    Look,
    Plot,
    bare,
    entry,
    figure,
    plot,
)
from bench.results import Results, Row, rows

_COLUMNS = 3
_PARTS: dict[PhaseName, float] = {"warm": 0.0, **JOB_PHASES}
_TITLE = "Time in proportion to the change: some of the jobs have another input"


def parts_plot(results: Results) -> Iterator[Plot]:
    """One, if any such phase was measured."""
    found = [row for row in rows(results) if row.phase in _PARTS and row.tool != "plain"]
    workloads = list(dict.fromkeys(row.workload for row in found if row.phase in JOB_PHASES))
    if not workloads:
        return
    lines = ceil(len(workloads) / _COLUMNS)
    drawn = figure(1.3 + 2.6 * lines)
    grid = list(drawn.subplots(lines, _COLUMNS, sharex=True, sharey=True, squeeze=False).flat)
    tools = list(dict.fromkeys(row.tool for row in found if row.workload in workloads))
    for axes, workload in zip(grid, workloads, strict=False):
        _draw(axes, workload, [row for row in found if row.workload == workload])
    for axes in grid[len(workloads) :]:
        axes.remove()
    drawn.supxlabel("part of the jobs that have another input, in per cent", fontsize=NORMAL)
    drawn.supylabel("time, plain command = 1", fontsize=NORMAL)
    drawn.legend(
        handles=[entry(tool) for tool in tools],
        loc="outside right upper",
        fontsize=SMALL,
        frameon=False,
    )
    caption = (
        "Medians with lowest and highest. Dotted: time exactly in proportion to the change; dashed:"
        " the plain command, which does everything each time."
    )
    yield plot("parts", _TITLE, caption, drawn)


def _draw(axes: Axes, workload: str, found: list[Row]) -> None:
    axes.set_title(workload, fontsize=NORMAL, fontweight="bold", loc="left")
    axes.plot([0, 100], [0, 1], color=GREY, linewidth=1, linestyle="dotted")
    axes.axhline(1.0, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    for tool in dict.fromkeys(row.tool for row in found):
        mine = sorted((100 * _PARTS[row.phase], row.wall) for row in found if row.tool == tool)
        look = LOOKS.get(tool, Look(GREY, "o", tool))
        medians = [wall.median for _, wall in mine]
        below = [wall.median - wall.low for _, wall in mine]
        above = [wall.high - wall.median for _, wall in mine]
        axes.errorbar(
            [part for part, _ in mine],
            medians,
            yerr=[below, above],
            color=look.colour,
            marker=look.marker,
            markersize=5,
            linewidth=1.5,
            elinewidth=0.8,
            capsize=2,
        )
    axes.set_xticks([0, 10, 50, 90])
    axes.set_ylim(0)
    axes.tick_params(labelsize=SMALL)
    axes.grid(color="#e4e4e4", linewidth=0.6)
    bare(axes)
