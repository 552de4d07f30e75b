"""What is known of the versions of regular files that were read, their digests above all."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import time

from xxhash import xxh3_128_digest

from pcache.linux import loader_cache
from pcache.linux.filesystems import OVERLAY_MAGICS
from pcache.linux.looks import identity_of
from pcache.linux.sparse import ends_in_zero, may_be_of_holes
from pcache.model import Kind, Reason
from pcache.observe.accesses.context import Context
from pcache.observe.captured import Snapshot
from pcache.observe.conditions.clock import Clock
from pcache.observe.conditions.unknowable import Unknowable, gone
from pcache.observe.events import Stamp
from pcache.observe.observations import Observation
from pcache.store.digests import DigestCache
from pcache.values import content_value

_EAGER_BYTES = 64 << 20


class Digested:
    """A digest, when it was taken (CLOCK_MONOTONIC ns), and that of the holes."""

    def __init__(self, digest: bytes, taken: int, holes: bytes = b"") -> None:
        self.digest = digest
        self.taken = taken
        self.holes = holes
        self.snapshot: Snapshot | None = None
        """How, if not by the file's name."""
        self.touched = False
        """Whether the ctime had moved by then, for which there must turn out to be a reason."""
        self.appended = False
        """Whether so had the size, as something had been appended."""
        self.names = 0
        """How many it has; 0 if that may have changed."""


class Version:
    """What is known of one version of a regular file; every program of a build asks for it."""

    __slots__ = ("_content", "_shown", "digested", "name", "still")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.digested: Digested | None = None
        self._content = b""
        self._shown: tuple[int, ...] = ()
        """Value of CONTENT, if it is known, of the file while its attributes are these."""
        self.still: bool | None = None
        """Whether it was that version at the end of the recording."""

    def learn(self, digested: Digested) -> None:
        self.digested = digested
        self._content = b""

    def content_value(self, stamp: Stamp, digested: Digested) -> bytes:
        if digested.names and stamp.magic in OVERLAY_MAGICS:
            # Its own inode has one, stat(2) gives those below (fs/overlayfs/inode.c, ovl_getattr).
            stamp.st_nlink = digested.names
        shown = stamp.st_mode, stamp.st_nlink, stamp.st_uid, stamp.st_gid
        if not self._content or self._shown != shown:
            self._content = content_value(stamp, digested.digest, digested.holes)
            self._shown = shown
        return self._content


class Versions:
    """Those of one recording."""

    def __init__(self, digests: DigestCache, context: Context, clock: Clock) -> None:
        self._digests = digests
        self._history = context.history
        self._captured = context.captured
        self._clock = clock
        self._known: dict[tuple[bytes, int, int, int, int], Version] = {}
        """By canonical name and version."""
        self._stamped: dict[Stamp, Version] = {}
        """The same, so as they were found last."""

    def of(self, name: bytes, stamp: Stamp) -> Version:
        version = self._stamped.get(stamp)
        if version is None or version.name != name:
            key = (name, *stamp.version())
            version = self._known.get(key)
            if version is None:
                version = self._known[key] = Version(name)
            self._stamped[stamp] = version
        return version

    def hash_early(self, name: bytes, stamp: Stamp) -> None:
        """Hashes a file as soon as it is looked at: it may be overwritten before its readers end.

        Large ones wait, so that the recorder is not kept waiting.
        """
        if stamp.st_size <= _EAGER_BYTES:
            found = None
            with contextlib.suppress(OSError):
                now = os.stat(name)
                if stamp.same_version(now, attributes_changed=False):
                    found = self._digested(name, now)
                    found.names = now.st_nlink
            found = found or self._captured_digest(stamp)
            if found is not None:
                self.of(name, stamp).learn(found)
                if name == loader_cache.PATH:
                    # Of one that is rewritten later, what it said would not be to be had.
                    with contextlib.suppress(OSError, ValueError):
                        loader_cache.loader_cache(name, found.digest)

    def read_whole(self, ts: int, name: bytes, stamp: Stamp, data: bytes) -> None:
        """What some program has read of a file from its beginning to its end: the content of the
        version that it is, as it was that when it was looked at before, at the time `ts`, as well
        as afterwards."""
        version = self.of(name, stamp)
        if version.digested is None and self._clock.tells_changes(stamp, ts):
            holes: bytes | None = b""
            if may_be_of_holes(data):
                holes = self._holes(name, stamp)
            if holes is not None:
                version.learn(Digested(xxh3_128_digest(data), ts, holes))

    def _holes(self, name: bytes, stamp: Stamp) -> bytes | None:
        """Those of a version; None if it is gone."""
        with contextlib.suppress(OSError):
            now = os.stat(name)
            if stamp.same_version(now, attributes_changed=False):
                return self._digests.holes(name, now)
        return None

    def digest(self, observation: Observation, stamp: Stamp) -> Digested:
        """Digest of the file if it still is the version that was seen, and when it was taken.

        The digest cache checks the same again around its own reading.
        """
        place = observation.place
        try:
            now = os.stat(place)
            ours = self._history.only_attributes_since(observation.name, observation.ts)
            if stamp.same_version(now, attributes_changed=ours):
                found = self._digested(place, now)
                if stamp.st_ctime_ns == now.st_ctime_ns:
                    found.names = now.st_nlink
                return found
        except OSError as error:
            if not isinstance(error, FileNotFoundError) and error.errno != errno.ESTALE:
                raise gone(error, place) from error
        captured = self._captured_digest(stamp)
        if captured is not None:
            return captured
        digest = self._earlier_digest(observation.name, stamp)
        if digest is not None:
            return Digested(digest, observation.ts)
        appended = self._appended_digest(observation, stamp)
        if appended is not None:
            return appended
        with contextlib.suppress(OSError):
            now = os.stat(place)
            if stamp.same_version(now, attributes_changed=True):
                # The event that tells of its new mode or name may be still to come.
                found = self._digested(place, now)
                found.touched = True
                return found
        raise Unknowable(Reason.INPUT_CHANGED, observation.name)

    def trust(self, observation: Observation, stamp: Stamp) -> bool:
        """A version is told apart from its successor only if the clock has moved on in between;
        returns whether it has.  Else all changes must have been seen."""
        if self._clock.tells_changes(stamp, observation.ts):
            return True
        name, ts = observation.name, observation.ts
        ours = self._history.touched(name, 0, ts) or self._history.was_linked(name, ts)
        if ours and not stamp.writers:
            return False  # by the recorded tree, whose later changes would be seen
        raise Unknowable(Reason.INPUT_CHANGED, observation.place)

    def is_still(self, name: bytes, stamp: Stamp) -> bool:
        """Whether nobody outside the tree has changed a file since it was looked at."""
        if self._history.knows(name):
            return True  # the tree did, which has been judged
        version = self.of(name, stamp)
        if version.still is None:
            try:
                version.still = stamp.same_version(os.stat(name), attributes_changed=False)
            except OSError:
                version.still = False
        return version.still

    def earlier_attributes(self, name: bytes, stamp: Stamp) -> bytes | None:
        """Value of XATTRS of a version that is gone, if it was taken while it was there."""
        with contextlib.suppress(OSError):
            identity = identity_of(stamp.st_mode, _device(name), *stamp.version())
            return self._digests.values.get(Kind.XATTRS + identity)
        return None

    def _earlier_digest(self, name: bytes, stamp: Stamp) -> bytes | None:
        """Digest of a version that is gone and had no holes, if it was taken while it was there:
        in an earlier recording, or when a replay looked at it."""
        with contextlib.suppress(OSError):
            return self._digests.remembered_version((_device(name), *stamp.version()))
        return None

    def _appended_digest(self, observation: Observation, stamp: Stamp) -> Digested | None:
        """Of a version to which the tree has appended since: what was there is the beginning of
        what is there now."""
        name, size, now = observation.name, stamp.st_size, time.monotonic_ns()
        if stamp.writers or not self._history.only_appended(name, observation.ts, now):
            return None
        with contextlib.suppress(OSError):
            status = os.stat(name)
            if status.st_ino == stamp.st_ino and status.st_size > size:
                if self._digests.holes(name, status) or (size and ends_in_zero(name, size)):
                    return None  # a hole at its end may have been filled
                digest = self._digests.digest_of_beginning(name, status, size)
                found = Digested(digest, time.monotonic_ns())
                found.appended = True
                return found
        return None

    def _captured_digest(self, stamp: Stamp) -> Digested | None:
        """Of a version that may have another name by now, or none."""
        file = self._captured.numbered(stamp.st_ino)
        if file is None:
            return None
        try:
            now = os.fstat(file.fd)
            if (now.st_size, now.st_mtime_ns) != (stamp.st_size, stamp.st_mtime_ns):
                return None
            found = self._digested(file.fd, now)
        except OSError:
            return None
        found.snapshot = Snapshot(file, now, found.taken)
        return found

    def _digested(self, file: bytes | int, now: os.stat_result) -> Digested:
        """Of a file, by path or descriptor, that is as in `now`.  Raises OSError."""
        digest, holes = self._digests.file_digest(file, now), self._digests.holes(file, now)
        return Digested(digest, time.monotonic_ns(), holes)


def _device(name: bytes) -> int:
    """As stat(2) gives it, which on some file systems is another number than the kernel's own: a
    file is usually where its directory is.  Raises OSError."""
    return os.stat(posixpath.dirname(name)).st_dev
