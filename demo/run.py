"""`make demo`: build a real C project plainly, under trace and by replay; then edit a source.

The store of the demo lives in its work folder: nobody's own records are touched or used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from demo.person import Person, demo_person, give_back
from demo.source import LOG, Project, prepare

WORK = Path(__file__).resolve().parent.parent / "demo-work"
PCACHE = shutil.which("pcache") or "pcache"
_LAST_LINES = 20
EDIT = "\nconst int edited_by_the_demo = 1;\n"

Tree = dict[str, tuple[int, str]]


@dataclass
class Build:
    """One run of the build and what it left behind."""

    title: str
    seconds: float
    status: int
    stdout: bytes
    stderr: bytes
    tree: Tree
    counters: dict[str, int] = field(default_factory=dict)

    def same_as(self, other: Build) -> bool:
        """Whether both leave the same files (content and mode) and the same exit status."""
        return self.tree == other.tree and self.status == other.status


def snapshot(directory: Path) -> Tree:
    """Mode and digest of every file below `directory`."""
    tree: Tree = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            tree[str(path.relative_to(directory))] = (path.stat().st_mode, digest)
    return tree


class Demo:
    """The steps, for one person and one project."""

    def __init__(self, person: Person, project: Project, console: Console) -> None:
        self.person = person
        self.project = project
        self.console = console
        self.report = person.folder / "counters.json"
        self.env = {**person.env, "XDG_CACHE_HOME": str(person.folder / "cache")}

    def plain(self, title: str) -> Build:
        """The build without pcache."""
        build = self.project.build
        return self._measure(title, build, self.person.command(build))

    def trace(self, title: str) -> Build:
        """The build under `pcache trace`, with root's help."""
        build = self.project.build
        verb = [PCACHE, "trace", "--quiet", f"--json={self.report}"]
        command = self.person.as_root([*verb, *build])
        return self._measure(title, ["sudo", "pcache", "trace", *build], command)

    def replay(self, title: str) -> Build:
        """The build under `pcache replay`, as the ordinary user."""
        build = self.project.build
        verb = [PCACHE, "replay", "--quiet", f"--json={self.report}"]
        command = self.person.command([*verb, *build])
        return self._measure(title, ["pcache", "replay", *build], command)

    def clean(self) -> None:
        """Delete what the build made."""
        self.console.print("[bold]$ make clean", highlight=False)
        self._run(self.person.command(["make", "clean"]))

    def edit(self) -> None:
        """Change one source."""
        with open(self.project.directory / self.project.edited, "a") as file:
            file.write(EDIT)

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            cwd=self.project.directory,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )

    def _measure(self, title: str, shown: list[str], command: list[str]) -> Build:
        """Run `command`, which is what a person would type as `shown`."""
        self.console.print(f"[bold]$ {' '.join(shown)}", highlight=False, end=" ")
        self.report.unlink(missing_ok=True)
        start = time.monotonic()
        done = self._run(command)
        seconds = time.monotonic() - start
        if done.returncode:
            LOG.parent.mkdir(exist_ok=True)
            LOG.write_bytes(done.stdout + done.stderr)
            last = done.stderr.decode(errors="replace").splitlines()[-_LAST_LINES:]
            self.console.print("", *last, sep="\n", style="red", markup=False)
            raise SystemExit(f"that ended with status {done.returncode}; its output is in {LOG}")
        self.console.print(f"... {seconds:.1f} s", highlight=False)
        counters = json.loads(self.report.read_text())["counters"] if self.report.exists() else {}
        tree = snapshot(self.project.directory)
        return Build(title, seconds, done.returncode, done.stdout, done.stderr, tree, counters)


def show(console: Console, baseline: Build, builds: list[Build]) -> None:
    """One table: how long, how much of it was run, and whether the result is the same."""
    table = Table(title_justify="left")
    table.add_column("build")
    for heading in ("seconds", "of plain", "executed", "recorded", "hits", "same bytes"):
        table.add_column(heading, justify="right")
    for build in builds:
        table.add_row(
            build.title,
            f"{build.seconds:.2f}",
            f"{build.seconds / baseline.seconds:.1%}",
            *_counted(build.counters),
            "yes" if build.same_as(baseline) else "NO",
        )
    console.print(table)


def _counted(counters: dict[str, int]) -> tuple[str, str, str]:
    """How many executions ran, were recorded, were replayed; "-" where nobody counted."""
    if not counters:
        return "-", "-", "-"
    ran = counters["executions"] or counters["misses"]
    recorded = counters["records stored"] + counters["records known"]
    return str(ran), str(recorded), str(counters["hits"])


def main() -> int:
    """Run the demo; 0 if every build left the same bytes."""
    console = Console(soft_wrap=not sys.stdout.isatty())
    WORK.mkdir(exist_ok=True)
    with demo_person(WORK) as person:
        project = prepare(WORK, person.folder / "build")
        shutil.rmtree(person.folder / "cache", ignore_errors=True)
        person.own(person.folder)
        console.print(f"\n{project.title}: {person.statement}\n", highlight=False)
        demo = Demo(person, project, console)
        plain = demo.plain("plain")
        demo.clean()
        traced = demo.trace("traced")
        demo.clean()
        replayed = demo.replay("replayed")
        first = [plain, traced, replayed]
        show(console, plain, first)

        console.print(f"\nOne source changes: {project.edited}\n", highlight=False)
        demo.clean()
        demo.edit()
        edited = demo.plain("plain")
        demo.clean()
        partly = demo.replay("replayed")
        second = [edited, partly]
        show(console, edited, second)
    good = all(build.same_as(plain) for build in first) and partly.same_as(edited)
    if replayed.stdout != traced.stdout:
        console.print("replay did not print what the traced build printed", style="red")
        good = False
    if not replayed.counters.get("hits"):
        console.print("nothing was replayed: pcache help trace, --explain says why", style="red")
        good = False
    if good:
        console.print(
            "\nNow yours:  [bold]sudo pcache trace make[/], later  [bold]pcache replay make"
        )
    return 0 if good else 1


if __name__ == "__main__":
    os.environ.pop("MAKEFLAGS", None)
    os.environ.pop("MAKELEVEL", None)
    os.environ.pop("MFLAGS", None)
    try:
        raise SystemExit(main())
    finally:
        give_back(WORK)
