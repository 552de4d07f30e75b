"""What all plots share: how tools look, sizes, axes, SVG."""

from __future__ import annotations

import io
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.results import Spread

# Figures are made without pyplot: no display, no global state but this.
mpl.rcParams["svg.hashsalt"] = "pcache"
mpl.rcParams["font.family"] = "DejaVu Sans"

WIDTH = 10.0
"""Inches."""
ROW = 0.27
"""Inches for a line of text and what belongs to it."""
SMALL, NORMAL, LARGE = 8.5, 9.5, 12.0
"""Sizes of type."""
_MARKED_NARROW, _MARKED, _MARKED_WIDE = (1, 1.2, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3)
"""What of each decade is marked on a logarithmic axis."""
GREY = "#666666"
FAULT = "#B03A00"
"""Of what is missed or wrong, which is always said in words too."""


@dataclass(frozen=True)
class Look:
    """Colour and shape of a tool: either alone tells the tools apart."""

    colour: str
    marker: str
    label: str


# The palette of Okabe and Ito, made for all kinds of colour vision
# (https://jfly.uni-koeln.de/color/).
LOOKS = {
    "pcache": Look("#0072B2", "o", "pcache trace / replay"),
    "pcache-run": Look("#56B4E9", "D", "pcache run"),
    "ccache": Look("#E69F00", "s", "ccache"),
    "strace-seccomp": Look("#000000", "v", "strace, seccomp"),
    "strace": Look(GREY, "<", "strace"),
    "firebuild": Look("#009E73", "^", "firebuild"),
    "riker": Look("#CC79A7", "P", "Riker"),
    "processcache": Look("#D55E00", "X", "ProcessCache"),
}


@dataclass(frozen=True)
class Plot:
    """A plot with what is to be said about it."""

    name: str
    """For a file."""
    title: str
    caption: str
    svg: str
    """An SVG element."""


def plot(name: str, title: str, caption: str, drawn: Figure) -> Plot:
    """Give a figure its title and turn it into SVG."""
    drawn.suptitle(title, x=0.01, ha="left", fontsize=LARGE, fontweight="bold")
    text = io.StringIO()
    drawn.savefig(text, format="svg", metadata={"Date": None, "Title": title})
    svg = text.getvalue()
    return Plot(name, title, caption, svg[svg.index("<svg") :])


def figure(height: float) -> Figure:
    """An empty one of the usual width; height in inches."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def log_axis(axes: Axes, low: float, high: float) -> None:
    """Ratios to plain on a logarithmic axis with plain numbers; plain itself is a line."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    span = high / low
    marked = _MARKED_NARROW if span < 50 else _MARKED if span < 500 else _MARKED_WIDE
    axes.xaxis.set_major_locator(LogLocator(subs=marked, numticks=30))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axvline(1.0, color=GREY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)


def bare(axes: Axes) -> None:
    """Without the frame."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=SMALL)


def draw_spread(axes: Axes, place: float, value: Spread, tool: str, *, size: float = 6.5) -> None:
    """Median as the tool's mark, extremes as a line."""
    look = LOOKS.get(tool, Look(GREY, "o", tool))
    axes.plot([value.low, value.high], [place, place], color=look.colour, linewidth=1.6, zorder=3)
    axes.plot(
        value.median,
        place,
        look.marker,
        color=look.colour,
        markersize=size,
        markeredgecolor="white",
        markeredgewidth=0.6,
        zorder=4,
    )


def draw_earlier(axes: Axes, place: float, low: float, high: float, tool: str) -> None:
    """A figure from elsewhere: the tool's mark, hollow."""
    look = LOOKS.get(tool, Look(GREY, "o", tool))
    axes.plot([low, high], [place, place], color=look.colour, linewidth=1.0, zorder=2)
    axes.plot(
        (low * high) ** 0.5,
        place,
        look.marker,
        markerfacecolor="white",
        markeredgecolor=look.colour,
        markersize=6.5,
        markeredgewidth=1.3,
        zorder=2.5,
    )


def entry(tool: str, *, hollow: bool = False, label: str | None = None) -> Line2D:
    """What stands for a tool in a legend."""
    look = LOOKS.get(tool, Look(GREY, "o", tool))
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=look.marker,
        color=look.colour,
        markerfacecolor="white" if hollow else look.colour,
        markersize=6.5,
        label=look.label if label is None else label,
    )
