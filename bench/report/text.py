"""How numbers and rows are written in every kind of report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.results import Micro, Results, Row, Sample, Spread, asked, rows
from bench.verdicts import Verdict, micro_goal, micro_missed, verdicts

Mark = Literal["", "missed", "wrong"]

GOAL_HEADINGS = (
    "goal",
    "workload",
    "pcache",
    "at most",
    "time",
    "lowest-highest",
    "CPU",
    "verdict",
    "others, this run",
    "others, earlier",
)
HEADINGS = (
    "workload",
    "phase",
    "tool",
    "time",
    "lowest-highest",
    "CPU",
    "runs",
    "seconds",
    "after exit s",
    "peak MB",
    "store MB",
    "events",
    "lost",
    "notes",
)
_EVERYDAY_PHASES = ("again", "third", "warm", "edit")
EVERYDAY_HEADINGS = (
    "workload",
    "again in place",
    "third time",
    "cleaned, again",
    "edit",
    "skipped of oracle's",
    "why the command itself ran",
    "differs plainly as well",
)
EVERYDAY_NOTES = (
    "hit: the command itself was brought back; ran: it was not, as it must be after an edit",
    "skipped of oracle's: programs that were skipped after an edit, of those that an oracle would"
    " skip, and how many the plain command starts; it may be more than the oracle's, where programs"
    " without a record come back with their caller",
)
_SHOWN_UNSTEADY = 3
MICRO_HEADINGS = ("micro benchmark", "what", "value", "lowest-highest", "ratio", "to", "goal")
WORKLOAD_HEADINGS = ("workload", "what it is", "group", "packages")
TOOL_HEADINGS = ("tool", "what it is here", "version")

_NOTED = ("executions", "hits", "misses", "uncacheable")
"""Counters that explain a time."""


@dataclass(frozen=True)
class Line:
    """A line of a table."""

    cells: tuple[str, ...]
    mark: Mark = ""


@dataclass(frozen=True)
class Section:
    """A table with a title, and what has to be known to read it."""

    title: str
    headings: tuple[str, ...]
    lines: list[Line]
    notes: tuple[str, ...] = ()


def sections(results: Results) -> list[Section]:
    """The tables below the goals; none is empty."""
    found = (
        Section(
            "Everyday commands", EVERYDAY_HEADINGS, everyday_lines(results), everyday_notes(results)
        ),
        Section("All numbers", HEADINGS, lines(results), HOW_TO_READ),
        Section("Micro benchmarks", MICRO_HEADINGS, micro_lines(results)),
        Section("Workloads", WORKLOAD_HEADINGS, workload_lines(results)),
        Section("Tools", TOOL_HEADINGS, tool_lines(results)),
    )
    return [section for section in found if section.lines]


def everyday_lines(results: Results) -> list[Line]:
    """Every workload of which tools were asked, under EVERYDAY_HEADINGS."""
    found: dict[tuple[str, str], dict[str, Sample]] = {}
    for one in asked(results):
        found.setdefault((one.workload, one.tool), {})[one.phase] = one
    return [
        Line(
            (
                workload,
                *(phases[phase].root if phase in phases else "" for phase in _EVERYDAY_PHASES),
                _of_oracle(phases.get("edit")),
                "; ".join(
                    f"{phase}: {one.why}" for phase, one in phases.items() if _is_to_be_told(one)
                ),
                ", ".join(_shown_unsteady(results.workloads[workload].unsteady)),
            ),
            "wrong"
            if any(one.wrong for one in phases.values())
            else "missed"
            if "warm" in phases and phases["warm"].root != "hit"
            else "",
        )
        for (workload, _), phases in found.items()
    ]


def _is_to_be_told(one: Sample) -> bool:
    """Whether it is of interest that the command itself ran: not the first time, nor after an
    edit."""
    return one.root == "ran" and one.phase in ("again", "third", "warm")


def _of_oracle(edit: Sample | None) -> str:
    if edit is None or not edit.programs:
        return ""
    return f"{edit.programs - edit.ran} of {edit.programs - edit.needed} ({edit.programs})"


def _shown_unsteady(unsteady: list[str]) -> list[str]:
    more = len(unsteady) - _SHOWN_UNSTEADY
    return unsteady[:_SHOWN_UNSTEADY] + ([f"and {more} more"] if more > 0 else [])


def everyday_notes(results: Results) -> tuple[str, ...]:
    """What the workloads of which tools were asked come to, all together."""
    found = asked(results)
    cleaned = [one for one in found if one.phase == "warm"]
    edits = [one for one in found if one.phase == "edit"]
    if not cleaned:
        return ()
    hits = sum(one.root == "hit" for one in cleaned)
    skippable = sum(one.programs - one.needed for one in edits)
    skipped = sum(one.programs - one.ran for one in edits)
    notes = [f"cleaned and run again, {hits} of {len(cleaned)} commands came back as a whole"]
    if skippable:
        notes.append(
            f"after an edit {skipped} programs were skipped; an oracle would have skipped"
            f" {skippable} ({100 * skipped / skippable:.0f} %)"
        )
    return (*notes, *EVERYDAY_NOTES)


def ratio(value: float) -> str:
    """Three significant digits or so."""
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}" if value >= 0.01 else f"{value:.4f}"


def spread(value: Spread) -> str:
    """The extremes."""
    return f"{ratio(value.low)}-{ratio(value.high)}"


def goal_lines(results: Results) -> list[Line]:
    """Every goal under GOAL_HEADINGS."""
    return [_goal_line(verdict) for verdict in verdicts(results)]


def _plain_span(low: float, high: float) -> str:
    """From one figure to another, with the digits that were given."""
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"


def _goal_line(verdict: Verdict) -> Line:
    row = verdict.row
    earlier = [
        f"{tool} {_plain_span(*figures)}"
        for tool, figures in verdict.goal.of_others(verdict.workload).items()
    ]
    return Line(
        (
            verdict.goal.title,
            verdict.workload,
            verdict.way,
            f"{verdict.most:g}",
            "" if row is None else ratio(row.wall.median),
            "" if row is None else spread(row.wall),
            "" if row is None else ratio(row.cpu.median),
            verdict.text,
            ", ".join(f"{other.tool} {ratio(other.wall.median)}" for other in verdict.others),
            ", ".join([*earlier, *filter(None, [verdict.goal.remark])]),
        ),
        "wrong" if row is not None and row.wrong else "missed" if verdict.met is False else "",
    )


def lines(results: Results) -> list[Line]:
    """Every row under HEADINGS."""
    return [
        Line(_cells(row), "wrong" if row.wrong else "missed" if row.missed else "")
        for row in rows(results)
    ]


def _cells(row: Row) -> tuple[str, ...]:
    counters = row.counters
    recorded = "events" in counters
    return (
        row.workload,
        row.phase,
        row.tool,
        ratio(row.wall.median),
        spread(row.wall),
        ratio(row.cpu.median),
        str(row.runs),
        f"{row.seconds:.3f}",
        f"{counters.get('milliseconds after', 0) / 1000:.2f}" if recorded else "",
        f"{row.peak_kib / 1024:.0f}",
        f"{row.store_bytes / 1e6:.1f}" if row.store_bytes else "",
        f"{counters['events']:.0f}" if recorded else "",
        f"{counters.get('events lost', 0):.0f}" if recorded else "",
        _notes(row),
    )


def _notes(row: Row) -> str:
    found = [f"{row.counters[name]:g} {name}" for name in _NOTED if name in row.counters]
    if row.wrong:
        found.insert(0, f"WRONG RESULT: {row.wrong[0]}")
    return ", ".join(found)


def micro_lines(results: Results) -> list[Line]:
    """Every micro benchmark under MICRO_HEADINGS."""
    return [_micro_line(results, row) for row in results.micro]


def _micro_line(results: Results, row: Micro) -> Line:
    goal = micro_goal(results, row)
    missed = micro_missed(goal, row)
    bound = ""
    if goal is not None:
        sign, limit = (">=", goal.least) if goal.most is None else ("<=", goal.most)
        bound = f"{sign} {limit:g} {'MISSED' if missed else 'met'}"
    return Line(
        (
            row.name,
            row.what,
            f"{row.value:.4g} {row.unit}",
            f"{row.spread[0]:.4g}-{row.spread[1]:.4g}",
            "" if row.ratio is None else ratio(row.ratio),
            row.reference,
            bound,
        ),
        "missed" if missed else "",
    )


def tool_lines(results: Results) -> list[Line]:
    """Every tool under TOOL_HEADINGS, also those that were not measured."""
    return [
        Line((name, tool.title, f"not measured: {tool.absent}" if tool.absent else tool.version))
        for name, tool in results.tools.items()
    ]


def workload_lines(results: Results) -> list[Line]:
    """Every workload under WORKLOAD_HEADINGS."""
    return [
        Line(
            (
                name,
                info.title,
                info.group,
                ", ".join(f"{package} {version}" for package, version in info.packages.items()),
            )
        )
        for name, info in results.workloads.items()
    ]


def why_missed(results: Results) -> list[str]:
    """Each missed goal of which the reason is known, with it."""
    missed: dict[tuple[str, str], list[str]] = {}
    for verdict in verdicts(results):
        if verdict.met is False:
            where = f"{verdict.workload} ({verdict.way})"
            missed.setdefault((verdict.goal.title, verdict.goal.why), []).append(where)
    for row in results.micro:
        goal = micro_goal(results, row)
        if goal is not None and micro_missed(goal, row):
            missed[f"{row.name}, {row.what}", goal.why] = []
    return [
        f"{' for '.join(filter(None, [title, ', '.join(workloads)]))}: {why.strip()}"
        for (title, why), workloads in missed.items()
        if why
    ]


def wrong_results(results: Results) -> list[str]:
    """Each difference from the plain command, in a sentence."""
    return [
        f"{sample.workload}, {sample.tool}, {sample.phase}: {text}"
        for sample in results.wrong
        for text in sample.wrong
    ]


def conditions(results: Results) -> list[str]:
    """Under what conditions it was measured, and what was not."""
    machine = results.machine
    return [
        f"{results.date}, plan {results.plan}, revision {machine.revision}",
        f"{machine.kernel}, {machine.distribution}, {machine.cpus} x {machine.cpu},"
        f" {machine.memory_mib} MiB, Python {machine.python}",
        *(f"not measured: {name}: {why}" for name, why in results.skipped.items()),
    ]


HOW_TO_READ = (
    "Time and CPU (user and system) are ratios to the plain command in the same repetition, next to"
    " which they ran: below 1 is faster than plain. Shown are medians, lowest and highest.",
    "Warm and versions relate to the plain command doing everything, all other phases to the plain"
    " command in that phase.",
    "The time of pcache is that of its whole process: with its start, and the analysis after the"
    " command has ended (after exit).",
    "Peak is the memory of the largest process; CPU time is of all processes that were waited for."
    " Events are those of the kernel that were recorded, lost those that did not fit.",
)
