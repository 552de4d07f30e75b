"""Executions in which the directory of `base_dir` shows: they would do something else elsewhere.

What they read or wrote is searched for its path.  A path in what was read leads to the files of
this checkout even if the same is read in another one; a path in what was written would be wrong
there.
"""

from __future__ import annotations

import os

from xxhash import xxh3_128

from pcache.errors import DamagedBlob
from pcache.model import Digest, Fact, Kind, Outcome
from pcache.settings.base_dir import Base
from pcache.store.blobs import Blobs
from pcache.store.objects import pieces
from pcache.values import content_of

_CONTENTS = (Kind.CONTENT, Kind.LCONTENT)
_REGULAR = b"f"


class BaseDirSearch:
    """Remembers of each content whether the path is in it."""

    def __init__(self, base: Base, blobs: Blobs) -> None:
        self._base = base
        self._blobs = blobs
        self._known: dict[Digest, bool] = {}

    def shows(self, facts: list[Fact], outcome: Outcome) -> bool:
        """Whether the path shows in anything; also if that cannot be told."""
        return any(map(self._in_fact, facts)) or self._in_outcome(outcome)

    def _in_fact(self, fact: Fact) -> bool:
        if fact.kind in (Kind.BASE, Kind.PIPE, Kind.INPUT):
            return True
        base, key = self._base, (fact.kind, fact.path)
        if base.path in base.hide_key(key)[1]:
            return True
        if fact.kind not in _CONTENTS or not fact.value.startswith(_REGULAR):
            return base.path in base.hide_value(fact.kind, fact.value)
        digest = content_of(fact.value)
        return bool(digest) and self._in_file(fact.path, digest)

    def _in_outcome(self, outcome: Outcome) -> bool:
        base = self._base
        for output in outcome.outputs:
            if base.path in base.hide(output.path):
                return True
            if output.kind == b"l" and base.path in output.content:
                return True
            if output.kind in (b"f", b"w") and self._in_blob(output.content):
                return True
        return bool(outcome.data) and self._in_blob(outcome.data)

    def _in_file(self, path: bytes, digest: Digest) -> bool:
        found = self._known.get(digest)
        if found is not None:
            return found
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            return True
        try:
            found, actual = self._search(fd)
        except OSError:
            return True
        finally:
            os.close(fd)
        self._known[actual] = found
        return found or actual != digest

    def _in_blob(self, digest: Digest) -> bool:
        found = self._known.get(digest)
        if found is None:
            try:
                fd = self._blobs.open(digest)
            except (OSError, DamagedBlob):
                return True
            try:
                found, _ = self._search(fd)
            finally:
                os.close(fd)
            self._known[digest] = found
        return found

    def _search(self, fd: int) -> tuple[bool, Digest]:
        """Whether the path is in a file, and the digest of what was searched."""
        wanted, state = self._base.path, xxh3_128()
        found, end = False, b""
        for piece in pieces(fd):
            state.update(piece)
            text = end + piece
            found = found or wanted in text
            end = text[1 - len(wanted) :]
        return found, state.digest()
