"""`pcache doctor`: what this machine offers, what is missing, and what mends it."""

from __future__ import annotations

import sys

from pcache.cli.options import parse
from pcache.doctor import checks
from pcache.doctor.result import FAIL, OK, WARN
from pcache.errors import UsageError

SUMMARY = "check whether this machine can trace and replay, and say what mends it"

HELP = """\
usage: pcache doctor [OPTION...]

Tries everything that trace and replay need and prints one line each: status, what was looked at,
what was found; below a line that is not ok, the one command that mends it.  Run it as
`sudo pcache doctor` too: only root can try what trace needs.

options:
      --json   as JSON: see docs/json.md
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

OPTIONS = {"--json": "json", "-q": "quiet", "--quiet": "quiet", "--prepare": "prepare"}

_COLOURS = {OK: "hit", WARN: "ran", FAIL: "bad"}


def run(args: list[str]) -> int:
    """Probe everything and print it; 1 if a check failed."""
    options, rest = parse(args, OPTIONS)
    if rest:
        raise UsageError(f"doctor takes no argument: {rest[0]!r}")
    as_json = bool(options.get("json"))
    if options.get("prepare"):
        return _prepare(bool(options.get("quiet")), as_json)
    if as_json:
        return _write()
    from pcache.report.style import Style

    style = Style()
    failed = 0
    for check in checks.all_checks():
        result = check.probe()
        failed += result.status == FAIL
        if result.status == OK and options.get("quiet"):
            continue
        needed = " and ".join(check.needed_for)
        status = style(_COLOURS[result.status], f"{result.status:<4}")
        sys.stdout.write(f"{status}  {check.name} ({needed}): {result.reason}\n")
        if result.remedy:
            sys.stdout.write(f"      mend it: {style('bold', result.remedy)}\n")
    return 1 if failed else 0


def _write() -> int:
    from pcache.cli.asking import write_model
    from pcache.report.schema_upkeep import Check, Checks

    found = []
    for check in checks.all_checks():
        result = check.probe()
        fields = {
            "name": check.name,
            "needed_for": list(check.needed_for),
            "status": result.status,
            "found": result.reason,
            "remedy": result.remedy,
        }
        found.append(Check.model_validate(fields))
    failed = sum(check.status == FAIL for check in found)
    write_model(Checks(failed=failed, checks=found))
    return 1 if failed else 0


def _prepare(quiet: bool, as_json: bool) -> int:
    from pcache.session.verbs.prepare import prepare
    from pcache.wording import counted

    made, problems = prepare()
    if as_json:
        from pcache.cli.asking import write_model
        from pcache.report.schema_upkeep import Preparation

        write_model(Preparation(files=made, problems=problems))
        return 1 if problems else 0
    if made and not quiet:
        sys.stdout.write(f"prepared for the first command: {counted(made, 'file')}\n")
    for problem in problems:
        sys.stdout.write(f"not prepared for the first command, which will try again: {problem}\n")
    return 1 if problems else 0
