"""The command line: `run`, `report`, `compare`, `list`."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fcntl
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import config, goals, plans, results, tools
from bench.inputs import NoInput, install, missing_packages, package_versions
from bench.machine import machine
from bench.micro import suite
from bench.report import comparison, files, terminal
from bench.runner import Runner, Selection

CHECKOUT = Path(__file__).resolve().parent.parent
WORK = CHECKOUT / "demo-work" / "bench"
LOCAL = Path(__file__).with_name("results") / "local"
LATEST = LOCAL / "latest.json"

_WIDTH = 200


class BadRequest(Exception):
    """What was asked for cannot be done."""


_MISTAKES = (
    BadRequest,
    config.BadWorkload,
    goals.BadGoals,
    plans.BadPlans,
    results.BadResults,
)


def main(argv: list[str] | None = None) -> int:
    """Run one command line; 0 if all went well, 1 for a wrong result, 2 for wrong usage."""
    args = _parser().parse_args(argv)
    # A report in a file or a pipe is not cut to 80 columns.
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    try:
        status: int = args.verb(args, console)
    except _MISTAKES as error:
        Console(stderr=True).print(f"bench: {error}", style="red", markup=False)
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    run = verbs.add_parser(
        "run",
        help="measure, then report",
        description="Measure what a plan says, or what is named instead of it, then report.",
    )
    run.add_argument("--plan", default=plans.QUICK, metavar="NAME", help="from plans.toml")
    run.add_argument(
        "--workload",
        action="append",
        default=[],
        metavar="NAME",
        help="a workload, a pattern, a group, or `micro`; may be repeated",
    )
    run.add_argument(
        "--tool", action="append", default=[], metavar="NAME", help="besides plain; repeatable"
    )
    run.add_argument(
        "--phase", action="append", default=[], choices=config.PHASES, help="may be repeated"
    )
    run.add_argument("--reps", type=_positive, help="repetitions")
    run.add_argument("--json", type=Path, default=LATEST, metavar="FILE", help="where results go")
    run.add_argument("--work", type=Path, default=WORK, metavar="DIR", help="work folder")
    run.add_argument("--install", action="store_true", help="install packages that are missing")
    run.add_argument("--pcache", metavar="PROGRAM", help="the pcache to measure")
    run.set_defaults(verb=_run)

    report = verbs.add_parser("report", help="show results; write Markdown and HTML beside them")
    report.add_argument("results", type=Path, nargs="?", default=LATEST)
    report.set_defaults(verb=_report)

    compare = verbs.add_parser("compare", help="what changed between two results")
    compare.add_argument("old", type=Path)
    compare.add_argument("new", type=Path, nargs="?", default=LATEST)
    compare.set_defaults(verb=_compare)

    shown = verbs.add_parser("list", help="workloads and tools, and what is missing for them")
    shown.set_defaults(verb=_list)
    return parser


def _run(args: argparse.Namespace, console: Console) -> int:
    plan = _plan(args.plan)
    patterns = [pattern for pattern in args.workload or plan.workloads if pattern != "micro"]
    with_micro = "micro" in args.workload or (plan.micro and not args.workload)
    chosen = config.select(config.load_all(), patterns)
    if args.install:
        _install(chosen, console)
    asked = _tools(args.tool or plan.tools, args.pcache)
    present = [tool for tool in asked if not tool.absent()]
    wanted = args.phase or plan.phases
    # What the other phases replay is recorded in the cold one.
    phases = tuple(phase for phase in config.PHASES if phase == "cold" or phase in wanted)
    reps = args.reps or plan.reps
    collected = results.Results(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        reps=reps,
        machine=machine(),
        goals=goals.load(),
        tools={tool.name: _tool_info(tool) for tool in asked},
    )
    with _work(args.work) as work, _progress(console) as progress:
        runner = Runner(work, Selection(present, reps, phases), _Bar(progress))
        _measure(runner, chosen, args.json, collected, progress)
        if with_micro:
            _measure_micro(work, present, args.json, collected, progress)
    return _show(collected, args.json, console)


def _plan(name: str) -> plans.Plan:
    known = plans.load()
    if name not in known:
        raise BadRequest(f"no plan {name!r}; there are {', '.join(known)}")
    return known[name]


def _tools(names: list[str], pcache: str | None) -> list[tools.Tool]:
    """Those with these names, present or not, the plain command first."""
    known = tools.all_tools(pcache)
    if unknown := set(names) - {tool.name for tool in known} - {"*"}:
        known_names = ", ".join(tool.name for tool in known)
        raise BadRequest(f"no tool {', '.join(sorted(unknown))}; there are {known_names}")
    return [tool for tool in known if {tool.name, "*"} & {*names, "plain"}]


def _tool_info(tool: tools.Tool) -> results.ToolInfo:
    absent = tool.absent()
    if absent:
        # A row that is missing in silence would look like an oversight.
        return results.ToolInfo(title=tool.title, absent=absent)
    return results.ToolInfo(title=tool.title, version=tool.version())


def _install(chosen: list[config.Workload], console: Console) -> None:
    missing = sorted({package for w in chosen for package in missing_packages(w)})
    if missing:
        console.print(f"installing packages: {' '.join(missing)}", highlight=False)
        try:
            install(missing)
        except NoInput as error:
            # The workloads that need them will be reported as not measured.
            console.print(str(error), style="red", markup=False)


class _Bar:
    """Moves the bar of the workload that is being measured."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(self, text: str) -> None:
        task = self._progress.task_ids[-1]
        self._progress.update(task, description=text, advance=1)


def _measure(
    runner: Runner,
    chosen: list[config.Workload],
    path: Path,
    collected: results.Results,
    progress: Progress,
) -> None:
    for workload in chosen:
        if missing := missing_packages(workload):
            collected.skipped[workload.name] = f"needs the packages {' '.join(missing)}"
            continue
        collected.workloads[workload.name] = results.WorkloadInfo(
            title=workload.title,
            group=workload.group,
            packages=package_versions(workload),
        )
        progress.add_task(f"{workload.name}: preparing", total=runner.steps(workload))
        try:
            for sample in runner.run(workload):
                collected.samples.append(sample)
        except NoInput as error:
            collected.skipped[workload.name] = str(error)
        # What was measured so far survives an interruption.
        results.write(collected, path)


def _measure_micro(
    work: Path,
    present: list[tools.Tool],
    path: Path,
    collected: results.Results,
    progress: Progress,
) -> None:
    pcache = next((tool for tool in present if type(tool) is tools.Pcache), None)
    if pcache is None:
        return
    task = progress.add_task("micro", total=suite.STEPS)
    try:
        for row in suite.run(work, pcache, collected.reps, lambda: progress.advance(task)):
            collected.micro.append(row)
            results.write(collected, path)
    except RuntimeError as error:
        collected.skipped["micro"] = str(error)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of repetitions")
    return int(text)


@contextlib.contextmanager
def _work(path: Path) -> Iterator[Path]:
    path.mkdir(parents=True, exist_ok=True)
    # Every run uses the same absolute paths, so there is one at a time.
    with (path / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadRequest(f"another run uses {path}; --work names another") from None
        yield path


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<44}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def _show(collected: results.Results, path: Path, console: Console) -> int:
    results.write(collected, path)
    terminal.show(collected, console)
    page = files.write(collected, path)
    console.print(f"\nwritten: {path}; beside it Markdown and {page.name}", highlight=False)
    return 1 if collected.wrong else 0


def _report(args: argparse.Namespace, console: Console) -> int:
    return _show(results.read(args.results), args.results, console)


def _compare(args: argparse.Namespace, console: Console) -> int:
    comparison.show(results.read(args.old), results.read(args.new), console)
    return 0


def _list(args: argparse.Namespace, console: Console) -> int:
    workloads = config.load_all()
    plans_of: dict[str, list[str]] = {}
    table = Table("plan", "", "repetitions", "tools", "phases", box=None)
    for name, plan in plans.load().items():
        for workload in config.select(workloads, plan.workloads):
            plans_of.setdefault(workload.name, []).append(name)
        table.add_row(name, plan.title, str(plan.reps), " ".join(plan.tools), " ".join(plan.phases))
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
