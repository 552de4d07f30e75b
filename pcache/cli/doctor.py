"""`pcache doctor`: what this machine offers, what is missing, and what mends it."""

from __future__ import annotations

import sys

from pcache.cli.options import parse
from pcache.doctor import checks
from pcache.doctor.result import FAIL, OK
from pcache.errors import UsageError

SUMMARY = "check whether this machine can trace and replay, and say what mends it"

HELP = """\
usage: pcache doctor [OPTION...]

Tries everything that trace and replay need and prints one line each: status, what was looked at,
what was found; below a line that is not ok, the one command that mends it.  Run it as
`sudo pcache doctor` too: only root can try what trace needs.

options:
  -q, --quiet  print only what is not ok
  --prepare    check nothing, but make now what the first command after an installation or on
               another kernel would make: compile the probes, build the filters (root)
  -h, --help   this text

exit status: 0 nothing failed (warnings aside), 1 a check failed, 2 wrong usage

examples:
  pcache doctor
  sudo pcache doctor --quiet
  sudo pcache doctor --prepare
"""

OPTIONS = {"-q": "quiet", "--quiet": "quiet", "--prepare": "prepare"}


def run(args: list[str]) -> int:
    """Probe everything and print it; 1 if a check failed."""
    options, rest = parse(args, OPTIONS)
    if rest:
        raise UsageError(f"doctor takes no argument: {rest[0]!r}")
    if options.get("prepare"):
        return _prepare(bool(options.get("quiet")))
    failed = 0
    for check in checks.all_checks():
        result = check.probe()
        failed += result.status == FAIL
        if result.status == OK and options.get("quiet"):
            continue
        needed = " and ".join(check.needed_for)
        sys.stdout.write(f"{result.status:<4}  {check.name} ({needed}): {result.reason}\n")
        if result.remedy:
            sys.stdout.write(f"      mend it: {result.remedy}\n")
    return 1 if failed else 0


def _prepare(quiet: bool) -> int:
    from pcache.session.verbs.prepare import prepare
    from pcache.wording import counted

    made, problems = prepare()
    if made and not quiet:
        sys.stdout.write(f"prepared for the first command: {counted(made, 'file')}\n")
    for problem in problems:
        sys.stdout.write(f"not prepared for the first command, which will try again: {problem}\n")
    return 1 if problems else 0
