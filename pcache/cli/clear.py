"""The verb `clear`."""

from __future__ import annotations

import sys

from pcache.cli.options import parse
from pcache.errors import UsageError

SUMMARY = "forget everything: all records, and the notes on all sessions"

HELP = """\
usage: pcache clear [OPTION...]

Removes all records and contents and the notes on all sessions from your store; settings stay.  Asks
first at a terminal; elsewhere it takes --yes.

options:
  -y, --yes    do not ask
      --json   as JSON: see docs/json.md
  -q, --quiet  print nothing
  -h, --help   this text

exit status: 0, 1 the answer was no, 2 wrong usage, 125 nothing was recorded yet or pcache failed

example:
  pcache clear --yes
"""

OPTIONS = {"-y": "yes", "--yes": "yes", "--json": "json", "-q": "quiet", "--quiet": "quiet"}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, rest = parse(args, OPTIONS)
    if rest:
        raise UsageError(f"clear takes no argument: {rest[0]!r}")
    if not options.get("yes"):
        if sys.stdin is None or not sys.stdin.isatty():
            raise UsageError(
                "everything would be removed", "say that you mean it: pcache clear --yes"
            )
        sys.stderr.write("pcache: remove everything that is recorded? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            return 1
    import time

    from pcache.cli.asking import open_store, trim_history
    from pcache.store.removal import clear
    from pcache.wording import counted

    with open_store() as store:
        removed, contents = clear(store)
        trim_history(store, time.time_ns())
    if options.get("json"):
        from pcache.cli.asking import write_model
        from pcache.report.schema_upkeep import Removal

        write_model(Removal(records=removed, contents=contents))
    elif not options.get("quiet"):
        sys.stdout.write(
            f"{counted(removed, 'record')} and {counted(contents, 'content')} removed\n"
        )
    return 0
