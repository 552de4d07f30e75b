"""SHA-256 of large files, taken by other threads while this one takes the digests that the local
store goes by: where nothing is remembered, a compiler and its libraries are most of what fetching
costs.  Reading and hashing hold no lock of the interpreter."""

from __future__ import annotations

import os
import time
from itertools import islice
from stat import S_ISREG
from threading import Thread

from pcache.linux.unseen import open_unseen
from pcache.model import Kind
from pcache.store.digests import DigestCache, content_digest, stamp
from pcache.store.writers import has_writers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pcache.model import Digest, Key

_LARGE = 1 << 20
"""Bytes of a file that is worth it."""
_KEYS = 4096
"""How many are looked at: of more, this would take long itself."""
_THREADS = 2


class Ahead:
    """Begins at once; `learn` waits for it."""

    def __init__(self, digests: DigestCache, keys: Iterable[Key]) -> None:
        self._digests = digests
        self._waiting = sorted(_large(digests, keys), key=_size)
        self._found: list[tuple[os.stat_result, Digest, int, bool | None]] = []
        self._stopped = False
        count = min(_THREADS, len(self._waiting)) if len(os.sched_getaffinity(0)) > 1 else 0
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(count)]
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError:  # no more threads are to be had
            self._stopped = True

    @property
    def busy(self) -> bool:
        return bool(self._threads)

    def learn(self) -> None:
        """Enters what was found.  What was not, because it changed, is left to who needs it."""
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        for found in self._found:
            self._digests.remember(*found)

    def stop(self) -> None:
        """Gives up."""
        self._stopped = True

    def _work(self) -> None:
        while not self._stopped:
            try:
                path, st = self._waiting.pop()
                writers = _has_writers(path, st)
                read_ns = time.time_ns()
                digest = content_digest(path, st, self._check, self._digests.algorithm)
            except IndexError:
                return
            except OSError:
                continue
            self._found.append((st, digest, read_ns, writers))

    def _check(self) -> None:
        if self._stopped:
            raise InterruptedError


def _large(digests: DigestCache, keys: Iterable[Key]) -> Iterable[tuple[bytes, os.stat_result]]:
    """Each large file once of which no digest is remembered."""
    found = {}
    for kind, path in islice(keys, _KEYS):
        if kind != Kind.CONTENT:
            continue
        try:
            st = os.stat(path)
        except (OSError, ValueError):
            continue
        if (
            S_ISREG(st.st_mode)
            and st.st_size >= _LARGE
            and digests.keeps(st)
            and digests.remembered(st) is None
        ):
            found[stamp(st)] = os.path.realpath(path), st
    return found.values()


def _has_writers(path: bytes, st: os.stat_result) -> bool | None:
    fd = open_unseen(path, st.st_uid, os.O_NOFOLLOW)
    try:
        return has_writers(fd)
    finally:
        os.close(fd)


def _size(found: tuple[bytes, os.stat_result]) -> int:
    return found[1].st_size
