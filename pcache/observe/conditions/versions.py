"""What is known of the versions of regular files that were read, their digests above all."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import time

from pcache.linux import loader_cache
from pcache.linux.filesystems import EXACT, OVERLAY_MAGICS
from pcache.linux.looks import identity_of
from pcache.linux.sparse import ends_in_zero, may_be_of_holes
from pcache.model import Kind, Reason
from pcache.observe.accesses.context import Context
from pcache.observe.captured import Snapshot
from pcache.observe.conditions.clock import Clock
from pcache.observe.conditions.unknowable import Unknowable, gone
from pcache.observe.events import Stamp
from pcache.observe.observations import Observation
from pcache.observe.small_reads import SMALL, Opened, version_of
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

    __slots__ = ("_content", "_shown", "digested", "name", "stamp", "still")

    def __init__(self, name: bytes, stamp: Stamp) -> None:
        self.name = name
        self.stamp = stamp
        """As it was found first."""
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
        self._small = context.small_reads
        self._first: dict[bytes, Version] = {}
        """By canonical name: most have one version."""
        self._others: dict[tuple[bytes, int, int, int, int], Version] = {}
        """Further ones, by name and version."""

    def of(self, name: bytes, stamp: Stamp) -> Version:
        version: Version | None = stamp.known
        if version is None or version.name != name:
            version = self._first.get(name)
            if version is None:
                version = self._first[name] = Version(name, stamp)
            elif not version.stamp.same_version(stamp, attributes_changed=False):
                key = (name, *stamp.version())
                version = self._others.get(key)
                if version is None:
                    version = self._others[key] = Version(name, stamp)
            stamp.known = version
        return version

    def hash_early(self, name: bytes, stamp: Stamp, ts: int, to_read: bool) -> None:
        """Hashes a file as soon as it is looked at: it may be overwritten before its readers end.

        Large ones wait, so that the recorder is not kept waiting; and so do small ones that were
        opened `to_read` alone, as what is read is told next.
        """
        if to_read and stamp.st_size <= SMALL and self._is_told_next(name, stamp, ts):
            if self._small.many:
                self.hash_overdue()
        elif stamp.st_size <= _EAGER_BYTES:
            self._hash_now(name, stamp, ts)

    def hash_overdue(self) -> None:
        """Hashes what was opened and has not been read as a whole."""
        for opened in self._small.overdue():
            self._hash_now(opened.name, opened.stamp, opened.ts)

    def _is_told_next(self, name: bytes, stamp: Stamp, ts: int) -> bool:
        """Whether a small file need not be looked at: where its content is known, or what read(2)
        gives will do, as nobody but that shows another version of it."""
        version = self.of(name, stamp)
        if (
            not stamp.st_size
            or stamp.writers
            or not self._clock.tells_changes(stamp, ts)
            or self._digests.kind(stamp.st_dev) != EXACT
            or self._history.knows(name)
            or name == loader_cache.PATH
        ):
            return False
        known = version.digested
        if known is not None:
            return not (known.touched or known.appended or known.snapshot)
        return self._small.wait(Opened(name, stamp, ts))

    def _hash_now(self, name: bytes, stamp: Stamp, ts: int) -> None:
        found = None
        with contextlib.suppress(OSError):
            now = os.stat(name)
            if stamp.same_version(now, attributes_changed=False):
                found = self._digested(name, now)
                found.names = now.st_nlink
        found = found or self._captured_digest(stamp)
        if found is None:
            self._small.missed(name, stamp, ts)
            return
        self.of(name, stamp).learn(found)
        if name == loader_cache.PATH:
            # Of one that is rewritten later, what it said would not be to be had.
            with contextlib.suppress(OSError, ValueError):
                loader_cache.loader_cache(name, found.digest)

    def read_whole(self, name: bytes, stamp: Stamp, data: bytes) -> None:
        """What some program has read of a file from its beginning to its end: the content of the
        version that it is, if it was that when it was looked at before as well as afterwards."""
        opened = self._small.take(name, stamp)
        if opened is None:
            return
        if may_be_of_holes(data):
            self._hash_now(opened.name, opened.stamp, opened.ts)
            return
        version = self.of(opened.name, opened.stamp)
        if version.digested is None and self._clock.tells_changes(stamp, opened.ts):
            digest = self._digests.algorithm.digest(data)
            version.learn(Digested(digest, opened.ts))
            if opened.stamp.f_mode and not (opened.stamp.writers or self._clock.stepped()):
                read_ns = self._clock.realtime(opened.ts)
                self._digests.remember_read(version_of(opened.stamp), digest, read_ns)

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
