"""Plots: what people look at first."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report.plots.goals import goal_plots
from bench.report.plots.heat import heat_plot
from bench.report.plots.micro import micro_plot
from bench.report.plots.parts import parts_plot
from bench.report.plots.phases import phase_plots
from bench.report.plots.style import Plot
from bench.results import Results

__all__ = ["Plot", "plots"]


def plots(results: Results) -> Iterator[Plot]:
    """All for which there is something to show, the most important ones first."""
    yield from heat_plot(results)
    yield from goal_plots(results)
    yield from parts_plot(results)
    yield from phase_plots(results)
    yield from micro_plot(results)
