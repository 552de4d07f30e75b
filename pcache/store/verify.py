"""Whether everything in a store is as it was written.  Reads all of it, and changes nothing.

Others may record and collect meanwhile: what seems to be damaged is read once more, as it is then.
"""

from __future__ import annotations

from pcache.codec import DamagedRow
from pcache.errors import DamagedBlob
from pcache.store.fingerprint import decode_keys, strong_fingerprint
from pcache.store.index import Store
from pcache.store.records import (
    call_environment,
    contents,
    unpack_call,
    unpack_keys,
    unpack_outcome,
    unpack_values,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.model import Digest
    from pcache.store.database import Row

_PATH_SETS = "SELECT digest, CAST(keys AS BLOB) FROM path_sets"
_RECORDS = "SELECT strong, weak, path_set, facts, outcome FROM outcomes"


class Report:
    """What was read, and what is wrong with it, in words."""

    def __init__(self) -> None:
        self.contents = 0
        self.bytes = 0
        self.calls = 0
        self.records = 0
        self.faults: list[str] = []


class Verifier:
    """Reads one store.  Raises StoreError if its index cannot be read at all."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._report = Report()
        self._sound: set[Digest] = set()
        """Contents that are there, and what their name promises."""

    def run(self) -> Report:
        """Reads everything."""
        self._check_database()
        self._check_contents()
        self._check_calls()
        self._check_records(self._path_sets())
        return self._report

    def _fault(self, text: str) -> None:
        self._report.faults.append(text)

    def _check_database(self) -> None:
        for (text,) in self._store.database.rows("PRAGMA integrity_check"):
            if str(text) != "ok":
                self._fault(f"index: {text!s}")

    def _check_contents(self) -> None:
        rows = self._store.database.rows("SELECT digest FROM blobs")
        objects = [digest for digest, _ in self._store.blobs.objects.all()]
        for digest in (*[digest for (digest,) in rows], *objects):
            try:
                size = self._verified(digest)
            except DamagedBlob as error:
                if self._store.blobs.has(digest):  # else collected meanwhile
                    self._fault(str(error))
                continue
            self._report.contents += 1
            self._report.bytes += size
            self._sound.add(digest)

    def _verified(self, digest: Digest) -> int:
        """Raises DamagedBlob."""
        try:
            return self._store.blobs.verify(digest)
        except DamagedBlob:
            return self._store.blobs.verify(digest)  # it may just have been compressed

    def _check_calls(self) -> None:
        for weak, packed in self._store.database.rows("SELECT weak, call FROM calls"):
            self._report.calls += 1
            if self._fault_of_call(packed):
                now = self._store.database.row("SELECT call FROM calls WHERE weak = ?", (weak,))
                if now is not None and (text := self._fault_of_call(*now)):
                    self._fault(f"call {weak.hex()}: {text}")

    def _fault_of_call(self, packed: bytes) -> str:
        try:
            unpack_call(packed, self._store.blobs.get_bytes(call_environment(packed)))
        except (DamagedRow, DamagedBlob) as error:
            return str(error)
        return ""

    def _path_sets(self) -> dict[Digest, int]:
        """How many keys each sound path set has."""
        found = {}
        for digest, keys in self._store.database.rows(_PATH_SETS):
            try:
                found[digest] = len(decode_keys(unpack_keys(digest, keys)))
            except DamagedRow as error:
                self._fault(f"path set {digest.hex()}: {error}")
        return found

    def _check_records(self, path_sets: dict[Digest, int]) -> None:
        for row in self._store.database.rows(_RECORDS):
            self._report.records += 1
            if self._fault_of_record(row, path_sets):
                strong = row[0]
                now = self._store.database.row(f"{_RECORDS} WHERE strong = ?", (strong,))
                if now is not None and (text := self._fault_of_record(now, self._path_set(now))):
                    self._fault(f"record {strong.hex()}: {text}")

    def _path_set(self, row: Row) -> dict[Digest, int]:
        """That of a record: it may be newer than those that were read together."""
        digest = row[2]
        keys = self._store.database.row(f"{_PATH_SETS} WHERE digest = ?", (digest,))
        try:
            return {} if keys is None else {digest: len(decode_keys(unpack_keys(*keys)))}
        except DamagedRow:
            return {}

    def _fault_of_record(self, row: Row, path_sets: dict[Digest, int]) -> str:
        strong, weak, paths, facts, packed = row
        try:
            values = unpack_values(strong, facts)
            if strong_fingerprint(weak, paths, values) != strong:
                return "its facts do not give its fingerprint"
            if path_sets.get(paths) != len(values):
                return "its set of paths is missing or damaged"
            for digest in contents(unpack_outcome(strong, packed)):
                if digest not in self._sound and not self._store.blobs.has(digest):
                    return f"a content is missing ({digest.hex()})"
        except DamagedRow as error:
            return str(error)
        return ""
