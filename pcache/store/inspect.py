"""Questions that people ask about a store.  Nothing here is needed to decide or to record."""

from __future__ import annotations

from pcache.codec import DamagedRow
from pcache.errors import DamagedBlob
from pcache.model import Fact
from pcache.store.fingerprint import ARGUMENTS_BYTES, weak_fingerprint
from pcache.store.records import call_environment, unpack_call, unpack_values
from pcache.store.secrets import is_hidden
from pcache.store.totals import Totals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pcache.model import Call, Digest, Key, Outcome, PathSet
    from pcache.store.index import Store


class Version:
    """One stored state of the inputs of a call."""

    __slots__ = ("facts", "strong", "used_ns")

    def __init__(self, strong: Digest, facts: list[Fact], used_ns: int) -> None:
        self.strong = strong
        self.facts = facts
        self.used_ns = used_ns


def versions(store: Store, weak: Digest, paths: PathSet, limit: int) -> list[Version]:
    """The versions recorded over one path set, the most recently used first."""
    found = []
    for strong, packed, used in store.database.rows(
        "SELECT strong, facts, used FROM outcomes WHERE weak = ? AND path_set = ?"
        " ORDER BY used DESC LIMIT ?",
        (weak, paths.digest, limit),
    ):
        try:
            values = unpack_values(strong, packed)
        except DamagedRow:
            continue
        facts = store.facts(paths.keys, values)
        found.append(Version(strong, facts, int(used)))
    return found


def calls(store: Store) -> Iterator[tuple[Digest, Call]]:
    """Every call that can be read, the last recorded first."""
    return _readable(store, store.database.rows("SELECT weak, call FROM calls ORDER BY seen DESC"))


def under_other_settings(store: Store, weak: Digest) -> bool:
    """Whether a call that is not known would be, but for settings of programs or the sandbox."""
    return any(
        known != weak and present_fingerprint(store, call) == weak
        for known, call in with_same_arguments(store, weak)
    )


def with_same_arguments(store: Store, weak: Digest) -> Iterator[tuple[Digest, Call]]:
    """The calls that can be read whose arguments are those of a fingerprint."""
    rows = store.database.rows(
        "SELECT weak, call FROM calls WHERE weak >= ? AND weak < ? ORDER BY seen DESC",
        (weak[:ARGUMENTS_BYTES], weak[:ARGUMENTS_BYTES] + b"\xff" * len(weak)),
    )
    return _readable(store, rows)


def _readable(store: Store, rows: Iterable[tuple[bytes, ...]]) -> Iterator[tuple[Digest, Call]]:
    for weak, packed in rows:
        try:
            variables = store.blobs.get_bytes(call_environment(packed))
            yield weak, unpack_call(packed, variables)
        except (DamagedRow, DamagedBlob):
            continue


def present_fingerprint(store: Store, call: Call) -> Digest:
    """The weak fingerprint of a stored call under the settings in force; empty if it cannot be
    told, as values of its environment are not kept."""
    if any(is_hidden(entry.partition(b"=")[2]) for entry in call.env):
        return b""
    return weak_fingerprint(call, store.policy)


def withdrawn(store: Store, weak: Digest) -> list[str]:
    """What differed in recordings of a call that contradicted each other, the last first."""
    rows = store.database.rows(
        "SELECT DISTINCT what FROM withdrawn WHERE weak = ? ORDER BY seen DESC", (weak,)
    )
    return [str(what) for (what,) in rows]


def statistics(store: Store) -> dict[str, int]:
    """Numbers about a store: what is in it now, sizes in bytes, and how it was used."""
    count = store.database.number
    used = Totals(store.directory).total() or {}
    rows = count("SELECT coalesce(sum(length(data)), 0) FROM blobs")
    files: dict[Digest, int] = {}
    for digest, size in store.blobs.objects.all():
        files[digest] = files.get(digest, 0) + size
    original = 0
    for digest in files:
        try:
            original += store.blobs.objects.size(digest)
        except DamagedBlob:
            continue  # or collected meanwhile
    return {
        "calls": count("SELECT count(*) FROM calls"),
        "path sets": count("SELECT count(*) FROM path_sets"),
        "records": count("SELECT count(*) FROM outcomes"),
        "calls not cacheable": count("SELECT count(DISTINCT weak) FROM uncacheable"),
        "records non-deterministic": count("SELECT count(*) FROM withdrawn"),
        "blobs": len(files) + count("SELECT count(*) FROM blobs"),
        "bytes of blobs": sum(files.values()) + rows,
        "bytes of blobs uncompressed": original + rows,
        "bytes of index": count("PRAGMA page_count") * count("PRAGMA page_size"),
        "hits": used.get("hits", 0),
        "misses": used.get("misses", 0),
        "milliseconds skipped": used.get("milliseconds skipped", 0),
    }


def refusals(store: Store) -> dict[str, int]:
    """How many calls are not cacheable, by reason: the most frequent first."""
    rows = store.database.rows(
        "SELECT reason, count(DISTINCT weak) AS n FROM uncacheable GROUP BY reason ORDER BY n DESC"
    )
    return {str(reason): int(count) for reason, count in rows}


class Stored:
    """One record, not taken apart yet."""

    __slots__ = ("_facts", "_outcome", "path_set", "strong", "weak")

    def __init__(
        self, strong: Digest, weak: Digest, path_set: Digest, facts: bytes, outcome: bytes
    ) -> None:
        self.weak = weak
        self.strong = strong
        self.path_set = path_set
        self._facts = facts
        self._outcome = outcome

    def parts(self, store: Store) -> tuple[Call, list[Fact], Outcome]:
        """The call, the facts and the outcome.  Raises DamagedRow or DamagedBlob."""
        call = store.call(self.weak)
        values = unpack_values(self.strong, self._facts)
        keys = self.keys(store)
        if call is None or len(keys) != len(values):
            raise DamagedRow("a part of a record is missing")
        return call, store.facts(keys, values), store.unpacked(self.strong, self._outcome)

    def keys(self, store: Store) -> tuple[Key, ...]:
        """What it depends on; nothing if that is missing.  Raises DamagedRow."""
        row = store.database.row("SELECT keys FROM path_sets WHERE digest = ?", (self.path_set,))
        return () if row is None else store.keys(self.path_set, row[0])


def stored(store: Store, since_ns: int = 0) -> list[Stored]:
    """All records that were made or used since, those used last first."""
    rows = store.database.rows(
        "SELECT strong, weak, path_set, facts, outcome FROM outcomes WHERE used >= ?"
        " ORDER BY used DESC",
        (since_ns,),
    )
    return [Stored(*row) for row in rows]


def record(store: Store, strong: Digest) -> Stored | None:
    """The record with a strong fingerprint; None if there is none."""
    row = store.database.row(
        "SELECT strong, weak, path_set, facts, outcome FROM outcomes WHERE strong = ?", (strong,)
    )
    return None if row is None else Stored(*row)
