"""Taking records out of a store because somebody asks for it."""

from __future__ import annotations

import time

from pcache.codec import DamagedRow
from pcache.errors import DamagedBlob
from pcache.store.gc import DEFAULT_MAX_SIZE, SLACK_NS, Collector
from pcache.store.inspect import calls, stored
from pcache.store.lease import oldest_lease_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pcache.model import Digest
    from pcache.store.index import Store

_OF_CALLS = ("outcomes", "withdrawn", "uncacheable")


def named(store: Store, words: Sequence[bytes]) -> list[Digest]:
    """The calls of a command line (weak fingerprints), or of all that begin like it.

    The first word is the base name of the program or, with a slash, what it was called as; what a
    script is called as counts, too.
    """
    found = []
    for weak, call in calls(store):
        lines = [call.argv, call.argv[1:]]
        if any(line and _begins(line, words) for line in lines):
            found.append(weak)
    return found


def _begins(argv: Sequence[bytes], words: Sequence[bytes]) -> bool:
    name = argv[0] if b"/" in words[0] else argv[0].rpartition(b"/")[2]
    return name == words[0] and tuple(argv[1 : len(words)]) == tuple(words[1:])


def about(store: Store, path: bytes) -> list[Digest]:
    """The records (strong fingerprints) of what read, looked for or wrote a path."""
    found = []
    for at in stored(store):
        try:
            _, facts, outcome = at.parts(store)
        except (DamagedRow, DamagedBlob):
            continue
        paths = {fact.path for fact in facts} | {output.path for output in outcome.outputs}
        if path in paths:
            found.append(at.strong)
    return found


def clear(store: Store) -> tuple[int, int]:
    """Removes all records and all contents but those that others are recording now; how many.

    Raises StoreError.
    """
    report = Collector(store, max_size=0).run()
    _forget_refusals(store)
    # Nothing refers to the environments of calls any more.
    contents = report.blobs + Collector(store, max_size=0).run().blobs
    if _contents(store) and oldest_lease_ns(store.directory) is None:
        # What was put a moment ago may be younger than the clock tells.
        time.sleep(SLACK_NS / 1e9 + 0.1)
        contents += Collector(store, max_size=0).run().blobs
    return report.records, contents


def _contents(store: Store) -> bool:
    rows = store.database.number("SELECT count(*) FROM blobs")
    return rows > 0 or any(True for _ in store.blobs.objects.all())


def _forget_refusals(store: Store) -> None:
    """Removes what is noted of calls without records."""
    with store.batch():
        for table in (*_OF_CALLS, "calls"):
            store.database.change(f"DELETE FROM {table}")


def remove(store: Store, weak: Iterable[Digest], strong: Iterable[Digest]) -> int:
    """Removes calls with all that is noted of them, and single records; how many records.

    Raises StoreError.
    """
    database = store.database
    before = database.number("SELECT count(*) FROM outcomes")
    with store.batch():
        for call in weak:
            for table in _OF_CALLS:
                database.change(f"DELETE FROM {table} WHERE weak = ?", (call,))
        for record in strong:
            database.change("DELETE FROM outcomes WHERE strong = ?", (record,))
    after = database.number("SELECT count(*) FROM outcomes")
    limit = store.policy.max_size
    # What nothing refers to any more goes with it.
    Collector(store, DEFAULT_MAX_SIZE if limit is None else limit).run()
    return before - after
