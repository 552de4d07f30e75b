"""The verb `show`."""

from __future__ import annotations

from pcache.cli.options import parse_anywhere as parse

SUMMARY = "show what became of each execution of a session, or one of them in detail"

HELP = """\
usage: pcache show [OPTION...] [SESSION|EXECUTION]

Shows a session as the tree of its executions: which were brought back (hit) and what that saved,
which ran and for how long, and why; `pcache log` has the numbers of sessions, `last` is the last.
Of an execution, such as 7.12 or last.12, it shows the call, the inputs, the outputs and the
streams.

Of what ran under `pcache replay` only the start is known, as nothing was recorded.

options:
  -a, --all    also executions that work on a temporary file of their caller, as the parts of gcc
      --json   as JSON: see docs/json.md
  -h, --help   this text

exit status: 0, 2 wrong usage, 125 it is not kept or pcache failed

examples:
  pcache show
  pcache show 7
  pcache show 7.12
"""

OPTIONS = {"-a": "all", "--all": "all", "--json": "json"}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, words = parse(args, OPTIONS)
    from pcache.cli.asking import at_most, open_store, write, write_model
    from pcache.history.sessions import LAST, find
    from pcache.report import tree
    from pcache.report.style import Style

    at_most("show", 1, words)
    word = words[0] if words else LAST
    if options.get("json"):
        from pcache import api

        name, dot, number = word.partition(".")
        if dot and number.isdigit():
            write_model(api.session(name).execution(int(number)))
        else:
            write_model(api.session(word).detail())
        return 0
    with open_store() as store:
        session, place = find(store, word)
        if place is None:
            style = Style()
            write(tree.head(session, style))
            write(tree.tree(session, style, bool(options.get("all"))))
        else:
            write(tree.execution(session, place, Style()))
    return 0
