"""Show plans, workloads and tools, and what is missing for them."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from bench import config, plans, tools
from bench.inputs import missing_packages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def call(args: argparse.Namespace, console: Console) -> int:
    """Always 0."""
    workloads = config.load_all()
    known = plans.load()
    plans_of: dict[str, list[str]] = {}
    table = Table("plan", "", box=None)
    for name, plan in known.items():
        table.add_row(name, plan.title)
        for workload, _ in plan.selected(workloads):
            plans_of.setdefault(workload.name, []).append(name)
    console.print(table)
    console.print()
    table = Table("workload", "", "group", "plans", "phases", "missing packages", box=None)
    for workload in workloads:
        table.add_row(
            workload.name,
            workload.title,
            workload.group,
            " ".join(plans_of.get(workload.name, ())),
            " ".join(workload.phases),
            " ".join(missing_packages(workload)) or "-",
        )
    console.print(table)
    console.print()
    table = Table("tool", "", "", box=None)
    for tool in tools.all_tools():
        table.add_row(tool.name, tool.title, tool.absent() or tool.version() or "present")
    console.print(table)
    return 0
