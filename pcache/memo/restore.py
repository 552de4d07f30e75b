"""Putting a recorded outcome in place.

Everything that can fail for a foreseeable reason (damaged blob, full disk, missing permission) is
done before anything changes that programs can see: what takes no time by `prepare`, large contents
by `commit`, at its beginning.  The rest of `commit` consists of renames and of writes to files that
the program would have written to.  It takes back what it has done if one of them fails all the
same, because the command will run then, and must find its inputs as they were; and so can be done
until `conclude`, if the outcome's streams cannot be written.
"""

from __future__ import annotations

import errno
import fcntl
import os
from stat import S_IFDIR, S_IFREG

from pcache.counters import Counters
from pcache.linux.files import write_all
from pcache.linux.plain import is_plain
from pcache.linux.sparse import Writer, may_have_holes
from pcache.memo.placement import Placement, mode_of
from pcache.memo.staging import Staging
from pcache.memo.undo import Undo
from pcache.model import APPENDING
from pcache.store.aside import Aside
from pcache.store.hashing import content_digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from pcache.linux.descriptors import FdView
    from pcache.memo.staging import Staged
    from pcache.model import Digest, Key, Outcome, Output
    from pcache.store.index import Store


_AT_ONCE = 1 << 20
"""Bytes that `prepare` may write, all contents together: about a millisecond's worth."""
_PER_FILE = 1 << 14
"""What making a file costs, in bytes written."""


class Plan:
    """One hit, to be put in place: `prepare`, then `commit` or `abandon`; after `commit`,
    `conclude` or `take_back`.

    `commit` of a `heavy` plan may be called from another thread than the rest.
    """

    def __init__(
        self, outcome: Outcome, store: Store, fds: FdView, counters: Counters | None = None
    ) -> None:
        self.outcome = outcome
        self.decided_ns = 0
        """When what the decision depended on began to be looked at (time.time_ns); set by whoever
        made it."""
        self.strong: Digest = b""
        """The strong fingerprint that led to it; set, as the next two, by whoever decided."""
        self.keys: tuple[Key, ...] = ()
        """What the decision depended on, with `values`."""
        self.values: list[bytes] = []
        self.existed: dict[bytes, int] = {}
        """Outputs that were there before -> d_type; set by whoever needs it."""
        self.listed: dict[bytes, frozenset[tuple[bytes, int]]] = {}
        """Directories whose entries are in `keys` -> (name, d_type) of each, in the same way."""
        self._store = store
        self._fds = fds
        self._counters = Counters() if counters is None else counters
        self._aside = Aside(store.directory)
        self._staging = Staging(self._aside)
        self._undo = Undo(self._aside, self._staging)
        self._staged: dict[bytes, Staged] = {}
        self._written: dict[bytes, bytes] = {}
        """Contents at hand, of files that are written in place."""
        self._places: dict[bytes, bytes] = {}
        self._data = b""
        self._bytes = 0
        self._budget = _AT_ONCE
        self._later: list[tuple[Output, bytes | None, os.stat_result | None]] = []
        """Files that `commit` stages: their content if it is at hand, and what is there now, if
        that may be right already."""
        self._data_later = False
        self._cancelled = False
        self._replaced: set[bytes] = set()

    @property
    def status(self) -> int:
        """Wait status, as waitpid(2) gives it."""
        return self.outcome.status

    @property
    def wall_ns(self) -> int:
        """How long the execution took when it was recorded."""
        return self.outcome.wall_ns

    @property
    def heavy(self) -> bool:
        """Whether `commit` has so much to do that nobody else should wait for it."""
        return bool(self._later) or self._data_later

    def sizes(self) -> list[tuple[int, int]]:
        """(descriptor of the task, number of bytes) of `writes`."""
        return list(self.outcome.chunks)

    def writes(self, files: Container[int] = ()) -> list[tuple[int, memoryview]]:
        """(descriptor of the task, bytes) in the order to write; after `commit`.

        `files`: descriptors of regular files, which come first, as what is written to them can be
        taken back; who reads the others does not see that."""
        data = memoryview(self._data)
        writes = []
        at = 0
        for fd, length in self.outcome.chunks:
            writes.append((fd, data[at : at + length]))
            at += length
        writes.sort(key=lambda write: write[0] not in files)
        return writes

    def prepare(self) -> None:
        """Verifies contents and stages files, as far as that takes no time.

        Raises StoreError (DamagedBlob) or OSError, having cleaned up.
        """
        try:
            if self.outcome.data:
                self._prepare_data(self.outcome.data)
            if self.outcome.outputs:
                self._find_replaced()
            for output in self.outcome.outputs:
                if output.kind in (b"f", b"w"):
                    self._prepare_file(output)
                else:
                    self._check(output)
            for fd, offset in self.outcome.offsets:
                if offset == APPENDING:
                    fcntl.fcntl(self._fds.get(fd), fcntl.F_GETFL)
                else:
                    os.lseek(self._fds.get(fd), 0, os.SEEK_CUR)
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Removes what was staged.  Harmless after `conclude`."""
        for staged in self._staged.values():
            staged.discard()
        self._staged.clear()
        self._undo.forget()
        self._staging.close()
        self._aside.close()

    def cancel(self) -> None:
        """Makes a `commit` that is still staging give up; from any thread."""
        self._cancelled = True

    def commit(self) -> None:
        """Makes every path what the outcome says, and sets offsets.

        Contents that `prepare` left are staged first.  Raises OSError (ECANCELED after `cancel`) or
        DamagedBlob, having undone what it did: then the command must run.
        """
        since = self._counters.timing.now()
        self._stage_rest()
        try:
            if self.outcome.outputs:
                Placement(
                    self._undo,
                    self._aside,
                    self._staged,
                    self._written,
                    self._within_replaced,
                    self.decided_ns,
                ).put_all(self.outcome.outputs)
            for fd, offset in self.outcome.offsets:
                self._set_offset(self._fds.get(fd), offset)
        except BaseException:
            self.take_back()
            raise
        self._counters.timing.spent("placing", since)

    def conclude(self) -> None:
        """What `commit` did stays."""
        if self.outcome.outputs:
            self._count(len(self._staged) + len(self._written))
        self.abandon()

    def take_back(self) -> None:
        """Undoes what `commit` did, as far as that can be done: the command must run."""
        self._undo.take_back()
        self.abandon()

    # Preparing

    def _find_replaced(self) -> None:
        """Finds outputs that others are below, and that are no directories yet.

        Paths below them must not be looked up before they are: they may be symbolic links.
        """
        parents = {os.path.dirname(output.path) for output in self.outcome.outputs}
        for output in sorted(self.outcome.outputs, key=_path):
            path = output.path
            if path in parents and (self._within_replaced(path) or mode_of(path) != S_IFDIR):
                self._replaced.add(path)

    def _within_replaced(self, path: bytes) -> bool:
        while self._replaced and path != b"/":
            path = os.path.dirname(path)
            if path in self._replaced:
                return True
        return False

    def _prepare_data(self, digest: Digest) -> None:
        blobs = self._store.blobs
        data = blobs.small(digest)
        if data is not None:
            self._data = data
        elif self._afford(blobs.objects.size(digest)):
            self._data = blobs.objects.read(digest)
        else:
            self._data_later = True

    def _prepare_file(self, output: Output) -> None:
        there = self._candidate(output)
        if there is not None and there.st_size <= _AT_ONCE:
            if self._holds(output, there):
                return
            there = None
        elif there is not None and self._store.digests.remembered(there) == output.content:
            return
        in_place = output.kind == b"w" and self._is_file(output.path)
        if in_place and not os.access(output.path, os.W_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), output.path)
        if not in_place:
            self._place(output.path)
        blobs = self._store.blobs
        data = blobs.small(output.content)
        if data is not None and in_place and not output.extents:
            self._written[output.path] = data
            self._bytes += len(data)
            return
        size = blobs.objects.size(output.content) if data is None else len(data)
        if self._afford(size + _PER_FILE):
            self._stage(output, data)
        else:
            self._later.append((output, data, there))

    def _afford(self, cost: int) -> bool:
        """Whether `prepare` has the time for something."""
        self._budget -= cost
        return self._budget >= 0

    def _candidate(self, output: Output) -> os.stat_result | None:
        """What is at the place of an output if it could be right already: then only its time
        changes.  In place of a new file that is only one like a new one."""
        if self._within_replaced(output.path):
            return None
        try:
            st = os.lstat(output.path)
            if st.st_mode & 0o170000 != S_IFREG or output.extents or may_have_holes(st):
                return None
            if output.kind == b"w":
                return None if _has_capabilities(output.path) else st
            right = st.st_mode & 0o7777 == output.mode and st.st_uid == os.geteuid()
            return st if right and is_plain(output.path, st, os.getegid()) else None
        except OSError:
            return None

    def _is_file(self, path: bytes) -> bool:
        return not self._within_replaced(path) and mode_of(path) == S_IFREG

    def _holds(self, output: Output, st: os.stat_result) -> bool:
        try:
            return self._store.digests.file_digest(output.path, st) == output.content
        except OSError:
            return False

    def _stage_rest(self) -> None:
        """Stages what `prepare` left; uses nothing of the store that belongs to one thread."""
        try:
            for output, data, there in self._later:
                if there is None or not self._is_still(output, there):
                    self._stage(output, data)
            if self._data_later:
                self._data = self._store.blobs.objects.read(self.outcome.data)
            self._go_on()
        except BaseException:
            self.abandon()
            raise
        self._later.clear()
        self._data_later = False

    def _is_still(self, output: Output, there: os.stat_result) -> bool:
        try:
            return content_digests(output.path, there, self._go_on) == [output.content]
        except OSError:
            return False

    def _go_on(self) -> None:
        if self._cancelled:
            raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))

    def _stage(self, output: Output, data: bytes | None) -> None:
        """`data`: the content, if it is at hand."""
        staged = self._staging.new(self._place(output.path))
        self._staged[output.path] = staged
        if data is None:
            size = self._store.blobs.objects.copy_to(
                output.content, staged.fd, self._go_on, output.extents
            )
        elif output.extents:
            Writer(staged.fd, output.extents).write(data)
            size = len(data)
        else:
            write_all(staged.fd, data)
            size = len(data)
        # After writing, which clears set-user-id; and not by open(2), which heeds the umask.
        os.fchmod(staged.fd, output.mode)
        staged.settle()
        self._bytes += size

    def _check(self, output: Output) -> None:
        if output.kind == b"t":
            self._place(os.path.join(output.path, b"."))
            return
        if output.kind == b"r" and not os.path.lexists(output.content):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), output.content)
        mode = None if self._within_replaced(output.path) else mode_of(output.path)
        if (output.kind == b"-" and mode is None) or (output.kind == b"d" and mode == S_IFDIR):
            return
        self._place(output.path)

    def _place(self, path: bytes) -> bytes:
        """An existing directory that we may write to, on the file system `path` will be on: its
        parent, or where that is yet to be made, the nearest above."""
        parent = os.path.dirname(path)
        place = self._places.get(parent)
        if place is None:
            place = parent
            while place in self._replaced:
                place = os.path.dirname(place)
            if not os.path.isdir(place):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), place)
            if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), place)
            self._places[parent] = place
        return place

    # Committing

    def _set_offset(self, fd: int, offset: int) -> None:
        if offset == APPENDING:
            flags = fcntl.fcntl(fd, fcntl.F_GETFL)
            fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_APPEND)
            self._undo.add(fcntl.fcntl, fd, fcntl.F_SETFL, flags)
            return
        before = os.lseek(fd, 0, os.SEEK_CUR)
        os.lseek(fd, offset, os.SEEK_SET)
        self._undo.add(os.lseek, fd, before, os.SEEK_SET)

    def _count(self, restored: int) -> None:
        kinds = [output.kind for output in self.outcome.outputs]
        self._counters.inc("files restored", restored)
        self._counters.inc("bytes restored", self._bytes)
        self._counters.inc("files kept", kinds.count(b"f") + kinds.count(b"w") - restored)
        self._counters.inc("paths deleted", kinds.count(b"-"))


def _path(output: Output) -> bytes:
    return output.path


def _has_capabilities(path: bytes) -> bool:
    """Whether a file has capabilities, which whoever writes to it takes away (capabilities(7))."""
    try:
        os.getxattr(path, b"security.capability", follow_symlinks=False)
    except OSError as error:
        return error.errno not in (errno.ENODATA, errno.EOPNOTSUPP)
    return True
