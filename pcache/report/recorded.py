"""`pcache ls`: the calls that are known."""

from __future__ import annotations

from pcache.report import schema, words
from pcache.store.inspect import calls
from pcache.store.removal import named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pcache.report.style import Style
    from pcache.store.index import Store


def recorded(store: Store, command: Sequence[bytes], limit: int) -> list[schema.Recorded]:
    """The last recorded calls (0: all) that begin like a command."""
    chosen = set(named(store, command)) if command else None
    rows = store.database.rows
    seen = {weak: int(ns) for weak, ns in rows("SELECT weak, seen FROM calls")}
    counted = rows("SELECT weak, count(*) FROM outcomes GROUP BY weak")
    counts = {weak: int(count) for weak, count in counted}
    found = []
    for weak, call in calls(store):
        if chosen is not None and weak not in chosen:
            continue
        found.append(
            schema.Recorded(
                command=[words.command([word]) for word in call.argv],
                directory=words.command([call.cwd]),
                last=seen[weak] / 1e9,
                records=counts.get(weak, 0),
                not_cacheable=[reason.reason for reason in store.uncacheable(weak)],
            )
        )
        if len(found) == limit:
            break
    return found


def lines(found: Sequence[schema.Recorded], style: Style) -> Iterator[str]:
    """For people."""
    yield style("dim", "LAST                 RECORDS  COMMAND")
    for at in found:
        front = f"{words.when(int(at.last * 1e9))}  {at.records:>7}  "
        why = "   " + ", ".join(at.not_cacheable) if at.not_cacheable else ""
        command, directory = style.share(
            " ".join(at.command), f"   {at.directory}", len(front) + len(why)
        )
        yield front + command + style("dim", directory) + style("bad", why)
