"""Giving records to others: what, in which order, and what stays here.

Contents go first, then path sets and outcomes, manifests last: what is found is whole.  What is
there already is not sent again, so that a push that was interrupted goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from pcache.remote.errors import RemoteError
from pcache.remote.forms import encode_manifest
from pcache.remote.known import Known
from pcache.remote.names import command_name
from pcache.remote.translate import NotShared, Translated, Translator
from pcache.remote.trust import MANIFEST, OUTCOME, PATH_SET, Signer
from pcache.sha256 import sha256_digest
from pcache.store.index import Store
from pcache.store.inspect import Stored, record
from pcache.wording import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.model import Call, Digest
    from pcache.remote.names import Name
    from pcache.remote.shelf import Shelf

_PARALLEL = 8
_IN_MEMORY = 8 << 20
_ASKED_FIRST = 1 << 16
"""Bytes of a content from which on it is asked whether it is there."""
_SMALL = 1 << 18
"""Bytes of contents that are part of a manifest."""
_RECORD, _CONTENT, _SETS = b"r", b"c", b"p"


class Report:
    """What was pushed, or would be."""

    def __init__(self) -> None:
        self.records = 0
        self.known = 0
        """Records that were there already, as far as we remember."""
        self.contents = 0
        self.bytes = 0
        self.manifests = 0
        self.kept: list[tuple[bytes, str]] = []
        """Command line and reason of what stays here."""


class Pusher:
    """Raises Unreachable or Forbidden when the store cannot be written."""

    def __init__(
        self,
        store: Store,
        translator: Translator,
        known: Known,
        shelf: Shelf | None,
        signer: Signer | None,
        tell: Callable[[str], None],
    ) -> None:
        """`shelf` and `signer` None: a dry run.  `tell` is given a line for each record."""
        self._store = store
        self._translator = translator
        self._known = known
        self._shelf = shelf
        self._signer = signer
        self._tell = tell
        self._translated: dict[Digest, Translated | None] = {}
        self._noted: set[tuple[bytes, Name]] = set()
        """What was pushed, or would have been, by this one."""
        self.report = Report()

    def records(self, records: Iterable[Stored]) -> None:
        """Pushes single records."""
        with ThreadPoolExecutor(_PARALLEL) as pool:
            for stored in records:
                if self._is_pushed(_RECORD, stored.strong):
                    self.report.known += 1
                    continue
                translated = self._translate(stored)
                if translated is not None:
                    self._push(translated, pool)
                    self._note(_RECORD, stored.strong)

    def command(self, weak: Digest, records: Iterable[Digest]) -> None:
        """Pushes the manifest of a command, whose records have been pushed."""
        call = self._store.call(weak)
        if call is None:
            return
        found = []
        for strong in records:
            stored = record(self._store, strong)
            translated = self._translate(stored) if stored is not None else None
            if translated is not None:
                found.append(translated)
        if not found:
            return
        entries = [(one.call, one.facts, one.outcome) for one in found]
        command = command_name(call, self._translator.places)
        parts = self._translator.about(call)
        data = encode_manifest(command, parts, entries, self._small(call, found))
        name = sha256_digest(data)
        if self._is_pushed(_SETS, name):
            return
        if self._shelf is not None and self._signer is not None:
            self._shelf.add_manifest(command, self._signer.sign(MANIFEST, data))
        self._note(_SETS, name)
        self.report.manifests += 1

    def _small(self, call: Call, records: Iterable[Translated]) -> Iterator[bytes]:
        """What is small of the contents of the command itself."""
        name, left = self._translator.call_name(call), _SMALL
        for one in records:
            if one.call == name:
                for digest, size in one.contents.values():
                    if size <= left:
                        left -= size
                        yield self._store.blobs.get_bytes(digest)

    def _translate(self, stored: Stored) -> Translated | None:
        if stored.strong not in self._translated:
            try:
                self._translated[stored.strong] = self._translator.translate(stored)
            except NotShared as error:
                self._translated[stored.strong] = None
                call = self._store.call(stored.weak)
                label = b" ".join(call.argv) if call is not None else b"?"
                self.report.kept.append((label, str(error)))
        return self._translated[stored.strong]

    def _push(self, translated: Translated, pool: ThreadPoolExecutor) -> None:
        new = [
            (name, digest, size)
            for name, (digest, size) in translated.contents.items()
            if not self._is_pushed(_CONTENT, name)
        ]
        shelf, signer = self._shelf, self._signer
        if shelf is not None and signer is not None:
            jobs = [
                pool.submit(self._push_content, shelf, name, self._content(digest, size), size)
                for name, digest, size in new
            ]
            errors = [error for job in jobs if isinstance(error := job.exception(), RemoteError)]
            if errors:
                raise errors[0]
            for job in jobs:
                job.result()
            encoded = translated.path_set
            shelf.add_path_set(
                translated.call,
                sha256_digest(encoded),
                signer.sign(PATH_SET, translated.call + encoded),
            )
            shelf.add_outcome(translated.state, signer.sign(OUTCOME, translated.outcome))
        for name, _, size in new:
            self._note(_CONTENT, name)
            self.report.contents += 1
            self.report.bytes += size
        self.report.records += 1
        label = text(translated.label)
        self._tell(f"{label}   {len(new)} new contents, {sum(size for _, _, size in new)} bytes")

    def _content(self, digest: Digest, size: int) -> bytes | int:
        """Small ones are read here, as the database belongs to this thread; of the others a
        descriptor, which `_push_content` closes."""
        if size <= _IN_MEMORY:
            return self._store.blobs.get_bytes(digest)
        return self._store.blobs.open(digest)

    @staticmethod
    def _push_content(shelf: Shelf, name: Name, content: bytes | int, size: int) -> None:
        import os

        try:
            if size < _ASKED_FIRST or not shelf.has_content(name, size):
                shelf.add_content(name, content)
        finally:
            if isinstance(content, int):
                os.close(content)

    def _is_pushed(self, kind: bytes, name: Name) -> bool:
        return (kind, name) in self._noted or self._known.is_pushed(kind, name)

    def _note(self, kind: bytes, name: Name) -> None:
        self._noted.add((kind, name))
        if self._shelf is not None:
            self._known.note_pushed(kind, name)
