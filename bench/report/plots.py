"""Plots as SVG text."""

from __future__ import annotations

import io

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.config import PhaseName
from bench.results import Results, Row, rows

# Figures are made without pyplot: no display, no global state.
mpl.rcParams["svg.hashsalt"] = "pcache"
_COLOURS = {
    "plain": "#888888",
    "pcache": "#1f77b4",
    "pcache-run": "#17becf",
    "ccache": "#ff7f0e",
    "strace": "#d62728",
    "strace-seccomp": "#e377c2",
    "firebuild": "#2ca02c",
    "riker": "#9467bd",
    "processcache": "#8c564b",
}
_ROW_INCHES = 0.24


def phase_plot(results: Results, phase: PhaseName) -> str | None:
    """Time of every tool in one phase by workload; None if nobody but plain was measured."""
    found = [row for row in rows(results) if row.phase == phase and row.tool != "plain"]
    if not found:
        return None
    figure = Figure(figsize=(8.5, 1.2 + _ROW_INCHES * len(found)), layout="constrained")
    _bars(figure.subplots(), found)
    return _svg(figure)


def _bars(axes: Axes, found: list[Row]) -> None:
    names = sorted({row.workload for row in found})
    ordered = sorted(found, key=lambda row: (names.index(row.workload), row.tool), reverse=True)
    for place, row in enumerate(ordered):
        median = row.wall.median
        axes.barh(
            place,
            median,
            xerr=[[median - row.wall.low], [row.wall.high - median]],
            color="#ff0000" if row.wrong else _COLOURS.get(row.tool, "#444444"),
            error_kw={"linewidth": 0.8, "capsize": 2},
        )
        if row.goal is not None:
            axes.plot([row.goal] * 2, [place - 0.45, place + 0.45], color="black", linewidth=1.5)
        axes.annotate(
            f" {median:.3g}", (max(row.wall.high, median), place), va="center", fontsize=8
        )
    axes.set_yticks(
        range(len(ordered)), [f"{row.workload}  {row.tool}" for row in ordered], fontsize=8
    )
    axes.axvline(1.0, color="#888888", linewidth=0.8, linestyle="dashed")
    axes.set_xscale("log")
    axes.set_xlabel("time, plain command = 1 (black line: goal)")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def micro_plot(results: Results) -> str | None:
    """The micro benchmarks that relate to something."""
    found = [row for row in reversed(results.micro) if row.ratio is not None]
    if not found:
        return None
    figure = Figure(figsize=(8.5, 1.2 + _ROW_INCHES * len(found)), layout="constrained")
    axes = figure.subplots()
    axes.barh([f"{row.name}: {row.what}" for row in found], [row.ratio or 0 for row in found])
    axes.axvline(1.0, color="#888888", linewidth=0.8, linestyle="dashed")
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlabel("ratio to what the table names")
    return _svg(figure)


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
