"""Recording: how records enter the index, and leave it when they contradict each other."""

from __future__ import annotations

import os
import time

from pcache.codec import DamagedRow, pack
from pcache.errors import DamagedBlob, StoreError
from pcache.store.difference import difference
from pcache.store.fingerprint import encoded_path_set, environment, strong_fingerprint
from pcache.store.records import (
    pack_call,
    pack_keys,
    pack_outcome,
    pack_values,
    unpack_keys,
    unpack_outcome,
    unpack_values,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pcache.counters import Counters
    from pcache.model import Call, Digest, Outcome, Record, Uncacheable
    from pcache.settings.rules import Policy
    from pcache.store.blobs import Blobs
    from pcache.store.database import Database
    from pcache.store.secrets import Secrets

STORED, KNOWN, NONDETERMINISTIC = "stored", "known", "nondeterministic"
"""What `RecordWriter.add` answers."""

_ENVIRONMENTS_LIMIT = 64
_NOTED_NS = 3600 * 10**9
"""That a call was seen is noted to the hour."""


class RecordWriter:
    """What writes records into an index.  Raises StoreError when the store cannot do its part."""

    def __init__(
        self,
        blobs: Blobs,
        database: Database,
        counters: Counters,
        policy: Policy,
        secrets: Secrets,
        met: dict[Digest, None],
    ) -> None:
        """`met`: where the strong fingerprints of what is added are noted."""
        self._blobs = blobs
        self._database = database
        self._counters = counters
        self._policy = policy
        self._secrets = secrets
        self._met = met
        self._environments: dict[tuple[int, tuple[bytes, ...], tuple[bytes, ...]], Digest]
        self._environments = {}
        """Rollbacks so far, environment, directory, names ignored -> digest of what was put."""
        self.strong: Digest = b""
        """The strong fingerprint of the record that was added last."""

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
        outcome, base = record.outcome, self._policy.base
        if base is not None:
            values = {
                base.hide_key(key): base.hide_value(key[0], value) for key, value in values.items()
            }
            outcome = base.hide_outcome(outcome)
        paths, encoded = encoded_path_set(values)
        ordered = [values[key] for key in paths.keys]
        self.strong = strong = strong_fingerprint(record.weak, paths.digest, ordered)
        now = time.time_ns()
        if not self._database.in_transaction:
            self._blobs.flush()
        with self._database:
            self._add_call(record.call, record.weak, now)
            self._database.change("DELETE FROM uncacheable WHERE weak = ?", (record.weak,))
            answer = self._compare(strong, outcome)
            if isinstance(answer, str):
                self._withdraw(strong, record.weak, answer, now)
                self._counters.inc("records non-deterministic")
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
        self._met[strong] = None
        self._counters.inc("records known" if answer else "records stored")
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

    def quarantine(self, weak: Digest, what: str) -> None:
        """Withdraws all outcomes of a call: one was seen to differ (`what`) from what a run over
        the same inputs does."""
        now = time.time_ns()
        with self._database:
            for (strong,) in self._database.rows(
                "SELECT strong FROM outcomes WHERE weak = ?", (weak,)
            ):
                self._withdraw(strong, weak, what, now)

    def _compare(self, strong: Digest, outcome: Outcome) -> bool | str | None:
        """How a new outcome relates to what is stored under its fingerprint: None if nothing
        (undamaged) is, True if the same, a text with what differs if it contradicts it."""
        row = self._database.row("SELECT what FROM withdrawn WHERE strong = ?", (strong,))
        if row is not None:
            return str(row[0])
        row = self._database.row("SELECT outcome, facts FROM outcomes WHERE strong = ?", (strong,))
        if row is None:
            return None
        try:
            unpack_values(strong, row[1])
            return difference(unpack_outcome(strong, row[0]), outcome, self._blobs) or True
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
        if row is None or row[0] != packed or now - int(row[1]) > _NOTED_NS:
            self._database.change(
                "INSERT OR REPLACE INTO calls VALUES (?, ?, ?)", (weak, packed, now)
            )

    def _put_environment(self, call: Call) -> Digest:
        """Stores the environment of a call; the same one only once, as nothing that was put goes
        before the store is closed."""
        ignored = self._policy.settings(call.executable, call.argv).ignore_env
        key = (self._database.rollbacks, call.env, ignored)
        digest = self._environments.get(key)
        if digest is None:
            if len(self._environments) >= _ENVIRONMENTS_LIMIT:
                self._environments.clear()
            digest = self._blobs.put_bytes(pack(self._secrets.hide(environment(call.env, ignored))))
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
        keys = pack_keys(encoded, self._policy.compress)
        self._database.change("INSERT OR REPLACE INTO path_sets VALUES (?, ?)", (digest, keys))
