"""The verb `push`."""

from __future__ import annotations

import os
import sys
import time

from pcache.cli.options import parse
from pcache.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.remote.push import Report

SUMMARY = "give what is recorded to the shared store"

HELP = """\
usage: pcache push [OPTION...]

Gives the records of your store to the shared one that the table [remote] of the configuration names
(`pcache help config`): contents first, then what refers to them, signed with your key.  What is
there already is not sent again; a push that was interrupted goes on where it was.  Records stay
here whose variables or outputs look like they hold a secret, and those whose inputs are no longer
as they were: their SHA-256 cannot be known any more.

options:
  -n, --dry-run       send nothing: list what would leave this machine, and what would not and why
      --since AGE     only what was recorded or used within that time: 12h, 30d, 2w
      --json          as JSON: see docs/json.md
  -v, --verbose       one line for each record
  -q, --quiet         print nothing
  -h, --help          this text

exit status: 0, 2 wrong usage, 125 there is no shared store, no key, or it cannot be written

examples:
  pcache push --dry-run
  pcache push --since 1d
"""

OPTIONS = {
    "-n": "dry-run",
    "--dry-run": "dry-run",
    "--since": "since=",
    "--json": "json",
    "-v": "verbose",
    "--verbose": "verbose",
    "-q": "quiet",
    "--quiet": "quiet",
}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, rest = parse(args, OPTIONS)
    if rest:
        raise UsageError(f"push takes no argument: {rest[0]!r}")
    from pcache.linux.user import User
    from pcache.session.steps.policy import session_policy
    from pcache.session.verbs.push import Push, summary
    from pcache.settings import units

    since = 0
    if "since" in options:
        try:
            since = time.time_ns() - units.age(str(options["since"])) * 10**9
        except ValueError as error:
            raise UsageError(str(error)) from error
    user = User.current()
    policy, _ = session_policy(user, os.getcwdb())
    as_json, dry_run = bool(options.get("json")), bool(options.get("dry-run"))
    quiet = as_json or bool(options.get("quiet"))
    verbose = dry_run or bool(options.get("verbose"))
    progress = _Progress(not quiet and not verbose)

    def tell(line: str) -> None:
        if verbose and not quiet:
            sys.stdout.write(f"{'would push' if dry_run else 'pushed'}: {line}\n")
        progress.step()

    report, seconds = Push(user, policy).everything(since, dry_run, tell)
    progress.end()
    if as_json:
        _write(report, dry_run, seconds)
    if quiet:
        return 0
    if verbose:
        from pcache.wording import text

        for label, why in report.kept:
            sys.stdout.write(f"stays here: {text(label)}   {why}\n")
    took = "" if dry_run else f" in {seconds:.1f} s"
    sys.stdout.write(f"{summary(report, dry_run)}{took}\n")
    return 0


def _write(report: Report, dry_run: bool, seconds: float) -> None:
    from pcache.cli.asking import write_model
    from pcache.report.schema_upkeep import Kept, Push
    from pcache.wording import text

    write_model(
        Push(
            dry_run=dry_run,
            records=report.records,
            contents=report.contents,
            bytes=report.bytes,
            manifests=report.manifests,
            known=report.known,
            stays=[Kept(command=text(label), reason=why) for label, why in report.kept],
            seconds=seconds,
        )
    )


class _Progress:
    """A line on a terminal that counts."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted and sys.stderr is not None and sys.stderr.isatty()
        self._done = 0

    def step(self) -> None:
        self._done += 1
        if self._wanted:
            from pcache.wording import counted

            sys.stderr.write(f"\r{counted(self._done, 'record')} pushed")
            sys.stderr.flush()

    def end(self) -> None:
        if self._wanted and self._done:
            sys.stderr.write("\r\033[K")
