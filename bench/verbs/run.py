"""Measure what a plan says, or what is named instead of it, then report."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fcntl
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import config, goals, plans, results, tools
from bench.inputs import NoInput, install, missing_packages, package_versions
from bench.kits import Kits
from bench.machine import machine
from bench.micro import suite
from bench.runner import Runner, Selection
from bench.verbs import LATEST, BadRequest
from bench.verbs.report import show

_WORK = Path(__file__).resolve().parent.parent.parent / "demo-work" / "bench"
_MICRO = "micro"
"""What stands for the micro benchmarks among the workloads."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of this verb."""
    parser.add_argument("--plan", default=plans.DEFAULT, metavar="NAME", help="from plans.toml")
    parser.add_argument(
        "--workload",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a workload, a pattern, a group, or `{_MICRO}`; may be repeated",
    )
    parser.add_argument(
        "--tool", action="append", default=[], metavar="NAME", help="besides plain; repeatable"
    )
    parser.add_argument(
        "--phase", action="append", default=[], choices=config.PHASES, help="may be repeated"
    )
    parser.add_argument("--reps", type=_positive, metavar="N", help="repetitions")
    parser.add_argument("--json", type=Path, default=LATEST, metavar="FILE", help="for results")
    parser.add_argument("--work", type=Path, default=_WORK, metavar="DIR", help="work folder")
    parser.add_argument("--install", action="store_true", help="install packages that are missing")
    parser.add_argument("--pcache", metavar="PROGRAM", help="the pcache to measure")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of repetitions")
    return int(text)


def call(args: argparse.Namespace, console: Console) -> int:
    """1 if a result was wrong."""
    known = tools.all_tools(args.pcache)
    plan = _plan(args)
    chosen = plan.selected(config.load_all())
    asked = _asked(known, plan)
    if args.install:
        _install([workload for workload, _ in chosen], Kits(args.work), console)
    collected = results.Results(
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        plan=args.plan,
        machine=machine(),
        goals=goals.load(),
        tools={tool.name: _tool_info(tool) for tool in asked},
    )
    present = [tool for tool in asked if not collected.tools[tool.name].absent]
    with _work(args.work) as work, _progress(console) as progress:
        runner = Runner(work, _Bar(progress))
        for workload, part in chosen:
            _measure(runner, workload, _selection(part, present), collected, progress)
            # What was measured so far survives an interruption.
            results.write(collected, args.json)
        if plan.micro_reps:
            _measure_micro(work, present, plan.micro_reps, collected, progress)
            results.write(collected, args.json)
    return show(collected, args.json, console)


def _plan(args: argparse.Namespace) -> plans.Plan:
    """The plan that was asked for, with what was asked for instead."""
    known = plans.load()
    if args.plan not in known:
        raise BadRequest(f"no plan {args.plan!r}; there are {', '.join(known)}")
    plan = known[args.plan]
    if args.workload:
        named = [pattern for pattern in args.workload if pattern != _MICRO]
        plan = plan.only(config.select(config.load_all(), named))
        plan = plan.model_copy(update={"micro_reps": plan.micro_reps * (_MICRO in args.workload)})
    return plan.instead(tools=args.tool, phases=args.phase, reps=args.reps)


def _asked(known: list[tools.Tool], plan: plans.Plan) -> list[tools.Tool]:
    """The tools of the plan, present or not, the plain command first."""
    names = {"plain", *(name for part in plan.parts for name in (*part.tools, *part.once))}
    if plan.micro_reps:
        names.add(tools.Pcache.name)
    if unknown := names - {tool.name for tool in known} - {"*"}:
        there = ", ".join(tool.name for tool in known)
        raise BadRequest(f"no tool {', '.join(sorted(unknown))}; there are {there}")
    return [tool for tool in known if names & {tool.name, "*"}]


def _tool_info(tool: tools.Tool) -> results.ToolInfo:
    absent = tool.absent()
    if absent:
        # A row that is missing in silence would look like an oversight.
        return results.ToolInfo(title=tool.title, absent=absent)
    return results.ToolInfo(title=tool.title, version=tool.version())


def _selection(part: plans.Part, present: list[tools.Tool]) -> Selection:
    names = {"plain", *part.tools, *part.once}
    # What the other phases replay is recorded in the cold one.
    wanted = {"cold", *part.phases}
    return Selection(
        tools=[tool for tool in present if names & {tool.name, "*"}],
        once=frozenset(part.once),
        phases=tuple(phase for phase in config.PHASES if phase in wanted),
        reps=part.reps,
    )


def _install(chosen: list[config.Workload], kits: Kits, console: Console) -> None:
    missing = sorted({package for workload in chosen for package in missing_packages(workload)})
    # The workloads that need what cannot be installed will be reported as not measured.
    if missing:
        console.print(f"installing packages: {' '.join(missing)}", highlight=False)
        try:
            install(missing)
        except NoInput as error:
            console.print(str(error), style="red", markup=False)
    for kit in kits.missing(sorted({kit for workload in chosen for kit in workload.kits})):
        console.print(f"installing the kit {kit}", highlight=False)
        try:
            kits.install(kit)
        except NoInput as error:
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
    workload: config.Workload,
    selection: Selection,
    collected: results.Results,
    progress: Progress,
) -> None:
    if missing := missing_packages(workload):
        collected.skipped[workload.name] = f"needs the packages {' '.join(missing)}"
        return
    collected.workloads[workload.name] = results.WorkloadInfo(
        title=workload.title, group=workload.group, packages=package_versions(workload)
    )
    if missing := runner.kits.missing(workload.kits):
        collected.skipped[workload.name] = f"needs the kits {' '.join(missing)}"
        return
    steps = sum(1 for _ in selection.runs(workload))
    progress.add_task(f"{workload.name}: preparing", total=steps)
    try:
        for sample in runner.run(workload, selection):
            collected.samples.append(sample)
    except (NoInput, OSError) as error:
        collected.skipped[workload.name] = str(error)
    collected.workloads[workload.name].unsteady = runner.unsteady.get(workload.name, [])


def _measure_micro(
    work: Path,
    present: list[tools.Tool],
    reps: int,
    collected: results.Results,
    progress: Progress,
) -> None:
    pcache = next((tool for tool in present if type(tool) is tools.Pcache), None)
    if pcache is None:
        return
    task = progress.add_task(_MICRO, total=suite.STEPS)
    try:
        for row in suite.run(work, pcache, reps, lambda: progress.advance(task)):
            collected.micro.append(row)
    except RuntimeError as error:
        collected.skipped[_MICRO] = str(error)


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
