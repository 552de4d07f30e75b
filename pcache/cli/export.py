"""The verb `export`."""

from __future__ import annotations

import os
import sys

from pcache.cli.options import choice
from pcache.cli.options import parse_anywhere as parse
from pcache.errors import EnvironmentProblem, UsageError

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

FORMATS = ("chrome-trace", "compile-commands", "json", "in-toto", "ro-crate")
OPTIONS = {"--format": "format=", "-o": "output=", "--output": "output="}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, words = parse(args, OPTIONS)
    if "format" not in options:
        raise UsageError("in which form?", f"--format {'|'.join(FORMATS)}")
    form = choice("format", FORMATS, options)
    output = str(options.get("output", "-"))
    if form == "ro-crate" and output == "-":
        raise UsageError("a crate is a directory", "pcache export --format ro-crate -o DIRECTORY")
    from pcache.cli.asking import at_most, open_store
    from pcache.history.sessions import LAST, find, sessions

    at_most("export", 1, words)
    with open_store() as store:
        session, _ = find(store, words[0] if words else LAST)
        before = [at for at in sessions(store) if at.number < session.number][::-1]
        if form == "chrome-trace":
            from pcache.export.trace import chrome_trace

            return _write(output, chrome_trace(session))
        if form == "compile-commands":
            from pcache.export.compilations import compile_commands
            from pcache.export.whole import expanded

            return _write(output, compile_commands(expanded(session, before)))
        from pcache.export.files import Files, document

        files = Files(store, session, before)
        if form == "json":
            return _write(output, document(files).model_dump_json(indent=1) + "\n")
        if form == "in-toto":
            from pcache.export.provenance import statement

            return _write(output, statement(files))
        from pcache.export import crate

        crate.write(files, output)
    return 0


def _write(output: str, text: str) -> int:
    data = text.encode(errors="backslashreplace")
    if output == "-":
        sys.stdout.buffer.write(data)
        return 0
    try:
        with open(output, "wb") as file:
            file.write(data)
    except OSError as error:
        name = os.fsdecode(output)
        raise EnvironmentProblem(f"cannot write {name}: {error.strerror}") from error
    return 0
