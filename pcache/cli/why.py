"""The verb `why`."""

from __future__ import annotations

from pcache.cli.options import parse_anywhere as parse

SUMMARY = "say why programs ran in a session instead of being brought back"

HELP = """\
usage: pcache why [OPTION...] [SESSION]

Names the first causes of what ran in a session (default: the last one), from the command itself
downwards: each input that had changed and that the session did not write itself, who wrote it, what
ran because of it, and what ran because of what that wrote; programs that were never recorded as
they were called; and what is not cacheable, with evidence, cost and cure.

`pcache explain COMMAND` asks the same of a command that has not run yet.

options:
      --json   as JSON: see docs/json.md
  -h, --help   this text

exit status: 0, 2 wrong usage, 125 the session is not kept or pcache failed

examples:
  pcache why
  pcache why 7
"""

OPTIONS = {"--json": "json"}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, words = parse(args, OPTIONS)
    from pcache.cli.asking import at_most, open_store, write, write_model
    from pcache.history.sessions import LAST, find, sessions
    from pcache.report.style import Style
    from pcache.report.why import Why, lines

    at_most("why", 1, words)
    word = words[0] if words else LAST
    if options.get("json"):
        from pcache import api

        write_model(api.session(word).why())
        return 0
    with open_store() as store:
        session, _ = find(store, word)
        before = [at for at in sessions(store) if at.number < session.number]
        write(lines(Why(session, before[::-1]), Style()))
    return 0
