"""The verb `explain`."""

from __future__ import annotations

import os
import sys

from pcache.cli.options import parse
from pcache.errors import UsageError

SUMMARY = "say whether a command would be replayed now, and if not, why"

HELP = """\
usage: pcache explain COMMAND [ARG...]

Looks COMMAND up as `pcache replay` would, runs nothing and changes nothing, and prints what was
found: a hit with what it would restore; or, for each set of paths that earlier runs depended on,
the stored version that is nearest to the present and every input that is not as it was then; why
the last run could not be stored; what differed between runs with the same inputs.  If the call
itself is unknown, the recorded calls of the same program that are nearest, and what of arguments,
environment, directory, umask, user and standard descriptors is different about them.

Standard output and standard error are part of a call: pipe the explanation somewhere, and it
explains the command with that pipe.  `pcache replay -v` explains every program that COMMAND starts.

options:
  -h, --help   this text

exit status: 0 a hit, 1 a miss, 2 wrong usage, 125 nothing was recorded yet or pcache failed, 126
COMMAND cannot be executed, 127 COMMAND was not found

examples:
  pcache explain make -j4
  pcache explain sh build.sh
"""

OPTIONS: dict[str, str] = {}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    _, words = parse(args, OPTIONS)
    if not words:
        raise UsageError("no command to explain", "usage: pcache explain COMMAND [ARG...]")
    from pcache.linux.user import User
    from pcache.session.steps.command import Command
    from pcache.session.verbs.explain import explain

    command = Command([os.fsencode(word) for word in words])
    explanation = explain(command, User.current())
    sys.stdout.write("\n".join(explanation.lines) + "\n")
    return 0 if explanation.hit else 1
