"""Every tool in one phase, by workload."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes

from bench.config import PHASES, PhaseName
from bench.report.plots.style import (
    FAULT,
    LOOKS,
    NORMAL,
    ROW,
    SMALL,
    Plot,
    bare,
    draw_spread,
    figure,
    log_axis,
    plot,
)
from bench.report.text import ratio
from bench.results import Results, Row, rows

_TITLES: dict[PhaseName, str] = {
    "unknown": "Unknown: replaying with nothing on record",
    "cold": "Cold: the first run, with an empty store",
    "again": "Again: a second run, with what the first one left",
    "third": "Third: once more, with all that is there",
    "warm": "Warm: outputs deleted, nothing changed",
    "no-op": "No-op: run again with all outputs in place",
    "edit": "Edit: one input changed, outputs deleted",
    "edit10": "Edit 10 %: a tenth of the jobs have another input",
    "edit50": "Edit 50 %: half of the jobs have another input",
    "edit90": "Edit 90 %: nine tenths of the jobs have another input",
    "versions": "Versions: warm, with more versions of one input on record",
}
_BASES: dict[PhaseName, str] = {
    "warm": "the plain command doing everything",
    "versions": "the plain command doing everything",
}


def phase_plots(results: Results) -> Iterator[Plot]:
    """One for each phase in which anything but the plain command was measured."""
    found = [row for row in rows(results) if row.tool != "plain"]
    for phase in PHASES:
        shown = [row for row in found if row.phase == phase]
        if shown:
            yield _plot(phase, shown)


def _plot(phase: PhaseName, shown: Sequence[Row]) -> Plot:
    workloads = list(dict.fromkeys(row.workload for row in shown))
    drawn = figure(1.2 + 0.8 * ROW * len(shown) + 0.35 * ROW * len(workloads))
    axes = drawn.subplots()
    place, ticks = 0.0, []
    for number, workload in enumerate(workloads):
        here = [row for row in shown if row.workload == workload]
        if number % 2:
            axes.axhspan(place - 0.6, place + len(here) - 0.4, color="#f3f5f7", zorder=-1)
        for row in here:
            _draw_row(axes, place, row)
            name = workload if row is here[0] else ""
            ticks.append(
                (place, f"{name}   {LOOKS[row.tool].label if row.tool in LOOKS else row.tool}")
            )
            place += 1
        place += 0.2
    axes.set_ylim(place - 0.4, -0.8)
    axes.set_yticks([at for at, _ in ticks], [label for _, label in ticks], fontsize=SMALL)
    bare(axes)
    values = [value for row in shown for value in (row.wall.low, row.wall.high)]
    log_axis(axes, min(*values, 1.0) * 0.85, max(*values, 1.0) * 1.2)
    base = _BASES.get(phase, "the plain command in the same phase")
    axes.set_xlabel(f"time, {base} = 1", fontsize=NORMAL)
    caption = f"Medians with lowest and highest, relative to {base}; logarithmic axis."
    return plot(f"phase-{phase}", _TITLES[phase], caption, drawn)


def _draw_row(axes: Axes, place: float, row: Row) -> None:
    draw_spread(axes, place, row.wall, row.tool)
    axes.text(
        1.01,
        place,
        f"{ratio(row.wall.median)}   CPU {ratio(row.cpu.median)}"
        + ("   WRONG RESULT" if row.wrong else ""),
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=SMALL,
        color=FAULT if row.wrong else "black",
    )
