"""The verb `report`."""

from __future__ import annotations

import sys

from pcache.cli.options import parse_anywhere as parse
from pcache.errors import UsageError

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
    from pcache import api
    from pcache.cli.asking import at_most

    at_most("report", 1, words)
    session = api.session(*words)
    if options.get("json"):
        text = session.data().model_dump_json(indent=1) + "\n"
    else:
        text = session.markdown() if options.get("markdown") else session.page()
    if output is None or output == "-":
        sys.stdout.buffer.write(text.encode())
    else:
        api.write(str(output), text.encode())
    return 0
