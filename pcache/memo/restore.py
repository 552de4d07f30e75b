"""Putting a recorded outcome in place.

Everything that can fail for a foreseeable reason (damaged blob, full disk, missing permission) is
done before anything changes that programs can see: what takes no time by `prepare`, large contents
by `commit`, at its beginning.  The rest of `commit` consists of renames, and it takes back what it
has done if one of them fails all the same, because the command will run then, and must find its
inputs as they were.
"""

from __future__ import annotations

import errno
import os
from stat import S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG

from pcache.counters import Counters
from pcache.linux.files import write_all
from pcache.linux.stamps import fresh_ns
from pcache.memo.staging import Staging, forget
from pcache.model import FRESH, UNITS_NS, shared_group
from pcache.store.digests import content_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pcache.linux.descriptors import FdView
    from pcache.memo.staging import Staged
    from pcache.model import Digest, Key, Outcome, Output
    from pcache.store.index import Store


_AT_ONCE = 1 << 20
"""Bytes that `prepare` may write, all contents together: about a millisecond's worth."""
_PER_FILE = 1 << 14
"""What making a file costs, in bytes written."""


class Plan:
    """One hit, to be put in place: `prepare`, then `commit` or `abandon`.

    `commit` of a `heavy` plan may be called from another thread than the rest.
    """

    def __init__(
        self, outcome: Outcome, store: Store, fds: FdView, counters: Counters | None = None
    ) -> None:
        self.outcome = outcome
        self.keys: tuple[Key, ...] = ()
        """What the decision depended on, with `values`; set by whoever made it."""
        self.values: list[bytes] = []
        self.existed: dict[bytes, int] = {}
        """Outputs that were there before -> d_type; set by whoever needs it."""
        self.listed: dict[bytes, frozenset[tuple[bytes, int]]] = {}
        """Directories whose entries are in `keys` -> (name, d_type) of each, in the same way."""
        self._store = store
        self._fds = fds
        self._counters = Counters() if counters is None else counters
        self._staging = Staging()
        self._staged: dict[bytes, Staged] = {}
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
        self._gone = {output.path for output in outcome.outputs if output.kind != b"d"}
        self._undo: list[tuple[Callable[..., object], tuple[object, ...]]] = []
        self._aside: list[bytes] = []
        self._shared: dict[int, int] = {}
        """Times that outputs have in common, by group."""

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

    def writes(self) -> list[tuple[int, memoryview]]:
        """(descriptor of the task, bytes) in the order to write; after `commit`."""
        data = memoryview(self._data)
        writes = []
        at = 0
        for fd, length in self.outcome.chunks:
            writes.append((fd, data[at : at + length]))
            at += length
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
                if output.kind != b"f":
                    self._check(output)
                else:
                    self._prepare_file(output)
            for fd, _ in self.outcome.offsets:
                os.lseek(self._fds.get(fd), 0, os.SEEK_CUR)
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Removes what was staged.  Harmless after `commit`."""
        for staged in self._staged.values():
            staged.discard()
        self._staged.clear()

    def cancel(self) -> None:
        """Makes a `commit` that is still staging give up; from any thread."""
        self._cancelled = True

    def commit(self) -> None:
        """Makes every path what the outcome says, and sets offsets.

        Contents that `prepare` left are staged first.  Then come deletions, deepest first; then
        directories; then files, symbolic links and fifos in the recorded order; then hard links,
        whose other name exists by then; last the directories' modes and times, which may forbid
        writing into them.  Raises OSError (ECANCELED after `cancel`) or DamagedBlob, having undone
        what it did: then the command must run.
        """
        since = self._counters.timing.now()
        self._stage_rest()
        try:
            if self.outcome.outputs:
                self._put_all(self.outcome.outputs)
            for fd, offset in self.outcome.offsets:
                self._set_offset(self._fds.get(fd), offset)
        except BaseException:
            self._roll_back()
            raise
        self._undo.clear()
        if self.outcome.outputs:
            self._count(len(self._staged))
        self._clean_up()
        self._counters.timing.spent("placing", since)

    # Preparing

    def _find_replaced(self) -> None:
        """Finds outputs that others are below, and that are no directories yet.

        Paths below them must not be looked up before they are: they may be symbolic links.
        """
        parents = {os.path.dirname(output.path) for output in self.outcome.outputs}
        for output in sorted(self.outcome.outputs, key=_path):
            path = output.path
            if path in parents and (self._within_replaced(path) or _mode(path) != S_IFDIR):
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
        self._place(output.path)
        blobs = self._store.blobs
        data = blobs.small(output.content)
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
        changes."""
        if self._within_replaced(output.path):
            return None
        try:
            st = os.lstat(output.path)
        except OSError:
            return None
        right = st.st_mode == S_IFREG | output.mode and st.st_uid == os.geteuid()
        return st if right else None

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
            return content_digest(output.path, there, self._go_on) == output.content
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
            size = self._store.blobs.objects.copy_to(output.content, staged.fd, self._go_on)
        else:
            write_all(staged.fd, data)
            size = len(data)
        # After writing, which clears set-user-id; and not by open(2), which heeds the umask.
        os.fchmod(staged.fd, output.mode)
        staged.settle()
        self._bytes += size

    def _check(self, output: Output) -> None:
        mode = None if self._within_replaced(output.path) else _mode(output.path)
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

    def _put_all(self, outputs: tuple[Output, ...]) -> None:
        directories = sorted((o for o in outputs if o.kind == b"d"), key=_path)
        for output in sorted((o for o in outputs if o.kind == b"-"), key=_path, reverse=True):
            if not self._within_replaced(output.path):
                self._clear(output.path)
        for output in directories:
            self._make_directory(output.path)
        for output in outputs:
            if output.kind == b"f":
                self._put_file(output)
            elif output.kind == b"l":
                self._put_symlink(output)
            elif output.kind == b"p":
                self._put_fifo(output)
        for output in outputs:
            if output.kind == b"h":
                self._put_link(output)
        for output in reversed(directories):
            self._finish_directory(output)
        for output in outputs:
            if output.kind == b"m":
                self._set_attributes(output)

    def _put_file(self, output: Output) -> None:
        staged = self._staged.get(output.path)
        if staged is None:
            self._set_time(output)
            return
        # The order of the outputs' times is the recorded one, not that of staging.
        staged.set_time(self._time(output.mtime_ns))
        self._put(output.path, staged.publish)

    def _put_symlink(self, output: Output) -> None:
        if _mode(output.path) != S_IFLNK or os.readlink(output.path) != output.content:
            self._put(output.path, lambda path: os.symlink(output.content, path))
        self._set_time(output)

    def _put_fifo(self, output: Output) -> None:
        def make(path: bytes) -> None:
            os.mkfifo(path, 0o600)
            os.chmod(path, output.mode)

        if _mode(output.path, permissions=True) != S_IFIFO | output.mode:
            self._put(output.path, make)

    def _put_link(self, output: Output) -> None:
        other = os.lstat(output.content)
        try:
            if os.path.samestat(os.lstat(output.path), other):
                return
        except FileNotFoundError:
            pass
        self._put(output.path, lambda path: os.link(output.content, path, follow_symlinks=False))

    def _put(self, path: bytes, make: Callable[[bytes], None]) -> None:
        """Has something new made at `path`, in place of what is there."""
        mode = _mode(path)
        if mode == S_IFDIR:
            self._clear(path)
            mode = None
        if mode is None:
            make(path)
            self._undo.append((os.unlink, (path,)))
            return
        # A second name keeps the old file, so that the new one can replace it in one step and the
        # old one can come back.
        directory = os.path.dirname(path)
        old = self._staging.spare_name(directory)
        os.link(path, old, follow_symlinks=False)
        self._aside.append(old)
        new = self._staging.spare_name(directory)
        make(new)
        try:
            os.rename(new, path)
        except OSError:
            forget(new)
            raise
        self._undo.append((os.rename, (old, path)))

    def _clear(self, path: bytes) -> None:
        """Removes what is at `path`, if anything: a directory must be empty."""
        mode = _mode(path, permissions=True)
        if mode is None:
            return
        if S_IFMT(mode) == S_IFDIR:
            os.rmdir(path)
            self._undo.append((os.chmod, (path, mode & 0o7777)))
            self._undo.append((os.mkdir, (path,)))
            return
        directory = os.path.dirname(path)
        while directory in self._gone:
            directory = os.path.dirname(directory)
        aside = self._staging.spare_name(directory)
        os.rename(path, aside)
        self._aside.append(aside)
        self._undo.append((os.rename, (aside, path)))

    def _make_directory(self, path: bytes) -> None:
        mode = _mode(path)
        if mode == S_IFDIR:
            return
        self._clear(path)
        os.mkdir(path, 0o700)
        self._undo.append((os.rmdir, (path,)))
        os.chmod(path, 0o700)

    def _set_attributes(self, output: Output) -> None:
        """Mode, and a time that was given, of something whose content stays."""
        before = os.stat(output.path)
        self._undo.append((os.chmod, (output.path, before.st_mode & 0o7777)))
        os.chmod(output.path, output.mode)
        if output.mtime_ns != FRESH:
            self._set_time(output)

    def _finish_directory(self, output: Output) -> None:
        st = os.lstat(output.path)
        if st.st_mode & 0o7777 != output.mode:
            os.chmod(output.path, output.mode)
            self._undo.append((os.chmod, (output.path, st.st_mode & 0o7777)))
        if output.mtime_ns != FRESH:
            self._set_time(output)

    def _set_time(self, output: Output) -> None:
        mtime_ns = self._time(output.mtime_ns)
        os.utime(output.path, ns=(mtime_ns, mtime_ns), follow_symlinks=False)

    def _time(self, mtime_ns: int) -> int:
        """What an output's time is to be."""
        shared = shared_group(mtime_ns)
        if shared is not None:
            group, unit = shared
            if group not in self._shared:
                self._shared[group] = fresh_ns()
            mtime_ns = self._shared[group]
            return mtime_ns // UNITS_NS[unit] * UNITS_NS[unit]
        return mtime_ns if mtime_ns >= 0 else fresh_ns()

    def _set_offset(self, fd: int, offset: int) -> None:
        before = os.lseek(fd, 0, os.SEEK_CUR)
        os.lseek(fd, offset, os.SEEK_SET)
        self._undo.append((os.lseek, (fd, before, os.SEEK_SET)))

    def _roll_back(self) -> None:
        while self._undo:
            action, arguments = self._undo.pop()
            try:
                action(*arguments)
            except OSError:
                # The rest may still succeed, and every bit of it helps the command that runs next.
                continue
        self._clean_up()

    def _clean_up(self) -> None:
        while self._aside:
            forget(self._aside.pop())
        self.abandon()

    def _count(self, restored: int) -> None:
        kinds = [output.kind for output in self.outcome.outputs]
        self._counters.inc("files restored", restored)
        self._counters.inc("bytes restored", self._bytes)
        self._counters.inc("files kept", kinds.count(b"f") - restored)
        self._counters.inc("paths deleted", kinds.count(b"-"))


def _path(output: Output) -> bytes:
    return output.path


def _mode(path: bytes, permissions: bool = False) -> int | None:
    """Type of what is at `path` (links not followed), with its permission bits if wanted."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    return mode if permissions else S_IFMT(mode)
