"""The verb `explain`."""

from __future__ import annotations

import os
import sys

from pcache.cli.options import parse
from pcache.errors import UsageError

SUMMARY = "say whether a command would be replayed now, and if not, why"

HELP = """\
usage: pcache explain [OPTION...] COMMAND [ARG...]
       pcache explain --last [--json] [SESSION]

Looks COMMAND up as `pcache replay` would, runs nothing and changes nothing, and prints what was
found: a hit with what it would restore; or, for each set of paths that earlier runs depended on,
the stored version that is nearest to the present and every input that is not as it was then; why
the last run could not be stored; what differed between runs with the same inputs.  If the call
itself is unknown, the recorded calls of the same program that are nearest, and what of arguments,
environment, directory, umask, user and standard descriptors is different about them.

Standard output and standard error are part of a call: pipe the explanation somewhere, and it
explains the command with that pipe; if that was recorded with others only, it is explained with
those as well.  `pcache replay -v` explains every program that COMMAND starts.

options:
      --last   what ran in the last session, or another one, and why: as `pcache why`
      --json   as JSON: see docs/json.md
  -h, --help   this text

exit status: 0 a hit, 1 a miss, 2 wrong usage, 125 nothing was recorded yet or pcache failed, 126
COMMAND cannot be executed, 127 COMMAND was not found

examples:
  pcache explain make -j4
  pcache explain sh build.sh
  pcache explain --last
"""

OPTIONS = {"--last": "last", "--json": "json"}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, words = parse(args, OPTIONS)
    if options.get("last"):
        from pcache.cli import why

        return why.run([*(["--json"] if options.get("json") else []), *words])
    if not words:
        raise UsageError("no command to explain", "usage: pcache explain COMMAND [ARG...]")
    from pcache.linux.user import User
    from pcache.session.steps.command import Command
    from pcache.session.verbs.explain import explain

    command = Command([os.fsencode(word) for word in words])
    explanation = explain(command, User.current())
    if options.get("json"):
        from pcache.cli.asking import write_model
        from pcache.report.upkeep import explanation as model

        write_model(model(command, explanation))
    else:
        sys.stdout.write("\n".join(explanation.lines) + "\n")
    return 0 if explanation.hit else 1
