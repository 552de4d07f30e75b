"""The verb `replay`."""

from __future__ import annotations

import os

from pcache.cli.options import choice, parse
from pcache.cli.sandbox import HELP as SANDBOX_HELP
from pcache.cli.sandbox import OPTIONS as SANDBOX_OPTIONS
from pcache.cli.sandbox import sandbox_of
from pcache.errors import UsageError

SUMMARY = "run a command, restoring what is recorded instead of running it"

HELP = """\
usage: pcache replay [OPTION...] COMMAND [ARG...]

Runs COMMAND, but restores the recorded outcome of every execution whose inputs are as they were:
its files, its output, its exit status.  COMMAND itself is looked up first; where that fails it
runs, and each program it starts is looked up.  Needs no root.

options:
  -q, --quiet            no summary on stderr
  -v, --verbose          one line on stderr for each decision, with the reason for a miss
      --intercept PLACE  where executions are stopped for their decision:
                         entry   at the first system call of the new program (default)
                         execve  at the execve itself: cheaper hits, but a signal that arrives at
                                 that moment can make the call fail with EINTR in programs that
                                 do not expect it (some shells, rarely), and what prints more
                                 than its pipe holds runs instead
      --json FILE        write the counters to FILE
  -h, --help             this text

{sandbox}
Not looked up, but run as if pcache were not there: programs of another user or architecture, in
another root or mount namespace, and programs that are being traced.  Unless pcache runs as root,
set-user-ID programs gain no privileges.  Programs that outlive COMMAND run on uncached.

exit status: that of COMMAND (if a signal killed it, pcache ends by the same signal); 2 wrong usage,
125 pcache itself failed, 126 COMMAND cannot be executed, 127 COMMAND was not found.

examples:
  pcache replay make -j4
  pcache replay -v sh build.sh
""".replace("{sandbox}", SANDBOX_HELP)

_OPTIONS = {
    "-q": "quiet",
    "--quiet": "quiet",
    "-v": "verbose",
    "--verbose": "verbose",
    "--intercept": "intercept=",
    "--json": "json=",
    **SANDBOX_OPTIONS,
}
_PLACES = ("entry", "execve")


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, command = parse(args, _OPTIONS)
    if not command:
        raise UsageError(
            "no command to replay", "usage: pcache replay [OPTION...] COMMAND [ARG...]"
        )
    intercept = choice("intercept", _PLACES, options)
    json = options.get("json")

    from pcache.session.replay import replay

    return replay(
        [os.fsencode(word) for word in command],
        intercept=intercept,
        quiet=bool(options.get("quiet")),
        json=None if json is None else str(json),
        verbose=bool(options.get("verbose")),
        sandbox=sandbox_of(options),
    )
