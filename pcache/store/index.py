"""The index: from a call to its path sets, from a state of the inputs to an outcome.

Two phases (weak fingerprint -> path sets; strong fingerprint -> outcome), so that the cost of a
lookup depends on the number of facts and not on how many versions are stored.  Records appear whole
or not at all: SQLite in WAL mode, one transaction for each batch.
"""

from __future__ import annotations

import os
import time

from pcache.codec import DamagedRow, pack
from pcache.counters import Counters
from pcache.errors import DamagedBlob, StoreError
from pcache.linux.files import make_private_directory
from pcache.model import Call, Fact, PathSet, Uncacheable
from pcache.settings.rules import DEFAULT
from pcache.store.blobs import Blobs
from pcache.store.database import DamagedIndex, Database
from pcache.store.difference import difference
from pcache.store.digests import DigestCache
from pcache.store.fingerprint import decode_keys, encoded_path_set, environment, strong_fingerprint
from pcache.store.locks import Lock
from pcache.store.records import (
    call_environment,
    pack_call,
    pack_keys,
    pack_outcome,
    pack_values,
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

SCHEMA = 4
"""PRAGMA user_version: raise it with every change of the tables or of what rows mean."""

STORED, KNOWN, NONDETERMINISTIC = "stored", "known", "nondeterministic"
"""What `Store.add` answers."""

_BEYOND = b"\xff" * 17
"""After the beginning of a weak fingerprint: more than any goes on with."""

_FEW = 8
_ENVIRONMENTS_LIMIT = 64
_PATH_SETS_LIMIT = 64
_TOUCH_NS = 3600 * 10**9
"""Uses are noted to the hour, so that a replay that hits has nothing to write."""

_TABLES = """
CREATE TABLE calls (
    weak BLOB PRIMARY KEY, call BLOB NOT NULL, seen INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE path_sets (
    digest BLOB PRIMARY KEY, keys BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE lookups (
    weak BLOB NOT NULL, path_set BLOB NOT NULL, latest BLOB NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (weak, path_set)
) WITHOUT ROWID;
CREATE TABLE outcomes (
    strong BLOB PRIMARY KEY, weak BLOB NOT NULL, path_set BLOB NOT NULL, facts BLOB NOT NULL,
    outcome BLOB NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE withdrawn (
    strong BLOB PRIMARY KEY, weak BLOB NOT NULL, what TEXT NOT NULL, seen INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE uncacheable (
    weak BLOB NOT NULL, reason TEXT NOT NULL, evidence TEXT NOT NULL, seen INTEGER NOT NULL,
    PRIMARY KEY (weak, reason, evidence)
) WITHOUT ROWID;
CREATE TABLE blobs (
    digest BLOB PRIMARY KEY, data BLOB NOT NULL, put INTEGER NOT NULL
) WITHOUT ROWID;
"""


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
        self._environments: dict[tuple[int, tuple[bytes, ...], bytes, tuple[bytes, ...]], Digest]
        self._environments = {}
        """Rollbacks so far, environment, directory, names ignored -> digest of what was put."""
        self._path_sets: dict[Digest, PathSet] = {}
        """Those read last: many calls of one program have the same."""
        self._ahead: tuple[bytes, list[tuple[bytes, ...]]] | None = None
        """The beginning of weak fingerprints that was asked for last, and all their lookups."""
        self._used: dict[Digest, int] = {}
        self._touched: dict[Digest, int] = {}
        self._counted = counted(counters)

    @property
    def database(self) -> Database:
        """For the modules of this package."""
        return self._database

    @classmethod
    def open(
        cls,
        directory: bytes | str,
        create: bool = True,
        mend: bool = False,
        counters: Counters | None = None,
        policy: Policy = DEFAULT,
    ) -> Store:
        """Opens a store, making it if need be and `create`.

        `mend` first reads the whole index and, if it is damaged, sets it aside (index.db.damaged-N)
        and begins a new one: for use after a DamagedIndex.
        """
        path = os.path.abspath(os.fsencode(directory))
        try:
            _prepare_directory(path, create)
            if mend:
                _mend(path)
            database = _open_database(path)
        except OSError as error:
            raise StoreError(
                f"cannot open the store {os.fsdecode(path)}: {error.strerror}",
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
        """Stores a record whose blobs are stored already.

        "stored": it is new (or replaces a damaged one); "known": it was there; "nondeterministic":
        one with the same inputs and another effect was there, or had been: neither is kept, and
        what differed is.
        """
        values: dict[tuple[bytes, bytes], bytes] = {}
        for fact in record.facts:
            if values.setdefault((fact.kind, fact.path), fact.value) != fact.value:
                raise StoreError(f"contradictory facts about {os.fsdecode(fact.path)}")
        outcome, base = record.outcome, self.policy.base
        if base is not None:
            values = {
                base.hide_key(key): base.hide_value(key[0], value) for key, value in values.items()
            }
            outcome = base.hide_outcome(outcome)
        paths, encoded = encoded_path_set(values)
        ordered = [values[key] for key in paths.keys]
        strong = strong_fingerprint(record.weak, paths.digest, ordered)
        now = time.time_ns()
        if not self._database.in_transaction:
            self.blobs.flush()
        with self._database:
            self._add_call(record.call, record.weak, now)
            self._database.change("DELETE FROM uncacheable WHERE weak = ?", (record.weak,))
            answer = self._compare(strong, outcome)
            if isinstance(answer, str):
                self._withdraw(strong, record.weak, answer, now)
                self.counters.inc("records non-deterministic")
                return NONDETERMINISTIC
            self._add_path_set(paths.digest, encoded)
            if answer is None:
                self._database.change(
                    "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        strong,
                        record.weak,
                        paths.digest,
                        pack_values(strong, ordered),
                        pack_outcome(strong, outcome),
                        now,
                    ),
                )
            else:
                # Told apart from a record that nobody uses, so that the collector spares it.
                self._database.change(
                    "UPDATE outcomes SET used = ? WHERE strong = ?", (now, strong)
                )
            self._database.change(
                "INSERT OR REPLACE INTO lookups VALUES (?, ?, ?, ?)",
                (record.weak, paths.digest, strong, now),
            )
        self.counters.inc("records known" if answer else "records stored")
        return KNOWN if answer else STORED

    def add_uncacheable(self, call: Call, weak: Digest, reasons: Iterable[Uncacheable]) -> None:
        """Notes why an execution may not be stored, in place of what was noted before."""
        now = time.time_ns()
        with self._database:
            self._add_call(call, weak, now)
            self._database.change("DELETE FROM uncacheable WHERE weak = ?", (weak,))
            for reason in reasons:
                self._database.change(
                    "INSERT OR REPLACE INTO uncacheable VALUES (?, ?, ?, ?)",
                    (weak, reason.reason, reason.evidence, now),
                )

    def touch(self, strong: Digest) -> None:
        """Notes that an outcome was used; written when the store is closed."""
        now = time.time_ns()
        if now - self._used.get(strong, 0) > _TOUCH_NS:
            self._touched[strong] = now

    def quarantine(self, weak: Digest, what: str) -> None:
        """Withdraws all outcomes of a call: one was seen to differ (`what`) from what a run over
        the same inputs does."""
        now = time.time_ns()
        with self._database:
            for (strong,) in self._database.rows(
                "SELECT strong FROM outcomes WHERE weak = ?", (weak,)
            ):
                self._withdraw(strong, weak, what, now)

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

    def _compare(self, strong: Digest, outcome: Outcome) -> bool | str | None:
        """How a new outcome relates to what is stored under its fingerprint: None if nothing
        (undamaged) is, True if the same, a text with what differs if it contradicts it."""
        what = self.withdrawn(strong)
        if what is not None:
            return what
        row = self._database.row("SELECT outcome, facts FROM outcomes WHERE strong = ?", (strong,))
        if row is None:
            return None
        try:
            unpack_values(strong, row[1])
            return difference(unpack_outcome(strong, row[0]), outcome, self.blobs) or True
        except (DamagedRow, DamagedBlob):
            return None

    def _withdraw(self, strong: Digest, weak: Digest, what: str, now: int) -> None:
        self._database.change("DELETE FROM outcomes WHERE strong = ?", (strong,))
        self._database.change(
            "INSERT OR REPLACE INTO withdrawn VALUES (?, ?, ?, ?)", (strong, weak, what, now)
        )

    def _add_call(self, call: Call, weak: Digest, now: int) -> None:
        packed = pack_call(call, self._put_environment(call))
        row = self._database.row("SELECT call, seen FROM calls WHERE weak = ?", (weak,))
        if row is None or row[0] != packed or now - int(row[1]) > _TOUCH_NS:
            self._database.change(
                "INSERT OR REPLACE INTO calls VALUES (?, ?, ?)", (weak, packed, now)
            )

    def _put_environment(self, call: Call) -> Digest:
        """Stores the environment of a call; the same one only once, as nothing that was put goes
        before the store is closed."""
        ignored = self.policy.settings(call.executable).ignore_env
        key = (self._database.rollbacks, call.env, call.cwd, ignored)
        digest = self._environments.get(key)
        if digest is None:
            if len(self._environments) >= _ENVIRONMENTS_LIMIT:
                self._environments.clear()
            digest = self.blobs.put_bytes(pack(environment(call.env, call.cwd, ignored)))
            self._environments[key] = digest
        return digest

    def _add_path_set(self, digest: Digest, encoded: bytes) -> None:
        row = self._database.row("SELECT keys FROM path_sets WHERE digest = ?", (digest,))
        try:
            if row is not None:
                unpack_keys(digest, row[0])
                return
        except DamagedRow:
            pass
        keys = pack_keys(encoded, self.policy.compress)
        self._database.change("INSERT OR REPLACE INTO path_sets VALUES (?, ?)", (digest, keys))


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
    if create:
        for name in (b"/objects", b"/tmp"):
            if not os.path.isdir(path + name):
                make_private_directory(path + name)


def _open_database(path: bytes) -> Database:
    database = Database(path + b"/index.db")
    try:
        version = database.number("PRAGMA user_version")
        if version == 0:
            with Lock(path):
                version = database.number("PRAGMA user_version") or _make_tables(database)
        if version != SCHEMA:
            raise StoreError(
                f"the store {os.fsdecode(path)} was written by another version of pcache"
                f" (schema {version}, not {SCHEMA})",
                "use that version, choose another place with XDG_CACHE_HOME, or remove the store",
            )
        # Nothing is lost by a power failure but the last records; the database stays sound.
        database.change("PRAGMA synchronous = NORMAL")
    except BaseException:
        database.close()
        raise
    return database


def _make_tables(database: Database) -> int:
    # Only an empty database takes this; it lets the file shrink when records are removed.
    database.change("PRAGMA auto_vacuum = INCREMENTAL")
    database.change("PRAGMA journal_mode = WAL")
    with database:
        for statement in _TABLES.split(";")[:-1]:
            database.change(statement)
        database.change(f"PRAGMA user_version = {SCHEMA}")
    return SCHEMA


def _mend(path: bytes) -> None:
    """Sets a damaged index aside.  One process at a time; a second finds the new, sound one."""
    index = path + b"/index.db"
    with Lock(path):
        if _is_sound(index):
            return
        number = 1
        while os.path.lexists(b"%b.damaged-%d" % (index, number)):
            number += 1
        for suffix in (b"-wal", b"-shm", b""):
            try:
                os.rename(index + suffix, b"%b.damaged-%d%b" % (index, number, suffix))
            except FileNotFoundError:
                continue


def _is_sound(index: bytes) -> bool:
    try:
        database = Database(index)
    except DamagedIndex:
        return False
    try:
        if database.number("PRAGMA user_version") == 0:
            return True
        tables = database.number(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        return tables == _TABLES.count("CREATE TABLE") and not database.number(
            "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"
        )
    except DamagedIndex:
        return False
    finally:
        database.close()
