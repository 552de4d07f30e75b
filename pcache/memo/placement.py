"""Making every path what an outcome says, step by step, each of which can be taken back."""

from __future__ import annotations

import errno
import os
from stat import S_IFDIR, S_IFMT, S_ISLNK, S_ISREG

from pcache.linux.plain import is_plain
from pcache.linux.sparse import Writer, may_have_holes
from pcache.linux.stamps import RACY_NS, fresh_ns
from pcache.memo import git_index
from pcache.model import FRESH, SERIES
from pcache.times import UNITS_NS, shared_group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pcache.memo.staging import Staged
    from pcache.memo.undo import Undo
    from pcache.model import Output
    from pcache.store.aside import Aside

_PIECE = 1 << 20
_NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})  # rmdir(2): either may come


class Placement:
    """The outputs of one hit.  `put_all` raises OSError having done a part of it."""

    def __init__(
        self,
        undo: Undo,
        aside: Aside,
        staged: dict[bytes, Staged],
        written: dict[bytes, bytes],
        within_replaced: Callable[[bytes], bool],
        decided_ns: int,
    ) -> None:
        """`staged`: contents of files by their paths; `written`: those at hand, for files that are
        written in place; what is in neither has the right content already.  `decided_ns`: when the
        inputs were looked at (time.time_ns)."""
        self._undo = undo
        self._aside = aside
        self._staged = staged
        self._written = written
        self._within_replaced = within_replaced
        self._decided_ns = decided_ns
        self._entered: set[bytes] = set()
        """Directories in which an entry was made or removed to no visible effect."""
        self._shared: dict[int, int] = {}
        """Times that outputs have in common, by group."""
        self._numbered: frozenset[bytes] = frozenset()
        """Directories with numbers that nobody else must have taken meanwhile."""

    def put_all(self, outputs: tuple[Output, ...]) -> None:
        """Deletions, deepest first; directories; what is moved, and then the directories that it
        was in; files, symbolic links and fifos in the recorded order; hard links, whose other name
        exists by then; last the directories' modes and times, which may forbid writing into them,
        and what goes of numbered directories.
        """
        outdated = self._take_numbers(output for output in outputs if output.kind == SERIES)
        moves = [output for output in outputs if output.kind == b"r"]
        sources = {output.content for output in moves}
        above = _above(sources)
        directories = sorted((o for o in outputs if o.kind == b"d"), key=_path)
        removed = sorted((o.path for o in outputs if o.kind == b"-"), reverse=True)
        for path in removed:
            if path not in sources and path not in above and not self._within_replaced(path):
                self._remove(path)
        for output in directories:
            self._make_directory(output.path)
        self._move_all(moves)
        for path in removed:
            if path in above:
                self._clear(path)
        indexes = []
        for output in outputs:
            if output.kind in (b"f", b"w") and output.path.endswith(git_index.PLACE):
                indexes.append(output)
            elif output.kind in (b"f", b"w"):
                self._put_file(output)
            elif output.kind == b"l":
                self._put_symlink(output)
            elif output.kind == b"p":
                self._put_fifo(output)
        for output in outputs:
            if output.kind == b"h":
                self._put_link(output)
            elif output.kind == b"t":
                self._entered.add(output.path)
        for directory in self._entered:
            os.utime(directory)
        for output in reversed(directories):
            self._finish_directory(output)
        for output in outputs:
            if output.kind == b"m":
                self._set_attributes(output)
        if indexes:
            self._put_indexes(indexes, {output.path for output in outputs})
        for path in outdated:
            self._undo.remove_tree(path)

    def _take_numbers(self, series: Iterable[Output]) -> list[bytes]:
        """Notes which directories must be new, and returns which go."""
        outdated: list[bytes] = []
        for output in series:
            from pcache.memo.numbered import new_and_outdated

            new, old = new_and_outdated(output)
            self._numbered |= new
            outdated += old
        return outdated

    # Files

    def _put_file(self, output: Output) -> None:
        path = output.path
        staged, data = self._staged.get(path), self._written.get(path)
        if data is not None or (output.kind == b"w" and staged is not None and _is_file(path)):
            self._write(output, staged, data)
        elif staged is None:
            self._keep(output)
        else:
            # The order of the outputs' times is the recorded one, not that of staging.
            staged.set_time(self._time(output.mtime_ns))
            self._put(path, staged.publish)

    def _put_indexes(self, indexes: list[Output], own: set[bytes]) -> None:
        """git's indexes, with the status of files as they are by now; `own`: paths of outputs."""

        def status(name: bytes) -> os.stat_result:
            path = tree + name
            st = os.lstat(path)
            if path not in own and st.st_ctime_ns > self._decided_ns - RACY_NS:
                raise OSError(errno.ESTALE, "it may have changed since it was hashed", path)
            return st

        for output in indexes:
            tree = output.path.removesuffix(git_index.PLACE) + b"/"
            staged, data = self._staged.get(output.path), self._written.get(output.path)
            if data is None and staged is not None:
                with open(staged.contents(), "rb") as file:
                    data = file.read()
            if data is not None and git_index.is_index(output.path, data):
                data = git_index.with_status(data, status)
                if output.path in self._written:
                    self._written[output.path] = data
                elif staged is not None:
                    staged.overwrite(data)
            self._put_file(output)

    def _keep(self, output: Output) -> None:
        """The content is right: of a file written in place the mode may not be, and of one that
        was replaced the directory tells."""
        path = output.path
        st = os.lstat(path)
        self._undo.keep_times(path, st)
        if st.st_mode & 0o7777 != output.mode:
            self._undo.add(os.chmod, path, st.st_mode & 0o7777)
            os.chmod(path, output.mode)
        if output.kind == b"f":
            self._entered.add(os.path.dirname(path))
        _set_time(path, st, self._time(output.mtime_ns))

    def _write(self, output: Output, staged: Staged | None, data: bytes | None) -> None:
        """Puts the content into the file that is there, which others may have open, or know by
        another name."""
        path = output.path
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            st = os.fstat(fd)
            if not S_ISREG(st.st_mode):
                raise FileExistsError(17, "no regular file any more", path)
            self._undo.keep_content(path, fd, st)
            if output.extents or may_have_holes(st):
                os.ftruncate(fd, 0)
            if data is not None:
                _overwrite(fd, data, st.st_size)
            elif staged is not None:
                source = staged.contents()
                try:
                    _copy(source, fd, output.extents)
                finally:
                    os.close(source)
                staged.discard()
            if os.fstat(fd).st_mode & 0o7777 != output.mode:
                os.fchmod(fd, output.mode)
            os.utime(fd, ns=(st.st_atime_ns, self._time(output.mtime_ns)))
        finally:
            os.close(fd)

    def _move_all(self, moves: list[Output]) -> None:
        """What makes room for another first; there are no circles."""
        leaving = {output.content: output for output in moves}
        while leaving:
            chain = [leaving.popitem()[1]]
            while (other := leaving.pop(chain[-1].path, None)) is not None:
                chain.append(other)
            for output in reversed(chain):
                self._move(output)

    def _move(self, output: Output) -> None:
        """As it was: with its other names, its times and whatever else it has."""
        path, source = output.path, output.content
        mode = _mode(path)
        if mode == S_IFDIR:
            self._clear(path)
        elif mode is not None:
            self._undo.keep(path)
        os.rename(source, path)
        self._undo.add(os.rename, path, source)

    # What is no file

    def _put_symlink(self, output: Output) -> None:
        def make(path: bytes, replace: bool) -> None:
            self._make(path, replace, lambda name: os.symlink(output.content, name))

        self._put(output.path, make)
        _set_time(output.path, os.lstat(output.path), self._time(output.mtime_ns))

    def _put_fifo(self, output: Output) -> None:
        def make_fifo(name: bytes) -> None:
            os.mkfifo(name, 0o600)
            os.chmod(name, output.mode)

        def make(path: bytes, replace: bool) -> None:
            self._make(path, replace, make_fifo)

        self._put(output.path, make)

    def _put_link(self, output: Output) -> None:
        def make(path: bytes, replace: bool) -> None:
            self._make(path, replace, lambda n: os.link(output.content, n, follow_symlinks=False))

        other = os.lstat(output.content)
        try:
            if os.path.samestat(os.lstat(output.path), other):
                self._entered.add(os.path.dirname(output.path))
                return
        except FileNotFoundError:
            pass
        self._put(output.path, make)

    def _make_directory(self, path: bytes) -> None:
        """One that is there makes room for the new one, unless there is something in it that the
        execution has removed: then it must be one like a new one, and gets its times."""
        try:
            if path not in self._numbered:
                self._clear(path)
        except OSError as error:
            if error.errno not in _NOT_EMPTY:
                raise
            st = os.lstat(path)
            if st.st_uid != os.geteuid() or not is_plain(path, st, os.getegid()):
                raise
            self._entered.update((path, os.path.dirname(path)))
            return
        os.mkdir(path, 0o700)
        self._undo.add(os.rmdir, path)
        given = os.lstat(path).st_mode & 0o7000
        os.chmod(path, given | 0o700)

    def _finish_directory(self, output: Output) -> None:
        st = os.lstat(output.path)
        if st.st_mode & 0o7777 != output.mode:
            self._undo.add(os.chmod, output.path, st.st_mode & 0o7777)
            os.chmod(output.path, output.mode)
            if os.lstat(output.path).st_mode & 0o7777 != output.mode:
                # chmod(2): set-group-ID is for members of the group, who can only inherit it.
                raise PermissionError(1, "the mode cannot be given", output.path)
        if output.mtime_ns != FRESH:
            _set_time(output.path, st, self._time(output.mtime_ns))

    def _set_attributes(self, output: Output) -> None:
        """Mode, and a time that was given, of something whose content stays."""
        before = os.lstat(output.path)
        self._undo.keep_times(output.path, before)
        if not S_ISLNK(before.st_mode):
            self._undo.add(os.chmod, output.path, before.st_mode & 0o7777)
            os.chmod(output.path, output.mode)
        if output.mtime_ns != FRESH:
            _set_time(output.path, before, self._time(output.mtime_ns))

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

    # Names

    def _put(self, path: bytes, publish: Callable[[bytes, bool], None]) -> None:
        """Has something new published at `path`, in place of what is there."""
        mode = _mode(path)
        if mode == S_IFDIR:
            self._clear(path)
            mode = None
        if mode is None:
            publish(path, False)
            self._undo.add(os.unlink, path)
        else:
            self._undo.keep(path)
            publish(path, True)

    def _make(self, path: bytes, replace: bool, make: Callable[[bytes], None]) -> None:
        """Has something made at `path`; in place of what is there in one step."""
        if not replace:
            make(path)
            return
        name = self._aside.hidden(os.path.dirname(path))
        make(name)
        os.rename(name, path)

    def _remove(self, path: bytes) -> None:
        if _mode(path) is not None:
            self._clear(path)
        elif os.path.isdir(directory := os.path.dirname(path)):
            self._entered.add(directory)

    def _clear(self, path: bytes) -> None:
        """Removes what is at `path`, if anything: a directory must be empty."""
        mode = _mode(path, permissions=True)
        if mode is None:
            return
        if S_IFMT(mode) == S_IFDIR:
            os.rmdir(path)
            self._undo.add(os.chmod, path, mode & 0o7777)
            self._undo.add(os.mkdir, path)
        else:
            self._undo.remove(path)


def mode_of(path: bytes) -> int | None:
    """Type of what is at a path (links not followed); None for nothing."""
    return _mode(path)


def _path(output: Output) -> bytes:
    return output.path


def _mode(path: bytes, permissions: bool = False) -> int | None:
    """Type of what is at `path` (links not followed), with its permission bits if wanted."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    return mode if permissions else S_IFMT(mode)


def _is_file(path: bytes) -> bool:
    try:
        return S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _above(paths: Iterable[bytes]) -> set[bytes]:
    """All directories that lead to these paths."""
    found: set[bytes] = set()
    for path in paths:
        while (path := os.path.dirname(path)) not in found and path != b"/":
            found.add(path)
    return found


def _set_time(path: bytes, st: os.stat_result, mtime_ns: int) -> None:
    """The modification time; that of the last access stays."""
    os.utime(path, ns=(st.st_atime_ns, mtime_ns), follow_symlinks=False)


def _overwrite(fd: int, data: bytes, size: int) -> None:
    """Makes `data` the content of a file of that size: what was appended to is only appended to."""
    at = size if len(data) >= size and os.pread(fd, size, 0) == data[:size] else 0
    view = memoryview(data)
    while at < len(data):
        at += os.pwrite(fd, view[at:], at)
    os.ftruncate(fd, len(data))


def _copy(source: int, target: int, extents: tuple[int, ...]) -> None:
    """Makes the content of one file that of another."""
    size = os.fstat(source).st_size
    if extents:
        writer = Writer(target, extents)
        for at in range(0, size, _PIECE):
            writer.write(os.pread(source, _PIECE, at))
        return
    at = 0
    while at < size:
        at += os.copy_file_range(source, target, size - at, at, at)
    os.ftruncate(target, size)
