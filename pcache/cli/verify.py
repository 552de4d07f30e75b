"""The verb `verify`."""

from __future__ import annotations

import sys

from pcache.cli.options import parse
from pcache.errors import UsageError

SUMMARY = "check that the store is sound, and that its records still say what running says"

HELP = """\
usage: pcache verify [OPTION...]

Reads everything that is stored and compares it with its checksums.  What is damaged is named; it is
never replayed, and replaced when the command is recorded again.

With --rerun it also executes records again, chosen by chance among those that would be replayed
now, and compares files, output and exit status with what is recorded.  That happens in a scratch
copy: what the programs change is kept apart and thrown away, what they read is read where it is.
A record that differs is named, and its call is quarantined.

Not everything can be executed again.  Passed over, with the number for each reason: records of
earlier states of their inputs, of what only existed while a build ran, under other settings or
sandbox options than those in force here, of another user; of programs that read from a file given
as standard input or use other descriptors than 0 to 2; that change something directly in the root
directory or in a directory that has other file systems mounted below; that rename directories; that
take more than a minute and twenty times as long as they did.  Clocks, process numbers and inode
numbers are others than they were: a program that puts those into its output differs.  A scratch
copy takes root or user namespaces, and overlayfs.

options:
      --rerun SHARE  such as 5%: how many of the records to execute again
      --json         as JSON: see docs/json.md
  -q, --quiet        print nothing
  -h, --help         this text

exit status: 0 all is well, 1 something is damaged or differs, 2 wrong usage, 125 there is no store
or pcache failed

examples:
  pcache verify
  pcache verify --rerun 5%
"""

OPTIONS = {"--rerun": "rerun=", "--json": "json", "-q": "quiet", "--quiet": "quiet"}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, rest = parse(args, OPTIONS)
    if rest:
        raise UsageError(f"verify takes no argument: {rest[0]!r}")
    share = _share(str(options["rerun"])) if "rerun" in options else 0.0

    from pcache.linux.user import User
    from pcache.session.verbs.verify import verify

    verification = verify(User.current(), share)
    if options.get("json"):
        from pcache.cli.asking import write_model
        from pcache.report.upkeep import verification as model

        write_model(model(verification))
    elif not options.get("quiet"):
        sys.stdout.write("\n".join(verification.lines) + "\n")
    return 0 if verification.sound else 1


def _share(text: str) -> float:
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not text.endswith("%") or not 0 < percent <= 100:
        raise UsageError(f"--rerun {text}: a share of the records, such as 5%")
    return percent / 100
