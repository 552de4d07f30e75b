"""Digests of files, remembered by what stat(2) says of them, so that no file is read twice.

A file whose (device, inode, size, mtime, ctime) are as before has the content it had, with one
exception: a change within the clock's grain of the last one leaves the times as they were.  So a
digest is only remembered when the last change was well before the file was read (git calls younger
entries "racily clean"), or where every change after a look at the times shows in them; and only
when nobody had the file open for writing, as far as that can be known: on overlays it cannot.

Times without fractions of a second are those of the image that a file system was made from, or of
one that keeps no others.  Two images made alike (mke2fs -d, mksquashfs, an ISO 9660 made anew) have
the same inodes, sizes and times on the same device, one after the other: there, what is remembered
is remembered of one mount.  Which mount a device is, is asked once for as long as the kernel says
that nothing was mounted or unmounted: what mke2fs -d made may be the whole system.
"""

from __future__ import annotations

import errno
import os
import time
from stat import S_IFREG

from xxhash import xxh3_64_digest, xxh3_128

from pcache.linux.filesystems import (
    EXACT,
    LAGGING,
    MADE_UP,
    ORDINARY,
    OVERLAY,
    MountWatch,
    devices,
    is_on_overlay,
    mount_number,
    synchronise,
)
from pcache.linux.looks import ctime_ns_of
from pcache.linux.sparse import extents, may_have_holes
from pcache.linux.stamps import are_exact, is_coarse, lasts
from pcache.linux.unseen import open_unseen
from pcache.store.digest_table import DigestTable, Version
from pcache.store.hashing import CHUNK, XXH3, Algorithm, in_pieces, stamp
from pcache.store.writers import has_writers
from pcache.values import holes_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.counters import Counters
    from pcache.model import Digest

_SMALL = 1 << 16
_MANY = 1 << 14  # of small files, beyond which a decision has them from the table
_PSEUDO_LIMIT = 16 << 20
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def _key(st: os.stat_result) -> Version:
    """What a digest is kept by: of a file that may have holes, what none is looked for by that
    knows a version without its blocks."""
    key = stamp(st)
    return (*key[:4], -key[4]) if may_have_holes(st) else key


class DigestCache:
    """stat -> digest, in memory and in a SQLite file of its own that is opened when first needed.

    `path` may be None: then nothing outlives the object.  Not safe for use by several threads.
    """

    def __init__(self, path: bytes | None, counters: Counters, algorithm: Algorithm = XXH3) -> None:
        self.algorithm = algorithm
        self.table = DigestTable(path, algorithm.size)
        self._counters = counters
        self.values: dict[bytes, bytes] = {}
        """What `pcache.memo.facts` found out of files and directories that are settled: values of
        CONTENT by `pcache.linux.looks.identity`, those of other kinds by kind and identity."""
        self._holes: dict[Version, bytes] = {}
        self._memory: dict[Version, Digest] = {}
        """By `stamp`; of times without fractions, in the form of `_of_mount`."""
        self._devices: dict[int, int] = {}
        self._mounts: MountWatch | None = None
        """Made with the first of `_numbers`."""
        self._numbers: dict[int, int] = {}
        """By device, what stands for it and its mount in `_of_mount`."""
        self._overlays = False
        self._boot: bytes | None = None
        self._buffer: bytearray | None = None

    def file_digest(self, file: bytes | int, st: os.stat_result) -> Digest:
        """Digest of the content of a regular file, by path or descriptor, while it is as in `st`.

        A descriptor's offset is neither used nor moved.  Raises OSError: ESTALE if the file is or
        becomes another one than `st` describes, EFBIG for a pseudo file without end, and whatever
        open(2) and read(2) give.
        """
        key = stamp(st)
        if self.kind(st.st_dev) == LAGGING:
            synchronise(file)
            if stamp(os.fstat(file) if isinstance(file, int) else os.stat(file)) != key:
                raise OSError(errno.ESTALE, "its status had not been asked for of late")
        known = self._kept_by(file, st)
        digest = None if known is None else self._remembered(known)
        if digest is not None:
            return digest
        if isinstance(file, int):
            return self._hash(file, st, known, None)
        fd = open_unseen(file, st.st_uid)
        try:
            return self._hash(fd, st, known, has_writers(fd))
        finally:
            os.close(fd)

    def holes(self, file: bytes | int, st: os.stat_result) -> bytes:
        """What `pcache.values.holes_digest` says of a regular file, by path or descriptor, which is
        as in `st`; empty for one without holes.  Raises OSError."""
        if not may_have_holes(st):
            return b""
        key = stamp(st)
        digest = self._holes.get(key)
        if digest is None:
            # By another open file: finding holes moves the offset.
            path = b"/proc/self/fd/%d" % file if isinstance(file, int) else file
            fd = open_unseen(path, st.st_uid)
            try:
                found = extents(fd, st.st_size)
                if stamp(os.fstat(fd)) != key:
                    raise OSError(errno.ESTALE, "another file than expected")
            finally:
                os.close(fd)
            digest = self._holes[key] = holes_digest(found) if found else b""
        return digest

    def digest_of_beginning(self, path: bytes, st: os.stat_result, size: int) -> Digest:
        """Digest of the first bytes of the regular file that `st` describes, whatever is appended
        to it meanwhile.  Raises OSError: ESTALE if it is another one, or shorter."""
        fd = open_unseen(path, st.st_uid, os.O_NOFOLLOW)
        try:
            now = os.fstat(fd)
            if (now.st_dev, now.st_ino) != (st.st_dev, st.st_ino) or now.st_size < size:
                raise OSError(errno.ESTALE, "another file than expected")
            state, at = xxh3_128(), 0
            while at < size:
                data = os.pread(fd, min(CHUNK, size - at), at)
                if not data:
                    raise OSError(errno.ESTALE, "it has become shorter")
                state.update(data)
                at += len(data)
        finally:
            os.close(fd)
        return state.digest()

    def remembered(self, st: os.stat_result) -> Digest | None:
        """The same without reading the file; None if that is not known."""
        if self.kind(st.st_dev) == LAGGING or is_coarse(st.st_ctime_ns):
            return None
        return self._remembered(_key(st))

    def check_mounts(self) -> None:
        """Forgets what may be otherwise after a mount: to be called before `values` are used."""
        if self._mounts is not None and self._mounts.changed():
            self._numbers.clear()
            self.values = {
                key: value for key, value in self.values.items() if not is_coarse(ctime_ns_of(key))
            }

    def settled(self, st: os.stat_result) -> bool:
        """Whether a file has the content it was last found to have for as long as stat(2) says the
        same of it, and `check_mounts` was called."""
        kind = self.kind(st.st_dev)
        if not st.st_size:
            return kind == EXACT
        key: Version | None = _key(st)
        if is_coarse(st.st_ctime_ns):
            number = self._numbers.get(st.st_dev)
            key = None if number is None else (number, *stamp(st)[1:])
        return key in self._memory and kind >= ORDINARY

    def settled_directory(self, st: os.stat_result, read_ns: int) -> bool:
        """The same for the entries of a directory that was read at `read_ns` (time.time_ns)."""
        return lasts(st.st_ctime_ns, read_ns) and self.kind(st.st_dev) == EXACT

    def _remembered(self, key: Version) -> Digest | None:
        digest = self._known(key)
        if digest is not None:
            self._counters.inc("digests remembered")
        return digest

    def remembered_version(self, version: Version) -> Digest | None:
        """The same for a state that may be gone by now, in the form of `stamp`."""
        return None if is_coarse(version[4]) else self._known(version)

    def _kept_by(self, file: bytes | int, st: os.stat_result) -> Version | None:
        """What the digest of a file is kept by; None if none can be."""
        return self._of_mount(file, stamp(st)) if is_coarse(st.st_ctime_ns) else _key(st)

    def _of_mount(self, file: bytes | int, version: Version) -> Version | None:
        """A version with a number of the mount in place of its device; None if that cannot be."""
        self.check_mounts()
        number = self._numbers.get(version[0])
        if number is None:
            number = self._number_of_mount(file)
            if number is None:
                return None
            if self._mounts is not None:
                self._numbers[version[0]] = number
        return number, *version[1:]

    def _number_of_mount(self, file: bytes | int) -> int | None:
        """What tells the mount that a file is on from all others there ever were."""
        if self._mounts is None:
            try:
                self._mounts = MountWatch()
            except OSError:
                pass  # then it is asked each time
        number = mount_number(file)
        if number is None:
            return None
        if self._boot is None:
            with open(_BOOT_ID, "rb", buffering=0) as boot:
                self._boot = boot.readall()
        return int.from_bytes(xxh3_64_digest(b"%b%d" % (self._boot, number)), "little")

    def _known(self, version: Version) -> Digest | None:
        if not version[2]:
            # Elsewhere it may be made up by a file system that is not known to.
            return self.algorithm.empty if self.kind(version[0]) == EXACT else None
        digest = self._memory.get(version)
        if digest is None:
            digest = self.table.find(version)
            if digest is not None:
                self._memory[version] = digest
        return digest

    def remember(
        self, st: os.stat_result, digest: Digest, read_ns: int, writers: bool | None
    ) -> None:
        """Keeps a digest found elsewhere, of a file whose content has not changed from a look at
        its times to one that gave `st`.

        In between came, in that order, `has_writers`, the time `read_ns` (time.time_ns), reading.
        """
        if not is_coarse(st.st_ctime_ns):
            self.remember_as(_key(st), st, digest, read_ns, writers)

    def remember_as(
        self, key: Version, st: os.stat_result, digest: Digest, read_ns: int, writers: bool | None
    ) -> None:
        """The same, by what `unknown` gave before."""
        hidden = self.kind(st.st_dev) == MADE_UP or self._overlays
        if not hidden and self._is_sure(st, read_ns, writers):
            self._keep(key, digest)

    def unknown(self, path: bytes, st: os.stat_result) -> Version | None:
        """What the digest of a file is to be remembered by, if it is not known and can be."""
        if self.kind(st.st_dev) in (MADE_UP, LAGGING) or self._overlays:
            return None
        key = self._kept_by(path, st)
        return key if key is not None and self._known(key) is None else None

    def remember_read(self, version: Version, digest: Digest, read_ns: int) -> None:
        """The same of a file that nobody had open for writing at `read_ns`, when it was of this
        version, as it was when all of it had been read: by the numbers that the kernel itself has
        for device, inode and times."""
        exact = self.kind(version[0]) == EXACT and not self._overlays
        if exact and not is_coarse(version[4]) and lasts(version[4], read_ns):
            if len(self._memory) < _MANY:
                self._memory[version] = digest
            self.table.put(version, digest)

    def flush(self) -> None:
        """Writes what was learnt.  Failing to is no error."""
        self.table.flush()

    def close(self) -> None:
        """Flushes, and closes the database."""
        self.table.close()

    def _hash(
        self, fd: int, st: os.stat_result, known: Version | None, writers: bool | None
    ) -> Digest:
        """`known`: what to remember it by.  `writers`: whether anybody had it open for writing,
        after `st` was looked at."""
        key = stamp(st)
        if st.st_mode & 0o170000 != S_IFREG:
            raise OSError(errno.EINVAL, "not a regular file")
        if self.kind(st.st_dev) == MADE_UP:
            return self._hash_pseudo(fd, st)
        if stamp(os.fstat(fd)) != key:
            raise OSError(errno.ESTALE, "another file than expected")
        now = time.time_ns()
        if st.st_size < _SMALL:
            data = os.pread(fd, st.st_size + 1, 0)
            size = len(data)
            digest = self.algorithm.digest(data)
        else:
            size, digest = self._hash_large(fd)
        self._counters.inc("files hashed")
        self._counters.inc("bytes hashed", size)
        if self.kind(st.st_dev) == LAGGING:
            synchronise(fd)
        if size != st.st_size or stamp(os.fstat(fd)) != key:
            raise OSError(errno.ESTALE, "changed while it was read")
        hidden = self._overlays and is_on_overlay(fd)
        if known is not None and size and not hidden and self._is_sure(st, now, writers):
            self._keep(known, digest)
        return digest

    def _is_sure(self, st: os.stat_result, read_ns: int, writers: bool | None) -> bool:
        """Whether any change of a regular file since it was read will show in its times."""
        if writers:
            return False
        if lasts(st.st_ctime_ns, read_ns):
            return True
        exact = self.kind(st.st_dev) == EXACT and not is_coarse(st.st_ctime_ns) and are_exact()
        return exact and writers is False

    def _hash_large(self, fd: int) -> tuple[int, Digest]:
        if self._buffer is None:
            self._buffer = bytearray(CHUNK)
        size, (digest,) = in_pieces(fd, self._buffer, (self.algorithm,))
        return size, digest

    def _hash_pseudo(self, fd: int, st: os.stat_result) -> Digest:
        """A made-up file: its size and times mean nothing, so it is read each time."""
        now = os.fstat(fd)
        if (now.st_dev, now.st_ino) != (st.st_dev, st.st_ino):
            raise OSError(errno.ESTALE, "another file than expected")
        state = self.algorithm.new()
        size = 0
        while data := os.pread(fd, CHUNK, size):
            state.update(data)
            size += len(data)
            if size > _PSEUDO_LIMIT:
                raise OSError(errno.EFBIG, "pseudo file without end")
        self._counters.inc("files hashed")
        self._counters.inc("bytes hashed", size)
        return state.digest()

    def kind(self, device: int) -> int:
        """Of the files of a device; something may have been mounted since another was met."""
        if device not in self._devices:
            self._devices = {device: ORDINARY, **devices()}
            self._overlays = OVERLAY in self._devices.values()
        return self._devices[device]

    def _keep(self, key: Version, digest: Digest) -> None:
        self._memory[key] = digest
        self.table.put(key, digest)
