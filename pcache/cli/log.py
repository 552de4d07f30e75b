"""The verb `log`."""

from __future__ import annotations

import sys

from pcache.cli.options import parse_anywhere as parse
from pcache.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SUMMARY = "list the last sessions: command, time, what was brought back and saved"

HELP = """\
usage: pcache log [OPTION...]

Prints one line for each of the last sessions: its number, when it began, the verb, the exit status
of the command, how many of its programs were brought back of how many there were, how long it took,
how long what was brought back had taken when it was recorded, and the command.

Sessions are kept for 30 days, or as long as the setting `history` says.

options:
  -n NUMBER            how many (default 20); 0 for all
      --json           as JSON: see docs/json.md
      --complete WORD  only what names a session, the last first, and begins with WORD; or an
                       execution, if WORD has a full stop.  Behind a tab stands its command: what
                       shells complete arguments by
  -h, --help           this text

exit status: 0, 2 wrong usage, 125 nothing was recorded yet or pcache failed

examples:
  pcache log
  pcache log -n 0 --json
"""

OPTIONS = {"-n": "number=", "--json": "json", "--complete": "complete="}
_DEFAULT = "20"
_LABEL = 60
"""Letters of a command line."""


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, rest = parse(args, OPTIONS)
    if rest:
        raise UsageError(f"log takes no argument: {rest[0]!r}")
    from pcache.cli.asking import number, open_store, write, write_model
    from pcache.history.sessions import sessions

    limit = number("-n", options, _DEFAULT)
    if "complete" in options:
        write(_names(str(options["complete"]), limit))
        return 0
    if options.get("json"):
        from pcache import api
        from pcache.report.schema import SessionList

        write_model(SessionList(sessions=[at.summary for at in api.sessions(limit)]))
        return 0
    with open_store() as store:
        found = sessions(store)[-limit:]
        if not found:
            sys.stderr.write("pcache: no session is kept\n")
        else:
            from pcache.report.style import Style
            from pcache.report.tree import table

            write(table(found, Style()))
    return 0


def _names(word: str, limit: int) -> Iterator[str]:
    """What can stand for a session or an execution; nothing where none is kept."""
    from pcache.cli.asking import open_store
    from pcache.errors import PcacheError
    from pcache.history.sessions import LAST, find, sessions
    from pcache.report.words import command

    number, dot, _ = word.partition(".")
    try:
        with open_store() as store:
            if dot:
                entries = enumerate(find(store, number)[0].entries)
                named = [(f"{number}.{place}", entry.argv) for place, entry in entries]
            else:
                kept = [at.summary for at in sessions(store)[::-1]]
                named = [(LAST, at.argv) for at in kept[:1]]
                named += [(str(at.number), at.argv) for at in kept]
    except PcacheError:
        return
    named = [(name, argv) for name, argv in named if name.startswith(word)]
    for name, argv in named[: limit or None]:
        yield f"{name}\t{command(argv)[:_LABEL]}"
