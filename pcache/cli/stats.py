"""The verb `stats`."""

from __future__ import annotations

import sys

from pcache.cli.options import parse
from pcache.errors import UsageError

SUMMARY = "print what is stored, how large it is and how often it was of use"

HELP = """\
usage: pcache stats [OPTION...]

Prints how many calls, path sets, records and contents your store holds, what they occupy and what
the contents would if none were compressed, and,
added up since it was begun, how many executions were replayed (hits) or had to run (misses), and
how long those that were replayed had taken when they were recorded.  Then how many calls are not
cacheable, by reason, and what was saved on each day of which sessions are kept.

options:
      --json   as JSON: see docs/json.md; sizes in bytes, times in milliseconds
  -h, --help   this text

exit status: 0, 2 wrong usage, 125 there is no store or it cannot be read

example:
  pcache stats
"""

OPTIONS = {"--json": "json"}

_LABELS = {"milliseconds skipped": "time saved"}
"""What people read, where that is not the name of the number in JSON."""


def run(args: list[str]) -> int:
    """Run the verb; the exit status."""
    options, rest = parse(args, OPTIONS)
    if rest:
        raise UsageError(f"stats takes no argument: {rest[0]!r}")
    from pcache.cli.asking import open_store
    from pcache.history.sessions import sessions
    from pcache.report.over_time import by_day, chart
    from pcache.report.style import Style
    from pcache.store.inspect import refusals, statistics

    with open_store() as store:
        numbers, reasons, days = statistics(store), refusals(store), by_day(sessions(store))
    if options.get("json"):
        from pcache.cli.asking import write_model
        from pcache.report.schema import Statistics

        write_model(Statistics(statistics=numbers, not_cacheable=reasons, days=days))
        return 0
    width = max(map(len, numbers))
    for name, number in numbers.items():
        sys.stdout.write(f"{_LABELS.get(name, name):<{width}}  {_shown(name, number)}\n")
    style = Style()
    if reasons:
        sys.stdout.write("\n" + style("bold", "calls not cacheable, by reason") + "\n")
    for reason, count in reasons.items():
        sys.stdout.write(f"{count:>7}  {reason}\n")
    if days:
        sys.stdout.write("\n" + style("bold", "saved, by day") + "\n")
        sys.stdout.write("".join(f"{line}\n" for line in chart(days, style)))
    return 0


def _shown(name: str, number: int) -> str:
    from pcache.session.steps.closing import seconds
    from pcache.settings.units import size_text

    if name.startswith("bytes"):
        return size_text(number)
    if name.startswith("milliseconds"):
        return seconds(number * 1_000_000)
    return f"{number:,}"
