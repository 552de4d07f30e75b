"""Contents as they are looked at before they are pushed: name, size, secrets, and what shows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from hashlib import sha256

from pcache.remote.secrets import LONGEST, has_secret
from pcache.settings.remote import USER
from pcache.store.blobs import Blobs
from pcache.store.objects import pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.model import Digest
    from pcache.remote.names import Name
    from pcache.remote.places import Places


class Scanned:
    """What is known of one content."""

    __slots__ = ("is_secret", "name", "shows", "size")

    def __init__(self, name: Name, size: int, shows: frozenset[bytes], is_secret: bool) -> None:
        self.name = name
        self.size = size
        self.shows = shows
        """Which of `Places.needles` are in it."""
        self.is_secret = is_secret


class Scanner:
    """Looks at each content once."""

    def __init__(self, blobs: Blobs, places: Places, secrets: frozenset[bytes]) -> None:
        self._blobs = blobs
        self._secrets = secrets
        self._needles = places.needles()
        self._uid: re.Pattern[bytes] | None = None
        if USER in self._needles:
            self._uid = re.compile(rb"(?<!\d)%d(?!\d)" % places.uid)
        self._contents: dict[Digest, Scanned] = {}
        self._inputs: dict[Name, frozenset[bytes]] = {}

    def blob(self, digest: Digest) -> Scanned:
        """A content of the store.  Raises DamagedBlob or OSError."""
        found = self._contents.get(digest)
        if found is None:
            fd = self._blobs.open(digest)
            try:
                found = self._contents[digest] = self._look(fd, is_input=False)
            finally:
                os.close(fd)
        return found

    def input(self, path: bytes, name: Name) -> frozenset[bytes] | None:
        """What shows in a file of that SHA-256; None if it cannot be read, or is another."""
        if not self._needles:
            return frozenset()
        shown = self._inputs.get(name)
        if shown is not None:
            return shown
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            found = self._look(fd, is_input=True)
        except OSError:
            return None
        finally:
            os.close(fd)
        if found.name != name:
            return None
        self._inputs[name] = found.shows
        return found.shows

    def _named(self, data: bytes) -> set[bytes]:
        return {what for what, needle in self._needles.items() if needle in data}

    def text(self, data: bytes) -> frozenset[bytes]:
        """What shows in a short text, or something that was written."""
        found = self._named(data)
        if self._uid is not None and self._uid.search(data):
            found.add(USER)
        return frozenset(found)

    def _look(self, fd: int, is_input: bool) -> Scanned:
        """At an open file.  Raises OSError.

        An input is not searched for secrets, as it stays here, nor for the number of the user,
        which programs and headers have among many others.
        """
        state, size = sha256(), 0
        shows: set[bytes] = set()
        is_secret = False
        for piece, overlapping in _overlapping(fd):
            state.update(piece)
            size += len(piece)
            shows |= self._named(overlapping) if is_input else self.text(overlapping)
            if not is_input and not is_secret:
                is_secret = has_secret(overlapping, self._secrets)
        return Scanned(state.digest(), size, frozenset(shows), is_secret)


def _overlapping(fd: int) -> Iterator[tuple[bytes, bytes]]:
    """The pieces of a file, and each with the end of what was before it."""
    end = b""
    for piece in pieces(fd):
        data = bytes(piece)
        yield data, end + data
        end = (end + data)[-LONGEST:]
