"""What changed between two results."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from bench.report.text import ratio, spread
from bench.results import Results, Row, Spread, rows


@dataclass(frozen=True)
class Change:
    """One workload, tool and phase in both results."""

    workload: str
    tool: str
    phase: str
    old: Spread
    new: Spread

    @property
    def factor(self) -> float:
        """New time by old time, both as ratios to plain."""
        return self.new.median / self.old.median

    @property
    def clear(self) -> bool:
        """Whether the repetitions do not overlap: more than noise."""
        return self.new.low > self.old.high or self.new.high < self.old.low


def compare(old: Results, new: Results) -> list[Change]:
    """What both have measured, greatest slow-down first."""

    def by_key(results: Results) -> dict[tuple[str, str, str], Row]:
        return {(row.workload, row.tool, row.phase): row for row in rows(results)}

    before, after = by_key(old), by_key(new)
    changes = [
        Change(*key, before[key].wall, after[key].wall)
        for key in after
        if key in before and key[1] != "plain"
    ]
    return sorted(changes, key=lambda change: change.factor, reverse=True)


def show(changes: list[Change], console: Console) -> None:
    """Print a table; what is more than noise stands out."""
    table = Table("workload", "phase", "tool", "old", "", "new", "", "new / old", "", box=None)
    for change in changes:
        verdict = ("slower" if change.factor > 1 else "faster") if change.clear else ""
        table.add_row(
            change.workload,
            change.phase,
            change.tool,
            ratio(change.old.median),
            spread(change.old),
            ratio(change.new.median),
            spread(change.new),
            ratio(change.factor),
            verdict,
            style={"slower": "red", "faster": "green"}.get(verdict, ""),
        )
    console.print(table)
