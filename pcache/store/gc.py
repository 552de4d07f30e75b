"""Making room: the records used longest ago go, with whatever nothing refers to any more.

Others may record and replay meanwhile.  Nothing is held up: the plan is made from what is read,
carried out in short transactions, and each step checks that what it removes is as it was.  What a
session has put and not yet referred to is spared by its age (`pcache.store.lease`).
"""

from __future__ import annotations

import os
import time

from pcache.codec import DamagedRow
from pcache.errors import StoreError, why_not
from pcache.store.aside import sweep
from pcache.store.lease import oldest_lease_ns
from pcache.store.locks import CollectorLock
from pcache.store.records import call_environment, contents, unpack_outcome
from pcache.store.totals import COLUMNS, Totals
from pcache.store.workdirs import RERUN, abandoned, remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pcache.model import Digest
    from pcache.store.index import Store

DEFAULT_MAX_SIZE = 10 << 30
"""Bytes."""

_ROOM = 0.9
"""A collection leaves this much of the limit, so that not every run needs the next one."""
_BLOCK = 4096
_ROW = 100
"""Bytes that a row needs besides its large columns, roughly."""
_BATCH = 200
"""Records removed in one transaction: others wait no longer than that takes."""
_PAGES = 1000
SLACK_NS = 2 * 10**9
"""Rows carry whole seconds, file times lag behind the clock by up to a kernel tick."""


class Report:
    """What a collection removed, or, on a dry run, would."""

    def __init__(self) -> None:
        self.size_before = 0
        """Bytes of contents and index."""
        self.size_after = 0
        self.records = 0
        self.blobs = 0
        self.compressed = 0
        """Contents that were stored plainly."""
        self.leftovers = 0
        """Temporary files and scratch directories of processes that were killed."""


class _Evictable:
    """A record as far as the collector is concerned."""

    __slots__ = ("blobs", "size", "strong", "used")

    def __init__(self, strong: Digest, used: int, size: int, blobs: frozenset[Digest]) -> None:
        self.strong = strong
        self.used = used
        self.size = size
        self.blobs = blobs


class Collector:
    """One collection.  Raises StoreError if the store cannot be read or changed."""

    def __init__(
        self,
        store: Store,
        max_size: int = DEFAULT_MAX_SIZE,
        older_than_ns: int = 0,
        dry_run: bool = False,
    ) -> None:
        """Records last used before `older_than_ns` (time.time_ns) go in any case; then, if the
        store is larger than `max_size` bytes, those used longest ago until it is well below."""
        self._store = store
        self._database = store.database
        self._temporary = store.directory + b"/tmp"
        self._max_size = max_size
        self._older_than = older_than_ns
        self._dry_run = dry_run
        self._report = Report()
        self._files: dict[Digest, int] = {}
        """Bytes of disk for each content that is a file."""
        self._rows: dict[Digest, int] = {}
        self._references: dict[Digest, int] = {}

    def run(self) -> Report:
        """Collects, and compresses what pays; waits for another collection to end first."""
        try:
            with CollectorLock(self._store.directory, wait=True):
                return self._run(compact=self._store.policy.compress)
        except OSError as error:
            raise StoreError(f"the store cannot be tidied up: {why_not(error)}") from error

    def run_unless_running(self) -> Report | None:
        """The same, but leaves it to another collection if there is one."""
        try:
            with CollectorLock(self._store.directory, wait=False):
                return self._run(compact=False)
        except BlockingIOError:
            return None
        except OSError as error:
            raise StoreError(f"the store cannot be tidied up: {why_not(error)}") from error

    def _run(self, compact: bool) -> Report:
        report = self._report
        full = False
        began = time.time_ns()
        # Before anything is read: what a session that has ended by then put is referred to.
        lease = oldest_lease_ns(self._store.directory)
        fresh = (began if lease is None else min(began, lease)) - SLACK_NS
        for digest, size in self._store.blobs.objects.all():
            self._files[digest] = self._files.get(digest, 0) + _occupied(size)
        records = self._read()
        unused = self._unused(fresh)
        report.size_before = sum(self._files.values()) + index_size(self._store)
        report.size_after = report.size_before - sum(map(self._size, unused))
        victims, horizon = self._choose(records)
        if not self._dry_run:
            full = not self._database.has_room
            if full:
                self._database.write_in_place(True)
            self._evict(victims)
            self._forget(max(horizon, self._older_than))
        self._remove_blobs(unused | self._unreferenced(victims), fresh)
        self._remove_leftovers(fresh)
        if not self._dry_run:
            if compact and self._database.has_room:
                self._compact()
            self._shrink()
            if full:
                self._database.write_in_place(False)
        return report

    # ---- reading

    def _read(self) -> list[_Evictable]:
        """All records, the one used longest ago first; counts what refers to each blob."""
        self._rows = {
            digest: int(length)
            for digest, length in self._database.rows("SELECT digest, length(data) FROM blobs")
        }
        records = []
        for strong, used, packed, facts in self._database.rows(
            "SELECT strong, used, outcome, length(facts) FROM outcomes ORDER BY used, strong"
        ):
            try:
                blobs = frozenset(contents(unpack_outcome(strong, packed)))
            except DamagedRow:
                blobs = frozenset()
            size = len(packed) + int(facts) + _ROW
            records.append(_Evictable(strong, int(used), size, blobs))
            self._refer(blobs, 1)
        for (packed,) in self._database.rows("SELECT call FROM calls"):
            try:
                self._refer((call_environment(packed),), 1)
            except DamagedRow:
                continue
        return records

    def _refer(self, blobs: Iterable[Digest], by: int) -> None:
        for digest in blobs:
            self._references[digest] = self._references.get(digest, 0) + by

    def _unused(self, fresh: int) -> set[Digest]:
        """Blobs that nothing refers to and that no session can be about to refer to."""
        old_rows = {
            digest
            for (digest,) in self._database.rows(
                "SELECT digest FROM blobs WHERE put < ?", (fresh // 10**9,)
            )
        }
        found = {digest for digest in old_rows if not self._references.get(digest)}
        for digest in self._files:
            if not self._references.get(digest) and self._old_files(digest, fresh):
                found.add(digest)
        return found

    def _unreferenced(self, victims: list[_Evictable]) -> set[Digest]:
        """Of their contents, those that no other record refers to."""
        blobs = (digest for victim in victims for digest in victim.blobs)
        return {digest for digest in blobs if not self._references.get(digest)}

    def _size(self, digest: Digest) -> int:
        if digest in self._files:
            return self._files[digest]
        return self._rows.get(digest, 0)

    # ---- records

    def _choose(self, records: list[_Evictable]) -> tuple[list[_Evictable], int]:
        """The records to remove, and the last use of the youngest removed for want of room."""
        report = self._report
        goal = self._max_size
        if report.size_after > goal:
            goal = int(goal * _ROOM)
        horizon = 0
        victims = []
        for record in records:
            if record.used >= self._older_than:
                if report.size_after <= goal:
                    break
                horizon = record.used
            victims.append(record)
            self._refer(record.blobs, -1)
            report.size_after -= record.size + sum(
                self._size(digest) for digest in record.blobs if not self._references[digest]
            )
        report.records = len(victims)
        return victims, horizon

    def _evict(self, victims: list[_Evictable]) -> None:
        for at in range(0, len(victims), _BATCH):
            with self._database:
                for victim in victims[at : at + _BATCH]:
                    gone = self._database.row(
                        "DELETE FROM outcomes WHERE strong = ? AND used = ? RETURNING 1",
                        (victim.strong, victim.used),
                    )
                    if gone is None:  # used again, just now
                        self._refer(victim.blobs, 1)
                        self._report.records -= 1

    def _forget(self, horizon: int) -> None:
        """Removes what is about records that are gone, and notes that are as old as those."""
        change = self._database.change
        change("DELETE FROM withdrawn WHERE seen < ?", (horizon,))
        change("DELETE FROM uncacheable WHERE seen < ?", (horizon,))
        change(
            "DELETE FROM lookups WHERE (weak, path_set) NOT IN"
            " (SELECT weak, path_set FROM outcomes)"
        )
        change("DELETE FROM path_sets WHERE digest NOT IN (SELECT path_set FROM lookups)")
        change(
            "DELETE FROM calls WHERE weak NOT IN (SELECT weak FROM lookups"
            " UNION SELECT weak FROM withdrawn UNION SELECT weak FROM uncacheable)"
        )

    # ---- contents

    def _remove_objects(self, unused: set[Digest], fresh: int) -> None:
        """Those that are files."""
        for digest in unused & self._files.keys():
            old = self._old_files(digest, fresh)
            removed = [self._dry_run or self._remove_file(path, fresh) for path in old]
            self._report.blobs += any(removed)

    def _remove_blobs(self, unused: set[Digest], fresh: int) -> None:
        self._remove_objects(unused, fresh)
        put = self._put_times() if self._dry_run else {}
        rows = [
            digest for digest in unused & self._rows.keys() if put.get(digest, 0) < fresh // 10**9
        ]
        if self._dry_run:
            self._report.blobs += len(rows)
            return
        for at in range(0, len(rows), _BATCH):
            with self._database:
                for digest in rows[at : at + _BATCH]:
                    gone = self._database.row(
                        "DELETE FROM blobs WHERE digest = ? AND put < ? RETURNING 1",
                        (digest, fresh // 10**9),
                    )
                    self._report.blobs += gone is not None

    def _old_files(self, digest: Digest, before: int) -> list[bytes]:
        return [path for path in self._store.blobs.objects.paths(digest) if _is_old(path, before)]

    def _put_times(self) -> dict[Digest, int]:
        rows = self._database.rows("SELECT digest, put FROM blobs")
        return {digest: int(put) for digest, put in rows}

    def _remove_file(self, path: bytes, fresh: int) -> bool:
        """Removes an object, unless it is put again at this moment: `Blobs` marks it as fresh
        first and then looks whether it is still there, we the other way round."""
        aside = b"%b/gc-%d" % (self._temporary, os.getpid())
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            return False
        if _is_old(aside, fresh):
            os.unlink(aside)
            return True
        os.rename(aside, path)
        return False

    def _remove_leftovers(self, before: int) -> None:
        """What no living session can have made."""
        for name in os.listdir(self._temporary):
            path = self._temporary + b"/" + name
            if _is_old(path, before):
                self._report.leftovers += 1
                if not self._dry_run:
                    os.unlink(path)
        use = _leave if self._dry_run else remove
        self._report.leftovers += abandoned(self._store.directory + RERUN, use)
        if not self._dry_run:
            self._report.leftovers += sweep(self._store.directory)

    def _compact(self) -> None:
        """Compresses what was too large for that when it was put, or older than that."""
        for digest in self._files:
            self._report.compressed += self._store.blobs.compact(digest)

    def _shrink(self) -> None:
        """Gives the index's free pages back, and notes how large the rest is."""
        database = self._database
        while free := database.number("PRAGMA freelist_count"):
            database.rows(f"PRAGMA incremental_vacuum({_PAGES})")
            if database.number("PRAGMA freelist_count") == free:
                break  # an index made before it could shrink
        database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        occupied = sum(_occupied(size) for _, size in self._store.blobs.objects.all())
        self._report.size_after = occupied + index_size(self._store)
        totals = Totals(self._store.directory)
        self._store.add_totals()
        sums = totals.total() or dict.fromkeys(COLUMNS, 0)
        totals.replace({**sums, "bytes stored": occupied})


def collect_if_over(store: Store, max_size: int | None = None) -> Report | None:
    """For the end of a recording: collects if the store has outgrown its limit (default: that of
    the configuration).

    Whether it has is known from the totals, without looking at the contents.  Raises StoreError.
    """
    if max_size is None:
        max_size = store.policy.max_size
    if max_size is None:
        max_size = DEFAULT_MAX_SIZE
    store.blobs.close()  # what was put is referred to by now
    store.add_totals()
    totals = Totals(store.directory)
    sums = totals.total()
    contents = 0 if sums is None else sums["bytes stored"]
    if sums is not None and totals.is_long():
        totals.replace(sums)
    if contents + index_size(store) <= max_size:
        return None
    return Collector(store, max_size).run_unless_running()


def index_size(store: Store) -> int:
    """Bytes of the index that are in use."""
    number = store.database.number
    pages = number("PRAGMA page_count") - number("PRAGMA freelist_count")
    return pages * number("PRAGMA page_size")


def _leave(path: bytes) -> None:
    """What a dry run does."""


def _is_old(path: bytes, before: int) -> bool:
    try:
        return os.stat(path).st_mtime_ns < before
    except FileNotFoundError:
        return False


def _occupied(size: int) -> int:
    """Bytes of disk for a file of that size."""
    return (size + _BLOCK - 1) // _BLOCK * _BLOCK
