"""Commands as a caller starts them: environment, working directory and kinds of descriptors."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partialmethod
from pathlib import Path
from typing import IO, Any

from pcache.model import Reason

TIMEOUT = 60
MODES = ("entry", "execve")
# Anywhere in a line: a shell may have begun a message of its own when pcache tells a decision.
_OWN_LINE = re.compile(rb"pcache: .*\n")
_REASONS = "|".join(
    re.escape(reason) for name, reason in vars(Reason).items() if not name.startswith("_")
)
_REFUSAL = re.compile(rf"^pcache: ((?:{_REASONS}): .*?)   (.*)$", re.MULTILINE)
_DECISION = re.compile(r"^pcache: (hit|miss|run)\s+(.*?)(?:   (.*))?$", re.MULTILINE)


@dataclass(frozen=True)
class Decision:
    """What `replay -v` said about one execution."""

    verdict: str
    command: str
    why: str

    @property
    def hit(self) -> bool:
        return self.verdict == "hit"


@dataclass
class Result:
    """What a run printed and how it ended; for runs under pcache, what it counted."""

    stdout: bytes
    stderr: bytes
    status: int
    counters: dict[str, int] = field(default_factory=dict)
    own: str = ""
    """pcache's own lines on stderr; they are not in `stderr`."""

    @property
    def ended(self) -> tuple[int, bytes, bytes]:
        """What a caller sees."""
        return self.status, self.stdout, self.stderr

    @property
    def decisions(self) -> list[Decision]:
        found = _DECISION.findall(self.own)
        return [Decision(verdict, command, why) for verdict, command, why in found]

    @property
    def refused(self) -> dict[str, str]:
        """Command -> why it was not recorded, as `--explain` told it."""
        return {command: why for why, command in _REFUSAL.findall(self.own)}


@dataclass(frozen=True)
class Stdio:
    """How a command's descriptors 0-2 are made.

    stdin: None for /dev/null, bytes for a pipe that holds them, a path (relative to the working
    directory) for a file.  stdout: `pipe`, `file`, `append` (a file with something in it), `null`,
    `full` (a device that is) or `broken` (a pipe that nobody reads).  merged:
    stderr is the same description as stdout.
    """

    stdin: bytes | str | None = None
    stdout: str = "pipe"
    merged: bool = False


class Launcher:
    """Starts commands plainly, traced, and replayed, always in the same way.

    pcache: the command.  as_root: prefix of what needs root, e.g. ("sudo",); user: prefix of
    everything, e.g. setpriv and its options.  scratch: a directory for what is not the command's.
    """

    def __init__(
        self,
        pcache: str,
        scratch: Path,
        *,
        as_root: Sequence[str] = (),
        user: Sequence[str] = (),
    ) -> None:
        self.pcache = pcache
        self._scratch = scratch
        self._as_root = as_root
        self._user = user

    def after(self, prefix: Sequence[str]) -> Launcher:
        """The same, with something before everything else."""
        user = (*prefix, *self._user)
        return Launcher(self.pcache, self._scratch, as_root=self._as_root, user=user)

    def within(self, text: str, groups: Sequence[str] = ()) -> Launcher:
        """One whose commands are the "$@" of a text for sh.

        groups: options in place of setpriv's --init-groups, for another user.
        """
        user = [
            word
            for before in self._user
            for word in (groups if before == "--init-groups" else (before,))
        ]
        user += ["sh", "-c", text, "sh"]
        return Launcher(self.pcache, self._scratch, as_root=self._as_root, user=user)

    def plain(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str], stdio: Stdio
    ) -> Result:
        return self._start(command, cwd, env, stdio)

    def _under(
        self,
        verb: str,
        command: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        stdio: Stdio,
        options: Sequence[str] = ("-q",),
    ) -> Result:
        report = self._report()
        as_root = () if verb == "replay" else self._as_root
        words = [*as_root, self.pcache, verb, *options, f"--json={report}", *command]
        return self._counted(words, cwd, env, stdio, report)

    trace = partialmethod(_under, "trace")
    run = partialmethod(_under, "run")
    replay = partialmethod(_under, "replay")

    def _report(self) -> Path:
        report = self._scratch / "counters.json"
        report.unlink(missing_ok=True)
        return report

    def _counted(
        self,
        command: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        stdio: Stdio,
        report: Path,
    ) -> Result:
        result = self._start(command, cwd, env, stdio)
        result.own = b"".join(_OWN_LINE.findall(result.stderr)).decode(errors="replace")
        result.stderr = _OWN_LINE.sub(b"", result.stderr)
        if stdio.merged:
            own = b"".join(_OWN_LINE.findall(result.stdout)).decode(errors="replace")
            result.own += own.replace("\r\n", "\n")  # as a terminal has it
            result.stdout = _OWN_LINE.sub(b"", result.stdout)
        assert report.exists(), f"pcache ended without a report: {result}"
        result.counters = json.loads(report.read_text())["counters"]
        return result

    def words(self, command: Sequence[str], env: Mapping[str, str]) -> Sequence[str]:
        """What to start for a command to have exactly these variables."""
        assignments = [f"{name}={value}" for name, value in env.items()]
        # setpriv or sudo stand in between.
        return [*self._user, "env", "-i", *assignments, *command] if self._user else command

    def _start(
        self, command: Sequence[str], cwd: Path, env: Mapping[str, str], stdio: Stdio
    ) -> Result:
        command = self.words(command, env)
        with ExitStack() as stack:
            stdin: int | IO[bytes] | None = subprocess.DEVNULL
            if isinstance(stdio.stdin, str):
                stdin = stack.enter_context(open(cwd / stdio.stdin, "rb"))
            elif isinstance(stdio.stdin, bytes):
                stdin = None
            output = self._scratch / "stdout"
            stdout: int | IO[bytes] = subprocess.PIPE
            if stdio.stdout == "null":
                stdout = subprocess.DEVNULL
            elif stdio.stdout == "full":
                stdout = stack.enter_context(open("/dev/full", "wb"))
            elif stdio.stdout == "broken":
                reader, stdout = os.pipe()
                os.close(reader)
                stack.callback(os.close, stdout)
            elif stdio.stdout in ("file", "append"):
                output.write_bytes(b"earlier\n" if stdio.stdout == "append" else b"")
                flags = os.O_WRONLY | (os.O_APPEND if stdio.stdout == "append" else 0)
                stdout = os.open(output, flags)
                stack.callback(os.close, stdout)
            stderr = subprocess.STDOUT if stdio.merged else subprocess.PIPE
            given: dict[str, Any] = {"input": stdio.stdin} if stdin is None else {"stdin": stdin}
            done: subprocess.CompletedProcess[bytes] = subprocess.run(
                command,
                cwd=cwd,
                env=dict(env),
                stdout=stdout,
                stderr=stderr,
                check=False,
                timeout=TIMEOUT,
                **given,
            )
        printed = output.read_bytes() if stdio.stdout in ("file", "append") else done.stdout
        return Result(printed or b"", done.stderr or b"", done.returncode)
