"""The tools that are measured, each behind the same small interface."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.config import IN_PLACE, PhaseName, Workload
from bench.oracle import Told, last_session

CHECKOUT = Path(__file__).resolve().parent.parent
_CACHING: frozenset[PhaseName] = frozenset(
    ("cold", *IN_PLACE, "warm", "no-op", "edit", "edit10", "edit50", "edit90", "versions")
)
_ONCE: frozenset[PhaseName] = frozenset(("cold",))
_EMPTY: frozenset[PhaseName] = frozenset(("unknown",))
_PLAIN: frozenset[PhaseName] = _CACHING - {"warm", "versions"} | _EMPTY


@dataclass(frozen=True)
class Place:
    """Where one tool may keep its things during one workload."""

    home: Path
    """That of the commands."""
    tree: Path
    store: Path
    """Emptied before each cold run, and each with nothing on record."""
    report: Path
    """Where counters are to be written, by tools that have any."""


class Tool:
    """A way to run a command.  The base class is the command itself."""

    name = "plain"
    title = "the command itself"
    phases: frozenset[PhaseName] = _PLAIN

    def absent(self) -> str | None:
        """Why the tool cannot be measured on this machine; None if it can."""
        return None

    def version(self) -> str:
        """What the tool says when asked for its version."""
        return ""

    def suits(self, workload: Workload) -> bool:
        """Whether the tool is meant for such a workload."""
        return True

    def empty(self, place: Place) -> None:
        """Forget everything."""
        shutil.rmtree(place.store, ignore_errors=True)
        place.store.mkdir(parents=True)

    def env(self, env: dict[str, str], place: Place) -> dict[str, str]:
        """The environment to start the tool with, given that of the plain command."""
        return env

    def command(self, phase: PhaseName, argv: list[str], place: Place) -> list[str]:
        """What to start instead of `argv`; "versions" stands for recording one more version."""
        return argv

    def told(self, env: dict[str, str]) -> Told | None:
        """What the tool says of its last run, in the environment of that; None if it does not."""
        return None

    def before(self, argv: list[str], place: Place) -> None:
        """Called before each run, unmeasured."""

    def after(self, place: Place) -> None:
        """Called after each run, unmeasured: takes what is the tool's own out of the tree."""


class _Program(Tool):
    """A tool that is one program to be found in PATH."""

    program: str
    phases = _CACHING

    def absent(self) -> str | None:
        return None if shutil.which(self.program) else f"{self.program} is not installed"

    def version(self) -> str:
        return _first_line([self.program, "--version"])


class Pcache(Tool):
    """pcache: cold runs are recorded by `trace`, all others use `replay`."""

    name = "pcache"
    title = "pcache trace (cold), pcache replay (all else)"
    phases = _CACHING | _EMPTY

    def __init__(self, launcher: list[str] | None = None) -> None:
        installed = shutil.which("pcache")
        self.launcher = launcher or ([installed] if installed else _from_checkout())

    def version(self) -> str:
        return _first_line([*self.launcher, "--version"])

    def empty(self, place: Place) -> None:
        super().empty(place)
        # What programs keep for the user outlives any cleaning, as for the plain command.
        for kept in (place.home / ".cache").glob("*"):
            (place.store / kept.name).symlink_to(kept)

    def env(self, env: dict[str, str], place: Place) -> dict[str, str]:
        return {**env, "XDG_CACHE_HOME": str(place.store)}

    def command(self, phase: PhaseName, argv: list[str], place: Place) -> list[str]:
        verb = "trace" if phase in ("cold", "versions") else "replay"
        return [*self.prefix(verb), "--quiet", f"--json={place.report}", *argv]

    def prefix(self, verb: str) -> list[str]:
        """How to call a verb; those that load probes need root."""
        sudo = ["sudo"] if os.geteuid() and verb in ("trace", "run") else []
        return [*sudo, *self.launcher, verb]

    def has(self, verb: str) -> bool:
        """Whether this pcache has the verb."""
        asked = subprocess.run([*self.launcher, "help", verb], capture_output=True, check=False)
        return asked.returncode == 0


class PcacheRun(Pcache):
    """pcache: every run is `pcache run`, which replays what holds and records what does not."""

    name = "pcache-run"
    title = "pcache run"
    phases = _CACHING

    def absent(self) -> str | None:
        return None if self.has("run") else "this pcache has no verb `run`"

    def command(self, phase: PhaseName, argv: list[str], place: Place) -> list[str]:
        return [*self.prefix("run"), "--quiet", f"--json={place.report}", *argv]

    def told(self, env: dict[str, str]) -> Told | None:
        return last_session(self.launcher, env)


class Ccache(_Program):
    """ccache standing in for the compilers by their names in PATH."""

    name = program = "ccache"
    title = "compiler cache, in place of the compilers in PATH"
    phases = _CACHING - {"versions"}

    def suits(self, workload: Workload) -> bool:
        return workload.compiles

    def empty(self, place: Place) -> None:
        super().empty(place)
        names = place.store / "bin"
        names.mkdir()
        for name in ("cc", "gcc", "c++", "g++"):
            (names / name).symlink_to(shutil.which(self.program) or self.program)

    def env(self, env: dict[str, str], place: Place) -> dict[str, str]:
        path = f"{place.store / 'bin'}:{env['PATH']}"
        return {**env, "PATH": path, "CCACHE_DIR": str(place.store / "cache")}


class Strace(_Program):
    """strace following all processes: what observing through ptrace costs."""

    name = "strace"
    title = "strace -f: every system call, by ptrace"
    program = "strace"
    phases = _ONCE

    def command(self, phase: PhaseName, argv: list[str], place: Place) -> list[str]:
        return ["strace", "-f", "-o", str(place.store / "trace"), *argv]


class StraceSeccomp(Strace):
    """strace stopping only at system calls on files and processes."""

    name = "strace-seccomp"
    title = "strace -f --seccomp-bpf -e trace=file,process: some system calls, by ptrace"

    def command(self, phase: PhaseName, argv: list[str], place: Place) -> list[str]:
        log = str(place.store / "trace")
        chosen = ["--seccomp-bpf", "-e", "trace=file,process"]
        return ["strace", "-f", *chosen, "-o", log, *argv]


class Firebuild(_Program):
    """firebuild, which intercepts the C library."""

    name = program = "firebuild"
    title = "build cache, by a preloaded library"

    def env(self, env: dict[str, str], place: Place) -> dict[str, str]:
        return {**env, "FIREBUILD_CACHE_DIR": str(place.store)}

    def command(self, phase: PhaseName, argv: list[str], place: Place) -> list[str]:
        return ["firebuild", "--", *argv]


class Riker(_Program):
    """Riker, which reads its command from a Rikerfile and keeps its records beside it."""

    name = "riker"
    title = "build system that traces its commands (rkr)"
    program = "rkr"

    def command(self, phase: PhaseName, argv: list[str], place: Place) -> list[str]:
        return ["rkr"]

    def before(self, argv: list[str], place: Place) -> None:
        rikerfile = place.tree / "Rikerfile"
        rikerfile.write_text(f"#!/bin/sh\n{shlex.join(argv)}\n")
        rikerfile.chmod(0o755)
        kept = place.store / "records"
        if kept.exists():
            kept.rename(place.tree / ".rkr")

    def after(self, place: Place) -> None:
        (place.tree / "Rikerfile").unlink(missing_ok=True)
        records = place.tree / ".rkr"
        if records.exists():
            records.rename(place.store / "records")


class ProcessCache(_Program):
    """ProcessCache, which keeps its records in ./cache of the directory it is started in."""

    name = "processcache"
    title = "memoization, by ptrace (process_cache)"
    program = "process_cache"

    def version(self) -> str:
        return ""

    def command(self, phase: PhaseName, argv: list[str], place: Place) -> list[str]:
        return ["process_cache", *argv]

    def before(self, argv: list[str], place: Place) -> None:
        records = place.store / "records"
        records.mkdir(exist_ok=True)
        (place.tree / "cache").symlink_to(records)

    def after(self, place: Place) -> None:
        (place.tree / "cache").unlink(missing_ok=True)


def all_tools(pcache: str | None = None) -> list[Tool]:
    """Every tool, the plain command first; `pcache` is the one to measure, if not that in PATH."""
    launcher = [pcache] if pcache else None
    return [
        Tool(),
        Pcache(launcher),
        PcacheRun(launcher),
        Ccache(),
        Strace(),
        StraceSeccomp(),
        Firebuild(),
        Riker(),
        ProcessCache(),
    ]


def _from_checkout() -> list[str]:
    """pcache of this checkout, with the packages of this Python."""
    program = (
        f"import sys; sys.path.insert(0, {str(CHECKOUT)!r});"
        "from pcache.cli.main import launch; launch()"
    )
    return [sys.executable, "-c", program]


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0]
