"""The verb `export`."""

from __future__ import annotations

import sys

from pcache.cli.options import choice
from pcache.cli.options import parse_anywhere as parse
from pcache.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.api import Format

SUMMARY = "write a session in a form of others: trace, compilation database, provenance"

HELP = """\
usage: pcache export [OPTION...] [SESSION]

Writes a session (default: the last one) for other tools.  What was brought back stands there with
what it had started when it ran, as far as that session is kept.

options:
      --format FORMAT  in which form:
                       chrome-trace      for Perfetto (ui.perfetto.dev) and chrome://tracing
                       compile-commands  compile_commands.json, for clangd and other tools
                       json              every file read and made, with SHA-256: see docs/json.md
                       in-toto           an in-toto statement with SLSA provenance: what was left,
                                         of what it was made, with SHA-256
                       ro-crate          a Workflow Run RO-Crate, a directory: each execution with
                                         its program, inputs and results
  -o, --output FILE    where to; default standard output, for ro-crate a directory, which is made
  -h, --help           this text

exit status: 0, 2 wrong usage, 125 the session is not kept or pcache failed

examples:
  pcache export --format compile-commands -o compile_commands.json
  pcache export --format in-toto 7
"""

FORMATS: tuple[Format, ...] = ("chrome-trace", "compile-commands", "json", "in-toto", "ro-crate")
OPTIONS = {"--format": "format=", "-o": "output=", "--output": "output="}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, words = parse(args, OPTIONS)
    if "format" not in options:
        raise UsageError("in which form?", f"--format {'|'.join(FORMATS)}")
    given = choice("format", FORMATS, options)
    form = next(one for one in FORMATS if one == given)
    output = str(options.get("output", "-"))
    if form == "ro-crate" and output == "-":
        raise UsageError("a crate is a directory", "pcache export --format ro-crate -o DIRECTORY")
    from pcache import api
    from pcache.cli.asking import at_most

    at_most("export", 1, words)
    session = api.session(*words)
    if output == "-":
        sys.stdout.buffer.write(session.exported(form).encode(errors="backslashreplace"))
    else:
        session.export(form, output)
    return 0
