"""SHA-256 of contents that pcache knows by another digest."""

from __future__ import annotations

import os
from hashlib import sha256
from stat import S_ISREG

from xxhash import xxh3_128

from pcache.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.model import Digest
    from pcache.store.index import Store

_PIECE = 1 << 20


class Contents:
    """What is found out about contents, each once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[Digest, tuple[str, int] | None] = {}

    def find(self, digest: Digest, path: bytes) -> tuple[str, int] | None:
        """SHA-256 in hexadecimal and size of a content: from the store, or from the file if that
        still has it.  None if it is in neither."""
        if digest not in self._known:
            found = self._in_store(digest)
            self._known[digest] = _in_file(digest, path) if found is None else found
        elif self._known[digest] is None:
            self._known[digest] = _in_file(digest, path)
        return self._known[digest]

    def _in_store(self, digest: Digest) -> tuple[str, int] | None:
        try:
            if not self._store.blobs.has(digest):
                return None
            fd = self._store.blobs.open(digest)
        except (StoreError, OSError):
            return None
        with open(fd, "rb", buffering=0) as file:
            return _read(file.fileno(), digest)


def _in_file(digest: Digest, path: bytes) -> tuple[str, int] | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    try:
        return _read(fd, digest) if S_ISREG(os.fstat(fd).st_mode) else None
    except OSError:
        return None
    finally:
        os.close(fd)


def _read(fd: int, digest: Digest) -> tuple[str, int] | None:
    """None if it is another content."""
    ours, theirs, size = xxh3_128(), sha256(), 0
    while piece := os.read(fd, _PIECE):
        ours.update(piece)
        theirs.update(piece)
        size += len(piece)
    return (theirs.hexdigest(), size) if ours.digest() == digest else None
