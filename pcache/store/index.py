"""The index: from a call to its path sets, from a state of the inputs to an outcome.

Two phases (weak fingerprint -> path sets; strong fingerprint -> outcome), so that the cost of a
lookup depends on the number of facts and not on how many versions are stored.  Records appear whole
or not at all: SQLite in WAL mode, one transaction for each batch.
"""

from __future__ import annotations

import os
import time

from pcache.codec import DamagedRow
from pcache.counters import Counters
from pcache.errors import NoStore, StoreError
from pcache.linux.files import make_private_directory
from pcache.model import Call, Fact, PathSet, Uncacheable
from pcache.settings.rules import DEFAULT
from pcache.store.blobs import Blobs
from pcache.store.database import SCHEMA, DamagedIndex, Database, NoRoom, OutdatedIndex
from pcache.store.digests import DigestCache
from pcache.store.fingerprint import decode_keys, strong_fingerprint
from pcache.store.records import (
    call_environment,
    unpack_call,
    unpack_keys,
    unpack_outcome,
    unpack_values,
)
from pcache.store.totals import Totals, counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from pcache.model import Digest, Key, Outcome, Record
    from pcache.settings.rules import Policy
    from pcache.store.record_writer import RecordWriter

_BEYOND = b"\xff" * 17
"""After the beginning of a weak fingerprint: more than any goes on with."""

_FEW = 8
_OF_OTHERS = 0o077
_PATH_SETS_LIMIT = 64
_TOUCH_NS = 3600 * 10**9
"""Uses are noted to the hour, so that a replay that hits has nothing to write."""


class Store:
    """One store directory.  Every method raises StoreError when the store cannot do its part.

    A store belongs to one user, whose processes alone open it; any number of them at once.  Do not
    carry an open store across fork(2): SQLite forbids it.
    """

    def __init__(
        self,
        directory: bytes,
        database: Database,
        counters: Counters,
        policy: Policy = DEFAULT,
    ) -> None:
        self.directory = directory
        self.counters = counters
        self.policy = policy
        """By which calls are told apart and executions recorded."""
        self.blobs = Blobs(directory, database, counters, policy.compress)
        self._database = database
        self._digests: DigestCache | None = None
        self._writer: RecordWriter | None = None
        self._path_sets: dict[Digest, PathSet] = {}
        """Those read last: many calls of one program have the same."""
        self._ahead: tuple[bytes, list[tuple[bytes, ...]]] | None = None
        """The beginning of weak fingerprints that was asked for last, and all their lookups."""
        self._used: dict[Digest, int] = {}
        self._touched: dict[Digest, int] = {}
        self._counted = counted(counters)
        self.met: dict[Digest, None] = {}
        """Strong fingerprints of the records that this session made or used."""

    @property
    def database(self) -> Database:
        """For the modules of this package."""
        return self._database

    @classmethod
    def open(
        cls,
        directory: bytes | str,
        create: bool = True,
        counters: Counters | None = None,
        policy: Policy = DEFAULT,
    ) -> Store:
        """Opens a store, making it if need be and `create`."""
        path = os.path.abspath(os.fsencode(directory))
        try:
            _prepare_directory(path, create)
            database = _open_database(path)
        except OSError as error:
            kind = NoStore if isinstance(error, FileNotFoundError) else StoreError
            raise kind(
                f"cannot open the store {os.fsdecode(error.filename or path)}: {error.strerror}",
                "make it writable, or choose another place with XDG_CACHE_HOME",
            ) from error
        return cls(path, database, Counters() if counters is None else counters, policy)

    def close(self) -> None:
        """Notes what was used, and closes.  That it cannot be noted is no error."""
        try:
            self._note_touched()
        except StoreError:
            self._touched.clear()
        self.blobs.close()
        self.add_totals()
        if self._digests is not None:
            self._digests.close()
        self._database.close()

    def add_totals(self) -> None:
        """Adds what this session did so far to what all did."""
        Totals(self.directory).add(self._counted, self.counters)
        self._counted = counted(self.counters)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def digests(self) -> DigestCache:
        """The remembered digests of files, kept beside the index in a database of their own."""
        if self._digests is None:
            self._digests = DigestCache(self.directory + b"/digests.db", self.counters)
        return self._digests

    def batch(self) -> Database:
        """`with store.batch():` makes everything within it appear together, or, after an exception,
        not at all.  Other writers wait meanwhile: put large files before.  Raises StoreError."""
        self.blobs.flush()
        return self._database

    def knows(self, arguments: bytes) -> bool:
        """Whether there are records of calls whose weak fingerprint begins like this.

        If they are few, it need not be asked again which, should they be looked up next.
        """
        found = self._database.rows(
            "SELECT weak, path_set, used FROM lookups WHERE weak >= ? AND weak < ? LIMIT ?",
            (arguments, arguments + _BEYOND, _FEW + 1),
        )
        self._ahead = (arguments, found) if len(found) <= _FEW else None
        return bool(found)

    def path_sets(self, weak: Digest) -> list[PathSet]:
        """The path sets recorded for a call, the most recently used first."""
        return list(self.each_path_set(weak))

    def each_path_set(self, weak: Digest) -> Iterator[PathSet]:
        """The same one by one: each is only read when it is asked for."""
        for digest in self._looked_up(weak):
            known = self._path_sets.get(digest)
            if known is not None:
                yield known
                continue
            row = self._database.row("SELECT keys FROM path_sets WHERE digest = ?", (digest,))
            if row is None:
                continue  # collected meanwhile
            try:
                keys = self.keys(digest, row[0])
            except DamagedRow:
                self.counters.inc("rows damaged")
                continue
            if len(self._path_sets) >= _PATH_SETS_LIMIT:
                self._path_sets.clear()
            known = self._path_sets[digest] = PathSet(digest, keys)
            yield known

    def _looked_up(self, weak: Digest) -> list[Digest]:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and weak.startswith(ahead[0]):
            found = [(used, digest) for call, digest, used in ahead[1] if call == weak]
            found.sort(reverse=True)
            return [digest for _, digest in found]
        return [
            digest
            for (digest,) in self._database.rows(
                "SELECT path_set FROM lookups WHERE weak = ? ORDER BY used DESC", (weak,)
            )
        ]

    def outcome(self, strong: Digest) -> Outcome | None:
        """The outcome for a state of the inputs.  Raises DamagedRow."""
        row = self._database.row("SELECT outcome, used FROM outcomes WHERE strong = ?", (strong,))
        if row is None:
            return None
        try:
            outcome = self.unpacked(strong, row[0])
        except DamagedRow:
            self.counters.inc("rows damaged")
            raise
        self._used[strong] = int(row[1])
        return outcome

    def withdrawn(self, strong: Digest) -> str | None:
        """What differed, if recordings with these inputs contradicted each other."""
        row = self._database.row("SELECT what FROM withdrawn WHERE strong = ?", (strong,))
        return None if row is None else str(row[0])

    def latest_facts(self, weak: Digest, paths: PathSet) -> list[Fact]:
        """The facts of the version last recorded or used, to tell users what has changed since."""
        row = self._database.row(
            "SELECT o.strong, o.facts FROM lookups AS l JOIN outcomes AS o ON o.strong = l.latest"
            " WHERE l.weak = ? AND l.path_set = ?",
            (weak, paths.digest),
        )
        if row is None:
            return []
        return self.facts(paths.keys, unpack_values(row[0], row[1]))

    def keys(self, digest: Digest, stored: bytes) -> tuple[Key, ...]:
        """The keys of a stored path set.  Raises DamagedRow."""
        keys, base = decode_keys(unpack_keys(digest, stored)), self.policy.base
        return keys if base is None else tuple(map(base.show_key, keys))

    def facts(self, keys: Sequence[Key], values: Sequence[bytes]) -> list[Fact]:
        """The facts of a record, from what `keys` gives and stored values."""
        base = self.policy.base
        pairs = zip(keys, values, strict=True)
        if base is None:
            return [Fact(kind, path, value) for (kind, path), value in pairs]
        return [Fact(kind, path, base.show_value(kind, value)) for (kind, path), value in pairs]

    def unpacked(self, strong: Digest, packed: bytes) -> Outcome:
        """A stored outcome.  Raises DamagedRow."""
        outcome, base = unpack_outcome(strong, packed), self.policy.base
        return outcome if base is None else base.show_outcome(outcome)

    def strong_fingerprint(self, weak: Digest, paths: PathSet, values: Sequence[bytes]) -> Digest:
        """Digest of the call and the state of its inputs, as `Facts.evaluate` gives the values."""
        return strong_fingerprint(weak, paths.digest, self._hidden(paths.keys, values))

    def _hidden(self, keys: Sequence[Key], values: Sequence[bytes]) -> Sequence[bytes]:
        base = self.policy.base
        if base is None:
            return values
        return [base.hide_value(kind, value) for (kind, _), value in zip(keys, values, strict=True)]

    def call(self, weak: Digest) -> Call | None:
        """The call with a fingerprint, its environment as `fingerprint.environment` leaves it."""
        row = self._database.row("SELECT call FROM calls WHERE weak = ?", (weak,))
        if row is None:
            return None
        return unpack_call(row[0], self.blobs.get_bytes(call_environment(row[0])))

    def uncacheable(self, weak: Digest) -> list[Uncacheable]:
        """Why the last execution of a call could not be stored."""
        return [
            Uncacheable(str(reason), str(evidence))
            for reason, evidence in self._database.rows(
                "SELECT reason, evidence FROM uncacheable WHERE weak = ?", (weak,)
            )
        ]

    def add(self, record: Record) -> str:
        """Stores a record whose blobs are stored already: `RecordWriter.add`."""
        return self._record_writer().add(record)

    @property
    def added(self) -> Digest:
        """The strong fingerprint of the record that was added last."""
        return self._record_writer().strong

    def add_uncacheable(self, call: Call, weak: Digest, reasons: Iterable[Uncacheable]) -> None:
        """Notes why an execution may not be stored, in place of what was noted before."""
        self._record_writer().add_uncacheable(call, weak, reasons)

    def quarantine(self, weak: Digest, what: str) -> None:
        """Withdraws all outcomes of a call: one was seen to differ (`what`) from what a run over
        the same inputs does."""
        self._record_writer().quarantine(weak, what)

    def _record_writer(self) -> RecordWriter:
        if self._writer is None:
            from pcache.store.record_writer import RecordWriter
            from pcache.store.secrets import Secrets

            self._writer = RecordWriter(
                self.blobs,
                self._database,
                self.counters,
                self.policy,
                Secrets(self.directory, self.policy.secret_env),
                self.met,
            )
        return self._writer

    def touch(self, strong: Digest) -> None:
        """Notes that an outcome was used; written when the store is closed."""
        self.met[strong] = None
        now = time.time_ns()
        if now - self._used.get(strong, 0) > _TOUCH_NS:
            self._touched[strong] = now

    def _note_touched(self) -> None:
        if not self._touched:
            return
        with self._database:
            for strong, now in self._touched.items():
                self._database.change(
                    "UPDATE outcomes SET used = ? WHERE strong = ?", (now, strong)
                )
                self._database.change(
                    "UPDATE lookups SET used = ?1, latest = ?2 WHERE (weak, path_set) ="
                    " (SELECT weak, path_set FROM outcomes WHERE strong = ?2)",
                    (now, strong),
                )
        self._touched.clear()


def _prepare_directory(path: bytes, create: bool) -> None:
    if create and not os.path.isdir(path):
        missing = []
        above = path
        while not os.path.isdir(above):
            missing.append(above)
            above = os.path.dirname(above)
        for directory in reversed(missing):
            make_private_directory(directory)
    st = os.stat(path)
    if st.st_uid != os.geteuid():
        # Files made by another user (root, above all) would lock the owner out of it.
        raise StoreError(
            f"the store {os.fsdecode(path)} belongs to another user (uid {st.st_uid})",
            "run pcache as that user, or choose another place with XDG_CACHE_HOME",
        )
    if st.st_mode & _OF_OTHERS:
        # Whoever writes it decides what is put in place; whoever reads it sees all that ran.
        raise StoreError(
            f"the store {os.fsdecode(path)} is open to others (mode {st.st_mode & 0o7777:o})",
            f"if nobody else has written there: chmod 700 {os.fsdecode(path)}; else remove it",
        )
    if create:
        for name in (b"/objects", b"/tmp"):
            if not os.path.isdir(path + name):
                make_private_directory(path + name)


def _open_database(path: bytes) -> Database:
    index = path + b"/index.db"
    try:
        return _checked(path, Database(index))
    except NoRoom:
        return _checked(path, Database(index, alone=True))


def _checked(path: bytes, database: Database) -> Database:
    """The index of the store at `path`, made if there is none.  Closed if there is something wrong
    with it."""
    try:
        # What others may have put into the schema has no effect on its own.
        database.change("PRAGMA trusted_schema = OFF")
        if database.has_code():
            raise DamagedIndex(
                f"the index of the store is not one of pcache's: {os.fsdecode(path)}/index.db has"
                " views or triggers",
                "trace and run set it aside and begin a new one",
            )
        version = database.number("PRAGMA user_version")
        if version == 0:
            from pcache.store.setup import make_index

            version = make_index(path, database)
        if version < SCHEMA:
            raise OutdatedIndex(
                f"the store {os.fsdecode(path)} was written by an earlier version of pcache"
                f" (schema {version}, not {SCHEMA})",
                "trace and run begin a new one in its place",
            )
        if version != SCHEMA:
            raise StoreError(
                f"the store {os.fsdecode(path)} was written by a later version of pcache"
                f" (schema {version}, not {SCHEMA})",
                "use that version, choose another place with XDG_CACHE_HOME, or remove the store",
            )
        # Nothing is lost by a power failure but the last records; the database stays sound.
        database.change("PRAGMA synchronous = NORMAL")
    except BaseException:
        database.close()
        raise
    return database
