"""How numbers and rows are written in every kind of report."""

from __future__ import annotations

from bench.results import Micro, Results, Row, Spread

HEADINGS = (
    "workload",
    "phase",
    "tool",
    "time",
    "lowest-highest",
    "CPU",
    "goal",
    "seconds",
    "peak MB",
    "store MB",
    "notes",
)
MICRO_HEADINGS = ("micro benchmark", "what", "value", "lowest-highest", "ratio", "of", "goal")

_NOTED = ("events", "events lost", "executions", "hits", "misses", "uncacheable")
"""Counters that explain a time."""


def ratio(value: float) -> str:
    """Three significant digits or so."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def spread(value: Spread) -> str:
    """The extremes."""
    return f"{ratio(value.low)}-{ratio(value.high)}"


def goal(value: float | None, missed: bool) -> str:
    """The goal and whether it was reached."""
    if value is None:
        return ""
    return f"<= {value:g} {'MISSED' if missed else 'ok'}"


def notes(row: Row) -> str:
    """What else there is to say about a row."""
    found = [f"{row.counters[name]:g} {name}" for name in _NOTED if name in row.counters]
    if row.wrong:
        found.insert(0, f"WRONG RESULT: {row.wrong[0]}")
    return ", ".join(found)


def cells(row: Row) -> tuple[str, ...]:
    """A row under HEADINGS."""
    return (
        row.workload,
        row.phase,
        row.tool,
        ratio(row.wall.median),
        spread(row.wall),
        ratio(row.cpu.median),
        goal(row.goal, row.missed),
        f"{row.seconds:.3f}",
        f"{row.peak_kib / 1024:.0f}",
        f"{row.store_bytes / 1e6:.1f}" if row.store_bytes else "",
        notes(row),
    )


def missed(row: Micro) -> bool:
    """Whether a micro benchmark does not reach its goal."""
    return row.goal is not None and row.ratio is not None and row.ratio > row.goal


def micro_cells(row: Micro) -> tuple[str, ...]:
    """A row under MICRO_HEADINGS."""
    return (
        row.name,
        row.what,
        f"{row.value:.4g} {row.unit}",
        f"{row.spread[0]:.4g}-{row.spread[1]:.4g}",
        "" if row.ratio is None else ratio(row.ratio),
        row.reference,
        goal(row.goal, missed(row)),
    )


def conditions(results: Results) -> list[str]:
    """Under what conditions it was measured, and what was not."""
    machine = results.machine
    found = [
        f"{results.date}, {results.reps} repetitions, {machine.kernel}, {machine.cpus} x"
        f" {machine.cpu}, {machine.memory_mib} MiB, Python {machine.python}",
        "time and CPU are ratios to the plain command in the same repetition: medians;"
        " warm and versions relate to the plain command doing everything",
    ]
    found += [f"{tool}: {version}" for tool, version in machine.versions.items()]
    found += [f"not measured: {tool}: {why}" for tool, why in results.absent.items()]
    found += [f"not measured: {name}: {why}" for name, why in results.skipped.items()]
    return found
