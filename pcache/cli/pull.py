"""The verb `pull`."""

from __future__ import annotations

import os
import sys

from pcache.cli.options import parse
from pcache.errors import UsageError

SUMMARY = "bring what others recorded of a command from the shared store"

HELP = """\
usage: pcache pull [OPTION...] COMMAND [ARG...]

Fetches all that the shared store has of COMMAND, run in a directory like this one, and that
somebody signed whom the configuration trusts.  `pcache run COMMAND` and `pcache replay COMMAND`
then need the network no more; without a pull they fetch what they need as they go.  Contents that
are here already are not fetched again, so that a pull that was interrupted goes on where it was.

options:
  -n, --dry-run   fetch nothing, only say how much it would be
      --json      as JSON: see docs/json.md
  -q, --quiet     print nothing
  -h, --help      this text

exit status: 0, 2 wrong usage, 125 there is nothing of it that is trusted, or no shared store, 126
COMMAND cannot be executed, 127 COMMAND was not found

examples:
  pcache pull make -j4
  pcache pull --dry-run make -j4
"""

OPTIONS = {
    "-n": "dry-run",
    "--dry-run": "dry-run",
    "--json": "json",
    "-q": "quiet",
    "--quiet": "quiet",
}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, words = parse(args, OPTIONS)
    if not words:
        raise UsageError("no command to pull", "usage: pcache pull [OPTION...] COMMAND [ARG...]")
    from pcache.linux.user import User
    from pcache.session.steps.command import Command
    from pcache.session.verbs.pull import Pull
    from pcache.settings.units import size_text

    quiet, dry_run = bool(options.get("quiet")), bool(options.get("dry-run"))
    shows = not quiet and sys.stderr is not None and sys.stderr.isatty()

    def tell(line: str) -> None:
        if shows:
            sys.stderr.write(f"\r{line}")
            sys.stderr.flush()

    command = Command([os.fsencode(word) for word in words])
    report = Pull(command, User.current()).run(dry_run, tell)
    if shows:
        sys.stderr.write("\r\033[K")
    if options.get("json"):
        from pcache.cli.asking import write_model
        from pcache.report.upkeep import pulled

        write_model(pulled(report, dry_run))
    elif not quiet:
        from pcache.wording import counted

        fetched = "" if dry_run else f", {size_text(report.received)} of that fetched"
        sys.stdout.write(
            f"{counted(report.records, 'record')} with {counted(report.contents, 'content')}"
            f" ({size_text(report.bytes)}){fetched}\n"
        )
    return 0
