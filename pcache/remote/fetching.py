"""Contents on their way from a shelf into the store: several at once, those waited for first."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from queue import SimpleQueue
from threading import Condition, Thread

from pcache.linux.files import write_all
from pcache.remote.errors import Missing, RemoteError, Unreachable, Untrusted
from pcache.store.blobs import Blobs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.model import Digest
    from pcache.remote.known import Known
    from pcache.remote.names import Name
    from pcache.remote.shelf import Shelf

THREADS = 12
_IN_MEMORY = 1 << 22


class _Arrival:
    """A verified content, in memory or in a nameless file; or why there is none."""

    __slots__ = ("data", "error", "fd", "name")

    def __init__(self, name: Name) -> None:
        self.name = name
        self.data = b""
        self.fd = -1
        self.error: RemoteError | None = None


class Fetcher:
    """`want` contents; `take` those that have arrived, from one thread, which owns the store."""

    def __init__(
        self, shelf: Shelf, blobs: Blobs, known: Known, temporary: bytes, wake: Callable[[], None]
    ) -> None:
        """`wake` is called, from any thread, when there is something to take."""
        self._shelf = shelf
        self._blobs = blobs
        self._known = known
        self._temporary = temporary
        self._wake = wake
        self._digests: dict[Name, Digest] = {}
        self._failed: dict[Name, RemoteError] = {}
        self._sizes: dict[Name, int] = {}
        self._urgent: deque[Name] = deque()
        self._later: deque[Name] = deque()
        self._changed = Condition()
        self._arrived: SimpleQueue[_Arrival] = SimpleQueue()
        self._threads = 0

    def want(self, name: Name, size: int, urgent: bool) -> None:
        """A content is to be in the store."""
        if name in self._digests:
            return
        digest = self._known.digest(name)
        if digest is not None and self._blobs.has(digest):
            self._digests[name] = digest
            return
        self._failed.pop(name, None)
        with self._changed:
            if name not in self._sizes:
                (self._urgent if urgent else self._later).append(name)
            elif urgent and name in self._later:
                self._later.remove(name)
                self._urgent.append(name)
            self._sizes[name] = size
            self._changed.notify()
        if self._threads < THREADS:
            self._threads += 1
            Thread(target=self._work, daemon=True).start()

    def state(self, name: Name) -> Digest | RemoteError | None:
        """Its local digest, why it cannot be had, or None while it is on its way."""
        return self._digests.get(name) or self._failed.get(name)

    def take(self) -> None:
        """Puts what has arrived into the store.  Raises StoreError."""
        while not self._arrived.empty():
            arrival = self._arrived.get()
            try:
                self._put(arrival)
            finally:
                if arrival.fd >= 0:
                    os.close(arrival.fd)
                with self._changed:
                    self._sizes.pop(arrival.name, None)
        self._blobs.flush()

    def _put(self, arrival: _Arrival) -> None:
        if arrival.error is not None:
            self._failed[arrival.name] = arrival.error
            return
        if arrival.fd >= 0:
            digest = self._blobs.put_file(arrival.fd)
        else:
            digest = self._blobs.put_bytes(arrival.data)
        self._digests[arrival.name] = digest
        self._known.note(digest, arrival.name)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._urgent or self._later):
                    self._changed.wait()
                name = (self._urgent or self._later).popleft()
                size = self._sizes[name]
            arrival = _Arrival(name)
            try:
                self._fetch(arrival, size)
            except RemoteError as error:
                arrival.error = error
            except Exception as error:
                arrival.error = Unreachable(f"internal error: {error!r}")
            self._arrived.put(arrival)
            self._wake()

    def _fetch(self, arrival: _Arrival, size: int) -> None:
        state = sha256()
        parts: list[bytes] = []
        if size > _IN_MEMORY:
            arrival.fd = os.open(self._temporary, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)

        def write(piece: memoryview) -> None:
            state.update(piece)
            if arrival.fd >= 0:
                write_all(arrival.fd, piece)
            else:
                parts.append(bytes(piece))

        if not self._shelf.content(arrival.name, size, write):
            raise Missing("a content is not in the shared store any more")
        if state.digest() != arrival.name:
            raise Untrusted("a content of the shared store is not what its name promises")
        arrival.data = b"".join(parts)
