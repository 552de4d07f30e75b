"""The verb `ls`."""

from __future__ import annotations

import os
import sys

from pcache.cli.options import parse

SUMMARY = "list the commands that are recorded, the last recorded first"

HELP = """\
usage: pcache ls [OPTION...] [COMMAND [ARG...]]

Prints one line for each call that is known: when it was last recorded, how many records there are
(states of its inputs), the directory and the command; or why it is not cacheable.  With COMMAND,
only calls that begin like it: by base name of the program or, with a slash, as it was called.

options:
  -n NUMBER    how many (default 50); 0 for all
      --json   as JSON: see docs/json.md
  -h, --help   this text

exit status: 0, 1 nothing is recorded of COMMAND, 2 wrong usage, 125 nothing was recorded yet or
pcache failed

examples:
  pcache ls
  pcache ls cc -c
"""

OPTIONS = {"-n": "number=", "--json": "json"}
_DEFAULT = "50"


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, words = parse(args, OPTIONS)
    from pcache.cli.asking import number, open_store, write, write_model
    from pcache.report.recorded import lines, recorded
    from pcache.report.style import Style

    limit = number("-n", options, _DEFAULT)
    with open_store(here=True) as store:
        found = recorded(store, [os.fsencode(word) for word in words], limit)
    if options.get("json"):
        from pcache.report.schema import Records

        write_model(Records(records=found))
    elif words and not found:
        sys.stderr.write(f"pcache: nothing is recorded of {' '.join(words)}\n")
        return 1
    else:
        write(lines(found, Style()))
    return 0
