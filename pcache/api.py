"""What `import pcache` offers: commands with their results, lookups, sessions.

Each call starts the command line and reads its JSON (`pcache.report.schema`): supervising a command
changes the process that does it, which should not be the caller's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pcache.errors import PcacheError
from pcache.report import schema

Word = str | bytes | os.PathLike[str]
Format = Literal["chrome-trace", "compile-commands", "json", "in-toto", "ro-crate"]

_PROGRAM = (
    "import sys; sys.path.insert(0, {root!r}); sys.path += {path!r}\n"
    "from pcache.cli.main import launch\nlaunch()"
)


class Failed(PcacheError):
    """pcache could not do what it was asked to; the message is its own."""


class Session:
    """One session: see docs/history.md."""

    def __init__(self, summary: schema.Summary) -> None:
        self.summary = summary

    def __repr__(self) -> str:
        at = self.summary
        return (
            f"<session {at.session}: {at.verb} {' '.join(at.command)}, "
            f"{at.hits} of {at.programs} brought back>"
        )

    @property
    def number(self) -> int:
        return self.summary.session

    @property
    def whole(self) -> bool:
        """Whether everything was brought back."""
        return self.summary.programs > 0 and self.summary.hits == self.summary.programs

    def executions(self) -> list[schema.Execution]:
        """Its executions in the order of their start, the command itself first."""
        text = _ask("show", "--json", str(self.number))
        return schema.SessionDetail.model_validate_json(text).executions

    def execution(self, number: int) -> schema.ExecutionDetail:
        """One of them with its call, inputs, outputs and streams.  Raises Failed."""
        text = _ask("show", "--json", f"{self.number}.{number}")
        return schema.ExecutionDetail.model_validate_json(text)

    def why(self) -> schema.Causes:
        """Why programs ran instead of being brought back."""
        return schema.Causes.model_validate_json(_ask("why", "--json", str(self.number)))

    def report(self, path: Word) -> None:
        """Writes the page of the session.  Raises Failed."""
        _ask("report", "-o", os.fsdecode(path), str(self.number))

    def markdown(self) -> str:
        """A summary for people."""
        return _ask("report", "--markdown", str(self.number))

    def export(self, format: Format, path: Word) -> None:
        """Writes the session in a form of others.  Raises Failed."""
        _ask("export", "--format", format, "-o", os.fsdecode(path), str(self.number))


class Completed:
    """A command that has ended."""

    def __init__(
        self,
        returncode: int,
        stdout: bytes | None,
        stderr: bytes | None,
        report: schema.Counted | None,
    ) -> None:
        self.returncode = returncode
        """As subprocess has it: negative for a death by a signal."""
        self.stdout = stdout
        self.stderr = stderr
        """Of the command, with what pcache has to say; None unless captured."""
        self.counters = {} if report is None else report.counters
        """docs/manual.md has each; empty if the command ran without pcache."""
        self._name = None if report is None else report.session

    @property
    def session(self) -> Session | None:
        """Its session; None if none is kept."""
        if self._name is None:
            return None
        found = [at for at in sessions() if at.summary.name == self._name]
        return found[-1] if found else None

    def check(self) -> Completed:
        """Itself; raises subprocess.CalledProcessError unless the command succeeded."""
        if self.returncode:
            raise subprocess.CalledProcessError(self.returncode, "pcache", self.stdout, self.stderr)
        return self


class Lookup:
    """Whether a command would be brought back now, and why or why not."""

    def __init__(self, hit: bool, why: str) -> None:
        self.hit = hit
        self.why = why

    def __bool__(self) -> bool:
        return self.hit


def run(command: Sequence[Word], **options: object) -> Completed:
    """`pcache run`: brings back what holds and records what does not, if root helps.

    Keywords: `cwd`, `env` (as subprocess has them), `capture` (stdout and stderr, default True),
    `sudo` (start it by sudo, so that it can record; default False), `arguments` (more options of
    the verb).  Raises Failed if pcache failed before the command began.
    """
    return _run("run", command, **options)  # type: ignore[arg-type]


def trace(command: Sequence[Word], **options: object) -> Completed:
    """`pcache trace`: only records.  Keywords as of `run`."""
    return _run("trace", command, **options)  # type: ignore[arg-type]


def replay(command: Sequence[Word], **options: object) -> Completed:
    """`pcache replay`: only brings back.  Keywords as of `run`."""
    return _run("replay", command, **options)  # type: ignore[arg-type]


def lookup(
    command: Sequence[Word], *, cwd: Word | None = None, env: Mapping[str, str] | None = None
) -> Lookup:
    """Whether `run` or `replay` with the same arguments, captured, would bring the command back as
    a whole; nothing runs.  Raises Failed if nothing was ever recorded, or there is no such command.
    """
    done = _start(["explain", "--", *command], cwd=cwd, env=env)
    if done.returncode not in (0, 1):
        raise Failed(_message(done))
    return Lookup(done.returncode == 0, done.stdout.decode(errors="replace"))


def sessions(limit: int = 0) -> list[Session]:
    """The last sessions that are kept (0: all of them), the oldest first."""
    text = _ask("log", "--json", "-n", str(limit))
    return list(map(Session, schema.SessionList.model_validate_json(text).sessions))


def _run(
    verb: str,
    command: Sequence[Word],
    *,
    cwd: Word | None = None,
    env: Mapping[str, str] | None = None,
    capture: bool = True,
    sudo: bool = False,
    arguments: Sequence[str] = (),
) -> Completed:
    with tempfile.TemporaryDirectory(prefix="pcache-") as directory:
        # By sudo, pcache writes it as the user who called that.
        counters = Path(directory) / "counters.json"
        words = [verb, f"--json={counters}", *arguments, "--", *command]
        done = _start(words, cwd=cwd, env=env, capture=capture, sudo=sudo)
        report = None
        if counters.exists():
            report = schema.Counted.model_validate_json(counters.read_bytes())
    # 1: sudo refused.  Pcache writes the report whatever becomes of the command.
    if report is None and done.returncode in (
        (1, 2, 125, 126, 127) if sudo else (2, 125, 126, 127)
    ):
        raise Failed(_message(done))
    return Completed(done.returncode, done.stdout, done.stderr, report)


def _ask(*words: str) -> str:
    done = _start(words)
    if done.returncode:
        raise Failed(_message(done))
    return str(done.stdout.decode())


def _start(
    words: Sequence[Word],
    *,
    cwd: Word | None = None,
    env: Mapping[str, str] | None = None,
    capture: bool = True,
    sudo: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = [entry for entry in sys.path if entry and entry != root]
    python = [sys.executable, "-IS", "-c", _PROGRAM.format(root=root, path=path)]
    stream = subprocess.PIPE if capture else None
    return subprocess.run(
        [*(["sudo"] if sudo else []), *python, *words],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL if capture else None,
        stdout=stream,
        stderr=stream,
        check=False,
    )


def _message(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stderr or b"").decode(errors="replace").strip().splitlines()
    told = [line.removeprefix("pcache: ") for line in lines if line.startswith("pcache: ")]
    told = told or [line for line in lines if line.startswith("sudo: ")]
    return "; ".join(told) or f"exit status {done.returncode}"
