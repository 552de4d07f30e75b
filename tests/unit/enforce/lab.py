"""A place to try the supervisor in: probes, programs whose names say what a hit does, a driver."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import CHECKOUT

HERE = Path(__file__).resolve().parent
PROBES = CHECKOUT / "tests/probes"
PYTHON = os.path.realpath("/usr/bin/python3")
TIMEOUT = 60
DEADLY = [(1, 16), (24, 27), (29, 31), (34, 64)]
"""Signals that end a program by default, first to last: signal(7)."""
PATIENCE = 30.0
"""Seconds."""


@dataclass
class Result:
    """How a command under the driver ended."""

    status: int
    out: str
    err: str
    report: dict[str, Any]

    @property
    def verdicts(self) -> list[tuple[str, str]]:
        """(verdict, name of the program) of every decision."""
        return [
            (d["verdict"], os.path.basename(d["executable"][2:-1]))
            for d in self.report["decisions"]
        ]


class Lab:
    """A directory with probes in bin/, and the means to run commands supervised."""

    def __init__(self, directory: Path, library: Path) -> None:
        self.directory = directory
        self.bin = directory / "bin"
        self.bin.mkdir()
        self.reports = directory / "reports"
        self.reports.mkdir()
        self.reports.chmod(0o1777)
        self.compile("real.c", "real")
        self.compile("spawners.c", "spawners", "-pthread")
        self.compile("spawners.c", "spawners-static", "-pthread", "-static")
        for compiler, name in (("cc", "static"), ("musl-gcc", "musl")):
            self.compile("real.c", f"real-{name}", "-static", compiler=compiler)
            self.program(f"hit-{7 if name == 'static' else 8}-{name}", f"real-{name}")
        for status in range(256):
            self.program(f"hit-{status}")
        for first, last in DEADLY:
            for signal in range(first, last + 1):
                self.program(f"hitsig-{signal}")
        text = (HERE / "driver.py").read_text()
        site = sysconfig.get_path("platlib")
        paths = [str(library), site, "/usr/lib/python3/dist-packages"]
        self.driver = directory / "driver.py"
        future = "from __future__ import annotations\n"
        setup = f"import sys\n\nsys.path.extend({paths!r})\n"
        self.driver.write_text(text.replace(future, future + setup, 1))

    def compile(self, source: str, name: str, *flags: str, compiler: str = "cc") -> None:
        """Compile a probe to a program in bin/."""
        command = [compiler, "-O1", "-Wall", *flags, "-o", str(self.bin / name), PROBES / source]
        subprocess.run(command, check=True)

    def compile_others(self) -> None:
        """The spawners in other languages."""
        self.compile("shells.c", "shells")
        rust = ["/usr/bin/rustc", "--edition=2021", "-o", str(self.bin / "spawner-rs")]
        subprocess.run([*rust, PROBES / "spawner.rs"], check=True)
        go = ["go", "build", "-o", str(self.bin / "spawner-go"), str(PROBES / "spawner.go")]
        env = {**os.environ, "GOCACHE": str(self.directory / "go"), "GO111MODULE": "off"}
        subprocess.run(go, check=True, env=env)

    def program(self, name: str, real: str = "real") -> str:
        """A program under `name`, which the driver understands; ends with 99 if it does run."""
        path = self.bin / name
        if not path.exists():
            os.link(self.bin / real, path)
        return str(path)

    def command(self, words: Sequence[str], intercept: str) -> tuple[list[str], Path]:
        """The command line of the driver, and the file its report goes to."""
        report = self.reports / uuid.uuid4().hex
        driver = [PYTHON, "-IS", str(self.driver), intercept, str(report)]
        return [*driver, *words], report

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """A small one, with bin/ on PATH."""
        path = f"{self.bin}:/usr/bin:/bin"
        return {"PATH": path, "LC_ALL": "C", "HOME": "/", **(extra or {})}

    def run(
        self,
        words: Sequence[str],
        intercept: str = "entry",
        env: Mapping[str, str] | None = None,
        runner: Any = subprocess.run,
        **keywords: Any,
    ) -> Result:
        """Run a command under the driver, and wait for it."""
        command, report = self.command(words, intercept)
        keywords = {"capture_output": True, "timeout": TIMEOUT, **keywords}
        keywords.setdefault("cwd", self.directory)
        done = runner(command, env=self.environment(env), **keywords)
        loaded = json.loads(report.read_text()) if report.exists() else {}
        out, err = (b"" if text is None else text for text in (done.stdout, done.stderr))
        return Result(done.returncode, out.decode(), err.decode(), loaded)

    def start(
        self,
        words: Sequence[str],
        intercept: str = "entry",
        env: Mapping[str, str] | None = None,
        **keywords: Any,
    ) -> subprocess.Popen[bytes]:
        """Start a command under the driver."""
        command, _ = self.command(words, intercept)
        keywords.setdefault("cwd", self.directory)
        return subprocess.Popen(command, env=self.environment(env), **keywords)


def clean(directory: Path) -> None:
    """Make `directory` an empty one that everybody may write to."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    directory.chmod(0o777)


def wait_for(path: Path) -> str:
    """What is in a file, once there is something."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline, f"no {path.name}: what writes it hangs"
        time.sleep(0.01)
    return path.read_text()
