"""The verb `report`."""

from __future__ import annotations

import os
import sys

from pcache.cli.options import parse_anywhere as parse
from pcache.errors import EnvironmentProblem, UsageError

SUMMARY = "draw a session as a page: time line, flame view, critical path, what it depends on"

HELP = """\
usage: pcache report [OPTION...] [SESSION]

Writes a session (default: the last one) as one HTML page that needs nothing else, no network above
all: a time line of what went on at the same time and what each waited for; a flame view; the
critical path; what is not cacheable, what that costs and what cures it; the inputs that most
depends on; and what was saved over time.

options:
  -o, --output FILE  where to; - is standard output
      --markdown     a summary in Markdown instead, for the page of a CI job
      --json         what the page is drawn from, as JSON: see docs/json.md
  -h, --help         this text

exit status: 0, 2 wrong usage, 125 the session is not kept or pcache failed

examples:
  pcache report -o report.html
  pcache report --markdown >>"$GITHUB_STEP_SUMMARY"
"""

OPTIONS = {"-o": "output=", "--output": "output=", "--markdown": "markdown", "--json": "json"}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, words = parse(args, OPTIONS)
    output = options.get("output")
    if output is None and not options.get("markdown") and not options.get("json"):
        raise UsageError("where to write the page?", "pcache report -o report.html")
    from pcache.cli.asking import at_most, open_store
    from pcache.history.sessions import LAST, find, sessions
    from pcache.report.page import markdown, page

    at_most("report", 1, words)
    with open_store() as store:
        session, _ = find(store, words[0] if words else LAST)
        if options.get("json"):
            from pcache.report.upkeep import report

            text = report(session, sessions(store)).model_dump_json(indent=1) + "\n"
        elif options.get("markdown"):
            text = markdown(session)
        else:
            text = page(session, sessions(store))
    data = text.encode()
    if output is None or output == "-":
        sys.stdout.buffer.write(data)
        return 0
    try:
        with open(str(output), "wb") as file:
            file.write(data)
    except OSError as error:
        name = os.fsdecode(str(output))
        raise EnvironmentProblem(f"cannot write {name}: {error.strerror}") from error
    return 0
