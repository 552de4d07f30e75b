"""The verb `diff`."""

from __future__ import annotations

from pcache.cli.options import parse_anywhere as parse
from pcache.errors import StoreError, UsageError

SUMMARY = "say how two sessions, or two executions, differ"

HELP = """\
usage: pcache diff [OPTION...] OLD NEW

Of two sessions: executions that only one of them has, those that were brought back in one and ran
in the other, and, of those that both have, every part of the call, input, output and stream that
differs.  Of two executions, such as 7.3 and 9.3: the latter.

options:
      --json   as JSON: see docs/json.md
  -h, --help   this text

exit status: 0 nothing differs, 1 something does, 2 wrong usage, 125 one is not kept or pcache
failed

examples:
  pcache diff 7 9
  pcache diff 7.3 last.3
"""

OPTIONS = {"--json": "json"}


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, words = parse(args, OPTIONS)
    if len(words) != 2:
        raise UsageError("diff compares two", "usage: pcache diff [OPTION...] OLD NEW")
    from pcache.cli.asking import open_store, write, write_model
    from pcache.history.sessions import find
    from pcache.report import difference
    from pcache.report.style import Style

    with open_store() as store:
        (old, one), (new, other) = (find(store, word) for word in words)
        if (one is None) != (other is None):
            raise UsageError("a session cannot be compared with an execution")
        if one is None or other is None:
            changes = difference.sessions(old, new)
        else:
            parts = old.parts(old.entries[one]), new.parts(new.entries[other])
            for word, found in zip(words, parts, strict=True):
                if found is None:
                    raise StoreError(f"{word} has no record that is still in the store")
            changes = difference.executions(*parts)
        if options.get("json"):
            from pcache.report.data import differences

            write_model(differences(changes))
        else:
            write(difference.lines(changes, Style()))
    return 1 if changes else 0
