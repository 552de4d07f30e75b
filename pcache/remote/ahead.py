"""Digests of large files, taken side by side and each file read once for all of them: where nothing
is remembered, a compiler and its libraries are most of what fetching costs.  Reading and hashing
hold no lock of the interpreter."""

from __future__ import annotations

import os
import time
from itertools import islice
from stat import S_ISREG
from threading import Thread

from pcache.linux.unseen import open_unseen
from pcache.model import Kind
from pcache.store.digests import DigestCache, content_digests, stamp
from pcache.store.writers import has_writers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pcache.model import Digest, Key
    from pcache.store.digest_table import Version

    Found = tuple["Large", list[Digest], int, bool | None]

LARGE = 1 << 20
"""Bytes of a file that is worth it."""
_KEYS = 4096
"""How many are looked at: of more, this would take long itself."""
_THREADS = 2


class Large:
    """A file of which not all digests are known."""

    __slots__ = ("keys", "path", "paths", "st")

    def __init__(self, path: bytes, st: os.stat_result, keys: list[Version | None]) -> None:
        self.path = path
        """Without links in it."""
        self.paths: list[bytes] = []
        """Under which it was asked for."""
        self.st = st
        self.keys = keys
        """What each cache remembers it by: None if that knows it, or cannot."""


class Ahead:
    """For several caches.  It begins with `learn`, which waits for its end."""

    def __init__(self, caches: Sequence[DigestCache], keys: Iterable[Key]) -> None:
        self._caches = caches
        self._waiting = sorted(_large(caches, keys), key=_size)
        self._found: list[Found] = []
        self._stopped = False
        self._paths = {path for large in self._waiting for path in large.paths}
        self.bytes = sum(map(_size, self._waiting))
        """How much has to be read."""

    def has(self, path: bytes) -> bool:
        """Whether it is one of those that have to be read."""
        return path in self._paths

    def learn(self) -> None:
        """Enters what was found.  What was not, because it changed, is left to who needs it."""
        count = min(_THREADS, len(os.sched_getaffinity(0)), len(self._waiting))
        threads = [Thread(target=self._work, daemon=True) for _ in range(count - 1)]
        try:
            for thread in threads:
                thread.start()
        except RuntimeError:
            pass  # no more threads are to be had
        try:
            self._work()
        except BaseException:
            self._stopped = True
            raise
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        for found in self._found:
            self._enter(*found)

    def _enter(
        self, large: Large, digests: list[Digest], read_ns: int, writers: bool | None
    ) -> None:
        for cache, key, digest in zip(self._caches, large.keys, digests, strict=True):
            # Asked again, as another file system may have been mounted there.
            if key is not None and cache.unknown(large.path, large.st) == key:
                cache.remember_as(key, large.st, digest, read_ns, writers)

    def _work(self) -> None:
        algorithms = [cache.algorithm for cache in self._caches]
        while not self._stopped:
            try:
                large = self._waiting.pop()
                writers = _has_writers(large.path, large.st)
                read_ns = time.time_ns()
                digests = content_digests(large.path, large.st, self._check, algorithms)
            except IndexError:
                return
            except OSError:
                continue
            self._found.append((large, digests, read_ns, writers))

    def _check(self) -> None:
        if self._stopped:
            raise InterruptedError


def _large(caches: Sequence[DigestCache], keys: Iterable[Key]) -> Iterable[Large]:
    """Each large file once of which a digest is not known."""
    found: dict[Version, Large] = {}
    for kind, path in islice(keys, _KEYS):
        if kind != Kind.CONTENT:
            continue
        try:
            st = os.stat(path)
            if not S_ISREG(st.st_mode) or st.st_size < LARGE:
                continue
            large = found.get(stamp(st))
            if large is None:
                real = os.path.realpath(path)
                large = Large(real, st, [cache.unknown(real, st) for cache in caches])
                found[stamp(st)] = large
            large.paths.append(path)
        except (OSError, ValueError):
            continue
    return [large for large in found.values() if any(key is not None for key in large.keys)]


def _has_writers(path: bytes, st: os.stat_result) -> bool | None:
    fd = open_unseen(path, st.st_uid, os.O_NOFOLLOW)
    try:
        return has_writers(fd)
    finally:
        os.close(fd)


def _size(large: Large) -> int:
    return large.st.st_size
