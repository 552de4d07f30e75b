"""The micro benchmarks: a small plot for each of them, in its own unit."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.axes import Axes

from bench.goals import JUDGED
from bench.report.plots.style import (
    FAULT,
    NORMAL,
    ROW,
    SMALL,
    Plot,
    bare,
    draw_spread,
    figure,
    plot,
)
from bench.report.text import ratio
from bench.results import Micro, Results, Spread
from bench.verdicts import micro_goal, micro_missed

_TITLE = "Micro benchmarks"


def micro_plot(results: Results) -> Iterator[Plot]:
    """One, if there are any."""
    names = list(dict.fromkeys(row.name for row in results.micro))
    if not names:
        return
    groups = [[row for row in results.micro if row.name == name] for name in names]
    drawn = figure(0.8 + sum(0.95 + ROW * len(group) for group in groups))
    all_axes = drawn.subplots(
        len(groups), squeeze=False, height_ratios=[len(group) + 1.0 for group in groups]
    ).flat
    for axes, group in zip(all_axes, groups, strict=True):
        _draw(axes, results, group)
    caption = (
        "Each in its own unit, from zero: medians with lowest and highest. At the right the ratio"
        " to what is named there, and the goal where there is one."
    )
    yield plot("micro", _TITLE, caption, drawn)


def _draw(axes: Axes, results: Results, group: list[Micro]) -> None:
    for place, row in enumerate(group):
        draw_spread(axes, place, Spread(row.value, *row.spread), JUDGED)
        goal = micro_goal(results, row)
        missed = micro_missed(goal, row)
        text = f"{row.value:.4g} {row.unit}"
        if row.ratio is not None:
            text += f"   {ratio(row.ratio)} x {row.reference}"
        if goal is not None:
            bound = f"<= {goal.most:g}" if goal.most is not None else f">= {goal.least:g}"
            text += f"   goal {bound}: {'MISSED' if missed else 'met'}"
        axes.text(
            1.01,
            place,
            text,
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=SMALL,
            color=FAULT if missed else "black",
        )
    axes.set_title(group[0].name, fontsize=NORMAL, fontweight="bold", loc="left")
    axes.set_yticks(range(len(group)), [row.what for row in group], fontsize=SMALL)
    axes.set_ylim(len(group) - 0.5, -0.5)
    axes.set_xlim(0, max(row.spread[1] for row in group) * 1.05)
    axes.set_xlabel(group[0].unit, fontsize=SMALL)
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    bare(axes)
