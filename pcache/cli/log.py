"""The verb `log`."""

from __future__ import annotations

from pcache.cli.options import parse_anywhere as parse
from pcache.errors import UsageError

SUMMARY = "list the last sessions: command, time, what was brought back and saved"

HELP = """\
usage: pcache log [OPTION...]

Prints one line for each of the last sessions: its number, when it began, the verb, the exit status
of the command, how many of its programs were brought back of how many there were, how long it took,
how long what was brought back had taken when it was recorded, and the command.

Sessions are kept for 30 days, or as long as the setting `history` says.

options:
  -n NUMBER    how many (default 20); 0 for all that are kept
      --json   as JSON: see docs/json.md
  -h, --help   this text

exit status: 0, 2 wrong usage, 125 nothing was recorded yet or pcache failed

examples:
  pcache log
  pcache log -n 0 --json
"""

OPTIONS = {"-n": "number=", "--json": "json"}
_DEFAULT = "20"


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, rest = parse(args, OPTIONS)
    if rest:
        raise UsageError(f"log takes no argument: {rest[0]!r}")
    from pcache.cli.asking import number, open_store, write, write_model
    from pcache.history.sessions import sessions

    limit = number("-n", options, _DEFAULT)
    with open_store() as store:
        found = sessions(store)[-limit:]
        if options.get("json"):
            from pcache.report.data import session_list

            write_model(session_list(found))
        else:
            from pcache.report.style import Style
            from pcache.report.tree import table

            write(table(found, Style()))
    return 0
