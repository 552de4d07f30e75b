"""The goals: what pcache reaches, what it should, and where other tools are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from bench.goals import JUDGED, JUDGED_RUN
from bench.report.plots.style import (
    FAULT,
    GREY,
    NORMAL,
    ROW,
    SMALL,
    Plot,
    bare,
    draw_earlier,
    draw_spread,
    entry,
    figure,
    log_axis,
    plot,
)
from bench.report.text import ratio
from bench.results import Results
from bench.verdicts import Verdict, verdicts

_TITLES = {
    True: "What recording costs: the first run, as a multiple of the plain command",
    False: "What replay saves: later runs, as a multiple of the plain command",
}
_READING = (
    "Logarithmic axis; left of the dashed line at 1 is faster than plain. Large: pcache by the verb"
    " that the row names, median with lowest and highest, its number at the right. Black bar: the"
    " goal, to be reached or undercut. Filled: other tools in this run; hollow: their figures"
    " measured earlier on a machine of this kind."
)


def goal_plots(results: Results) -> Iterator[Plot]:
    """One for recording and one for replay, where something with a goal was measured."""
    found = [verdict for verdict in verdicts(results) if verdict.row is not None]
    for cold, title in _TITLES.items():
        shown = [verdict for verdict in found if (verdict.goal.phase == "cold") == cold]
        if shown:
            yield _plot("goals-cold" if cold else "goals-replay", title, shown)


def _plot(name: str, title: str, shown: Sequence[Verdict]) -> Plot:
    titles = list(dict.fromkeys(verdict.goal.title for verdict in shown))
    drawn = figure(1.5 + ROW * (len(shown) + len(titles)))
    axes = drawn.subplots()
    place, ticks = 0.0, []
    for goal in titles:
        axes.text(
            -0.005,
            place,
            goal,
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            fontsize=NORMAL,
            fontweight="bold",
        )
        place += 1
        for verdict in (verdict for verdict in shown if verdict.goal.title == goal):
            _draw(axes, place, verdict)
            ticks.append((place, f"{verdict.workload}, {verdict.way}"))
            place += 1
    axes.set_ylim(place - 0.4, -0.6)
    axes.set_yticks([at for at, _ in ticks], [label for _, label in ticks], fontsize=NORMAL)
    bare(axes)
    log_axis(axes, *_limits(shown))
    axes.set_xlabel("time, plain command = 1", fontsize=NORMAL)
    drawn.legend(
        handles=_legend(shown), loc="outside lower center", ncols=4, fontsize=SMALL, frameon=False
    )
    return plot(name, title, _READING, drawn)


def _draw(axes: Axes, place: float, verdict: Verdict) -> None:
    for tool, (low, high) in verdict.goal.of_others(verdict.workload).items():
        if all(other.tool != tool for other in verdict.others):
            draw_earlier(axes, place, low, high, tool)
    for other in verdict.others:
        draw_spread(axes, place, other.wall, other.tool)
    axes.plot(
        [verdict.most] * 2, [place - 0.38, place + 0.38], color="black", linewidth=2.2, zorder=3.5
    )
    if verdict.row is None:
        return
    draw_spread(axes, place, verdict.row.wall, verdict.tool, size=8)
    axes.text(
        1.03,
        place,
        f"{ratio(verdict.row.wall.median)}   goal {verdict.most:g}: {verdict.text}",
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=SMALL,
        color="black" if verdict.met else FAULT,
    )


def _limits(shown: Sequence[Verdict]) -> tuple[float, float]:
    values = [1.0]
    for verdict in shown:
        values.append(verdict.most)
        values += [
            value for pair in verdict.goal.of_others(verdict.workload).values() for value in pair
        ]
        for row in (verdict.row, *verdict.others):
            if row is not None:
                values += [row.wall.low, row.wall.high]
    return min(values) * 0.85, max(values) * 1.3


def _legend(shown: Sequence[Verdict]) -> list[Line2D]:
    measured = {other.tool for verdict in shown for other in verdict.others}
    judged = {verdict.tool for verdict in shown}
    earlier = {
        tool for verdict in shown for tool in verdict.goal.of_others(verdict.workload)
    } - measured
    return [
        *(entry(tool) for tool in (JUDGED, JUDGED_RUN) if tool in judged),
        Line2D(
            [],
            [],
            linestyle="none",
            marker="|",
            color="black",
            markersize=11,
            label="goal",
            markeredgewidth=2.2,
        ),
        *(entry(tool) for tool in sorted(measured)),
        *(entry(tool, hollow=True, label=None) for tool in sorted(earlier)),
        Line2D([], [], color=GREY, linestyle=(0, (4, 3)), label="plain command"),
    ]
