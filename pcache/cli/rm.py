"""The verb `rm`."""

from __future__ import annotations

import os
import re
import sys

from pcache.cli.options import parse
from pcache.errors import StoreError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pcache.model import Digest
    from pcache.store.index import Store

SUMMARY = "forget what is recorded of a command, an execution, a file or a session"

HELP = """\
usage: pcache rm [OPTION...] [COMMAND [ARG...]|EXECUTION]

Removes records, so that what they are of runs again: those of all calls that begin like COMMAND
(by base name of the program or, with a slash, as it was called), that of one EXECUTION such as
7.12, or those that an option names.  `pcache ls` lists what is recorded; `pcache clear` removes
all of it.

options:
      --path FILE        records of what read, looked for or wrote FILE
      --session SESSION  records of what ran or was brought back in a session
      --json             as JSON: see docs/json.md
  -q, --quiet            print nothing
  -h, --help             this text

exit status: 0 something was removed, 1 there was nothing to remove, 2 wrong usage, 125 nothing was
recorded yet or pcache failed

examples:
  pcache rm make
  pcache rm --path src/config.h
  pcache rm --session last
"""

OPTIONS = {
    "--path": "path=",
    "--session": "session=",
    "--json": "json",
    "-q": "quiet",
    "--quiet": "quiet",
}
_EXECUTION = re.compile(r"(\d+|last)\.\d+")


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, words = parse(args, OPTIONS)
    if bool(words) + ("path" in options) + ("session" in options) != 1:
        raise UsageError("one of a command, an execution, --path and --session", "pcache help rm")
    from pcache.cli.asking import open_store
    from pcache.store.removal import remove
    from pcache.wording import counted

    with open_store(here=True) as store:
        removed = remove(store, *_chosen(store, options, words))
    if options.get("json"):
        from pcache.cli.asking import write_model
        from pcache.report.schema_upkeep import Removal

        write_model(Removal(records=removed, contents=0))
    elif not options.get("quiet"):
        sys.stdout.write(f"{counted(removed, 'record')} removed\n")
    return 0 if removed else 1


def _chosen(
    store: Store, options: Mapping[str, str | bool], words: list[str]
) -> tuple[list[Digest], list[Digest]]:
    """Calls and records."""
    from pcache.history.sessions import find
    from pcache.store.removal import about, named

    if "path" in options:
        return [], about(store, os.path.abspath(os.fsencode(str(options["path"]))))
    if "session" in options:
        session, number = find(store, str(options["session"]))
        if number is not None:
            raise UsageError("--session takes the number of a session")
        return [], [entry.strong for entry in session.entries if entry.strong]
    if len(words) == 1 and _EXECUTION.fullmatch(words[0]):
        session, number = find(store, words[0])
        strong = session.entries[number or 0].strong
        if not strong:
            raise StoreError(f"{words[0]} has no record")
        return [], [strong]
    return named(store, [os.fsencode(word) for word in words]), []
