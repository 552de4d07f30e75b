"""The verb `gc`."""

from __future__ import annotations

import os
import sys
import time

from pcache.cli.options import parse
from pcache.errors import NoStore, UsageError

SUMMARY = "make room in the store: what was not used for longest goes first"

HELP = """\
usage: pcache gc [OPTION...]

If your store is larger than its limit, removes the records that were not used for longest until it
is a tenth below.  Then removes contents that no record refers to and what killed processes left,
and compresses those that are worth it and were not compressed when they were recorded: large ones,
above all (`compress = false` in the configuration forbids it).  A trace removes in the same way at
its end when the store has outgrown the limit.  Others may record and replay meanwhile; a program
whose record goes at that moment runs.

options:
      --max-size SIZE   the limit, such as 500M or 10G (powers of 1024); default: `max_size` of the
                        configuration, 10G if it says nothing; 0 removes all records
      --older-than AGE  first remove all records that were not used for that long: 12h, 30d, 2w
      --dry-run         remove nothing, only say what would go
      --json            as JSON: see docs/json.md
  -q, --quiet           print nothing
  -h, --help            this text

exit status: 0, 2 wrong usage, 125 there is no store or it cannot be changed

examples:
  pcache gc
  pcache gc --older-than 30d --dry-run
"""

OPTIONS = {
    "--max-size": "max-size=",
    "--older-than": "older-than=",
    "--dry-run": "dry-run",
    "--json": "json",
    "-q": "quiet",
    "--quiet": "quiet",
}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, rest = parse(args, OPTIONS)
    if rest:
        raise UsageError(f"gc takes no argument: {rest[0]!r}")
    from pcache.cli.asking import trim_history
    from pcache.history.log import KEPT_NS
    from pcache.linux.user import User
    from pcache.settings import config, units
    from pcache.store.gc import DEFAULT_MAX_SIZE, Collector
    from pcache.store.index import Store
    from pcache.wording import counted

    user = User.current()
    policy = config.load(user, os.getcwdb())
    max_size, older_than = policy.max_size, 0
    if max_size is None:
        max_size = DEFAULT_MAX_SIZE
    try:
        if "max-size" in options:
            max_size = units.size(str(options["max-size"]))
        if "older-than" in options:
            older_than = time.time_ns() - units.age(str(options["older-than"])) * 10**9
    except ValueError as error:
        raise UsageError(str(error)) from error
    try:
        store = Store.open(user.store_dir, create=False, policy=policy)
    except NoStore as error:
        raise NoStore(f"there is nothing to remove: {error}") from error
    with store:
        report = Collector(store, max_size, older_than, bool(options.get("dry-run"))).run()
        if not options.get("dry-run"):
            keep_ns = KEPT_NS if policy.history is None else policy.history * 10**9
            trim_history(store, time.time_ns() - keep_ns)
    if options.get("json"):
        from pcache.cli.asking import write_model
        from pcache.report.upkeep import collection

        write_model(collection(report, bool(options.get("dry-run"))))
    elif not options.get("quiet"):
        compressed = (
            f", {counted(report.compressed, 'content')} compressed" if report.compressed else ""
        )
        would = "would be " if options.get("dry-run") else ""
        sys.stdout.write(
            f"{counted(report.records, 'record')}, {counted(report.blobs, 'content')} and"
            f" {counted(report.leftovers, 'leftover')}"
            f" {would}removed{compressed}; {units.size_text(report.size_before)} before,"
            f" {units.size_text(report.size_after)} after\n"
        )
    return 0
