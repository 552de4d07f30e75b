"""The verb `replay`."""

from __future__ import annotations

import os

from pcache.cli.options import PROGRESS_OPTIONS, choice, parse, progress_of
from pcache.cli.sandbox import HELP as SANDBOX_HELP
from pcache.cli.sandbox import OPTIONS as SANDBOX_OPTIONS
from pcache.cli.sandbox import sandbox_of
from pcache.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SUMMARY = "run a command, restoring what is recorded instead of running it"

HELP = """\
usage: pcache replay [OPTION...] COMMAND [ARG...]

Runs COMMAND, but restores the recorded outcome of every execution whose inputs are as they were:
its files, its output, its exit status.  COMMAND itself is looked up first; where that fails it
runs, and each program it starts is looked up.  Needs no root.

options:
  -q, --quiet            no summary on stderr
  -v, --verbose          one line on stderr for each decision, with the reason for a miss
      --explain          the same
      --intercept PLACE  where executions are stopped for their decision:
                         entry   at the first system call of the new program (default)
                         execve  at the execve itself: cheaper hits, but a signal that arrives at
                                 that moment can make the call fail with EINTR in programs that
                                 do not expect it (dash with background jobs, on a machine under
                                 load: 9 of 100 execs, where entry has none), and what prints
                                 more than its pipe holds runs instead
      --check            run every execution that would be replayed for real and compare its
                         files, its output and its exit status with what is recorded; nothing is
                         restored or recorded.  Each that differs is reported, and its call is
                         quarantined: it runs until it has been recorded over other inputs.
                         Needs root; under sudo the command runs as you, as with `pcache trace`
      --progress WHEN    a live line in the last row of the terminal, for commands that take more
                         than two seconds:
                         auto    if stderr is a terminal, and not in CI (default)
                         always  if stderr is a terminal
                         never
      --no-progress      --progress never
      --timing           how long each phase took, on stderr
      --json FILE        write the counters to FILE
  -h, --help             this text

{sandbox}
Not looked up, but run as if pcache were not there: programs of another user or architecture, in
another root or mount namespace, and programs that are being traced.  Unless pcache runs as root,
set-user-ID programs gain no privileges.  Programs that outlive COMMAND run on uncached.

exit status: that of COMMAND (if a signal killed it, pcache ends by the same signal); 2 wrong usage,
124 with --check: something differed, 125 pcache itself failed, 126 COMMAND cannot be executed, 127
COMMAND was not found.

examples:
  pcache replay make -j4
  pcache replay -v sh build.sh
  sudo pcache replay --check make -j4
""".replace("{sandbox}", SANDBOX_HELP)

OPTIONS = {
    "-q": "quiet",
    "--quiet": "quiet",
    "-v": "verbose",
    "--verbose": "verbose",
    "--explain": "verbose",
    "--intercept": "intercept=",
    "--check": "check",
    "--timing": "timing",
    "--json": "json=",
    **PROGRESS_OPTIONS,
    **SANDBOX_OPTIONS,
}
_PLACES = ("entry", "execve")


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, command = parse(args, OPTIONS)
    if not command:
        raise UsageError(
            "no command to replay", "usage: pcache replay [OPTION...] COMMAND [ARG...]"
        )
    intercept = choice("intercept", _PLACES, options)
    words = [os.fsencode(word) for word in command]
    json = None if "json" not in options else str(options["json"])
    if options.get("check"):
        if intercept != _PLACES[0]:
            raise UsageError("--check stops executions at their entry only")
        return _check(words, json, options)

    from pcache.session.verbs.replay import Replay

    return Replay(
        words,
        intercept=intercept,
        quiet=bool(options.get("quiet")),
        json=json,
        verbose=bool(options.get("verbose")),
        sandbox=sandbox_of(options),
        timing=bool(options.get("timing")),
        progress=progress_of(options),
    ).run()


def _check(words: list[bytes], json: str | None, options: Mapping[str, str | bool]) -> int:
    from pcache.cli.recording import DEFAULT_RING_BYTES
    from pcache.session.steps.privilege import split

    user, probes = split(False, DEFAULT_RING_BYTES)
    from pcache.session.steps.options import Options
    from pcache.session.verbs.check import Check

    return Check(
        words,
        Options(
            quiet=bool(options.get("quiet")),
            explain=bool(options.get("verbose")),
            json=json,
            sandbox=sandbox_of(options),
            timing=bool(options.get("timing")),
            progress=progress_of(options),
        ),
        user,
        probes,
    ).run()
