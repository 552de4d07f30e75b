"""What changed between two results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from bench.report.text import ratio, spread
from bench.results import Machine, Results, Row, Spread, rows


@dataclass(frozen=True)
class Change:
    """One workload, tool and phase, or one micro benchmark, in both results."""

    workload: str
    tool: str
    phase: str
    old: Spread
    new: Spread
    cpu: float | None = None
    """New CPU time by old, as ratios to plain; None for a micro benchmark."""

    @property
    def factor(self) -> float:
        """New by old."""
        return self.new.median / self.old.median

    @property
    def clear(self) -> bool:
        """Whether the repetitions do not overlap: more than noise."""
        return self.new.low > self.old.high or self.new.high < self.old.low


def compare(old: Results, new: Results) -> list[Change]:
    """What both have measured, greatest increase first."""
    changes = [*_workloads(old, new), *_micro(old, new)]
    return sorted(changes, key=lambda change: change.factor, reverse=True)


def _workloads(old: Results, new: Results) -> Iterator[Change]:
    def by_key(results: Results) -> dict[tuple[str, str, str], Row]:
        found = [row for row in rows(results) if row.tool != "plain"]
        return {(row.workload, row.tool, row.phase): row for row in found}

    before, after = by_key(old), by_key(new)
    for key in [key for key in after if key in before]:
        cpu = after[key].cpu.median / max(before[key].cpu.median, 1e-6)
        yield Change(*key, before[key].wall, after[key].wall, cpu)


def _micro(old: Results, new: Results) -> Iterator[Change]:
    before = {(row.name, row.what, row.unit): row for row in old.micro}
    for row in new.micro:
        was = before.get((row.name, row.what, row.unit))
        if was is not None:
            values = [Spread(micro.value, *micro.spread) for micro in (was, row)]
            yield Change(f"{row.name} ({row.unit})", "", row.what, values[0], values[1])


def differences(old: Results, new: Results) -> list[str]:
    """In what the machines and tools differ: numbers of two machines are not alike."""
    found = [
        f"{name}: {getattr(old.machine, name)} / {getattr(new.machine, name)}"
        for name in Machine.model_fields
        if getattr(old.machine, name) != getattr(new.machine, name)
    ]
    for name in old.tools.keys() & new.tools.keys():
        before, after = old.tools[name].version, new.tools[name].version
        if before != after:
            found.append(f"{name}: {before} / {after}")
    return sorted(found)


def show(old: Results, new: Results, console: Console) -> None:
    """Print a table; what is more than noise stands out."""
    headings = ("workload", "phase", "tool", "old", "", "new", "", "new / old", "CPU new / old", "")
    table = Table(*headings, box=None)
    for change in compare(old, new):
        verdict = ("more" if change.factor > 1 else "less") if change.clear else ""
        table.add_row(
            change.workload,
            change.phase,
            change.tool,
            ratio(change.old.median),
            spread(change.old),
            ratio(change.new.median),
            spread(change.new),
            ratio(change.factor),
            "" if change.cpu is None else ratio(change.cpu),
            verdict,
            style={"more": "yellow", "less": "green"}.get(verdict, ""),
        )
    console.print(table)
    console.print(
        "Ratios to the plain command, micro benchmarks in their unit; medians, lowest and highest."
        " more, less: the repetitions of old and new do not overlap.",
        style="dim",
    )
    for difference in differences(old, new):
        console.print(f"not the same: {difference}", style="dim", highlight=False, markup=False)
