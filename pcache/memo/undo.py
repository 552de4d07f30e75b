"""What a hit has changed so far, to be taken back if it comes to nothing."""

from __future__ import annotations

import os
from stat import S_ISFIFO, S_ISLNK, S_ISREG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pcache.memo.staging import Staged, Staging
    from pcache.store.aside import Aside

_IN_MEMORY = 1 << 16
"""Bytes of a content that is kept in memory."""
_ALL_IN_MEMORY = 1 << 23
_PIECE = 1 << 20


class Undo:
    """A list of actions, the last one to be done first; and what they need, kept aside."""

    def __init__(self, aside: Aside, staging: Staging) -> None:
        self._aside = aside
        self._actions: list[tuple[Callable[..., object], tuple[object, ...]]] = []
        self._kept = _Kept(staging)
        self._doomed: list[bytes] = []

    def add(self, action: Callable[..., object], *arguments: object) -> None:
        self._actions.append((action, arguments))

    def keep(self, path: bytes) -> None:
        """Keeps what is at `path`, no directory, and about to be replaced.  Raises OSError."""
        try:
            name = self._aside.name()
            os.link(path, name, follow_symlinks=False)
        except OSError:  # another file system, or somebody else's file
            self._keep_copy(path)
        else:
            self.add(os.rename, name, path)

    def remove(self, path: bytes) -> None:
        """Removes what is at `path`, no directory.  Raises OSError."""
        try:
            name = self._aside.name()
            os.rename(path, name)
        except OSError:
            self._keep_copy(path)
            os.unlink(path)
        else:
            self.add(os.rename, name, path)

    def remove_tree(self, path: bytes) -> None:
        """Removes a directory with what is in it.  Raises OSError."""
        name = b"%b/garbage-%b" % (os.path.dirname(path), os.urandom(16).hex().encode())
        os.rename(path, name)
        self.add(os.rename, name, path)
        self._doomed.append(name)

    def keep_content(self, path: bytes, fd: int, st: os.stat_result) -> None:
        """Keeps the content of a file, open for reading, that is about to be written to."""
        content = self._kept.content(fd, st.st_size, os.path.dirname(path))
        self.add(self._write_back, path, content, st)

    def keep_times(self, path: bytes, st: os.stat_result) -> None:
        """Keeps the times of what is at a path itself."""
        self.add(_set_times, path, st)

    def take_back(self) -> None:
        """Undoes everything, as far as that can be done: every bit of it helps the command that
        runs next."""
        self._doomed.clear()
        while self._actions:
            action, arguments = self._actions.pop()
            try:
                action(*arguments)
            except OSError:
                continue
        self.forget()

    def forget(self) -> None:
        """What was done stays."""
        self._actions.clear()
        self._kept.close()
        if self._doomed:
            from pcache.memo.numbered import remove_all

            remove_all(self._doomed)

    def _keep_copy(self, path: bytes) -> None:
        st = os.lstat(path)
        if S_ISLNK(st.st_mode):
            self.add(self._make_again, path, st, os.symlink, os.readlink(path))
        elif S_ISFIFO(st.st_mode):
            self.add(self._make_again, path, st, os.mkfifo)
        elif S_ISREG(st.st_mode):
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                content = self._kept.content(fd, st.st_size, os.path.dirname(path))
            finally:
                os.close(fd)
            self.add(self._write_again, path, content, st)
        else:
            raise OSError(95, "a socket or device is in the way", path)

    def _write_back(self, path: bytes, content: _Content, st: os.stat_result) -> None:
        """The same file gets its content again."""
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.ftruncate(fd, 0)
            self._kept.give(content, fd)
            os.fchmod(fd, st.st_mode & 0o7777)
            os.utime(fd, ns=(st.st_atime_ns, st.st_mtime_ns))
        finally:
            os.close(fd)

    def _write_again(self, path: bytes, content: _Content, st: os.stat_result) -> None:
        """Another file with what was kept of one."""
        name = self._aside.hidden(os.path.dirname(path))
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self._write_back(name, content, st)
        os.rename(name, path)

    def _make_again(
        self, path: bytes, st: os.stat_result, make: Callable[..., object], *first: object
    ) -> None:
        name = self._aside.hidden(os.path.dirname(path))
        make(*first, name)
        if not S_ISLNK(st.st_mode):
            os.chmod(name, st.st_mode & 0o7777)
        os.rename(name, path)


_Content = bytes | tuple[int, int]
"""Bytes, or where in the file of kept contents they begin and how many they are."""


class _Kept:
    """Contents: short ones in memory, the others one after another in a nameless file."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging
        self._memory = _ALL_IN_MEMORY
        self._file: Staged | None = None
        self._end = 0

    def content(self, fd: int, size: int, directory: bytes) -> _Content:
        """Keeps that of an open file; `directory` is on the file system to keep it on."""
        if size <= min(_IN_MEMORY, self._memory):
            data = os.pread(fd, size, 0)
            self._memory -= len(data)
            return data
        if self._file is None:
            self._file = self._staging.new(directory)
            self._file.hide()
        start = self._end
        at = 0
        while data := os.pread(fd, _PIECE, at):
            os.pwrite(self._file.fd, data, start + at)
            at += len(data)
        self._end += at
        return start, at

    def give(self, content: _Content, target: int) -> None:
        """Writes one to an empty file."""
        if isinstance(content, bytes):
            os.pwrite(target, content, 0)
            return
        start, size = content
        assert self._file is not None
        for at in range(0, size, _PIECE):
            length = min(_PIECE, size - at)
            os.pwrite(target, os.pread(self._file.fd, length, start + at), at)

    def close(self) -> None:
        if self._file is not None:
            self._file.discard()
            self._file = None


def _set_times(path: bytes, st: os.stat_result) -> None:
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns), follow_symlinks=False)
