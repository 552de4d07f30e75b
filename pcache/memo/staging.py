"""New files that programs cannot see before they are complete."""

from __future__ import annotations

import errno
import os

from pcache.linux.stamps import fresh_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.store.aside import Aside

_NAMELESS_LIMIT = 200
"""How many nameless files may be held open at once: well below the usual limit of 1024."""
_SPARE = 200
"""Descriptors that are for others, where that limit has been raised."""

_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
"""What open(2) gives for O_TMPFILE where the file system or the kernel lacks it."""


class Staged:
    """A file that is on its file system, and not in its place yet.

    Nameless (O_TMPFILE) where possible: then a killed pcache leaves nothing behind, and programs
    that list the directory meanwhile see nothing.  Otherwise it has a name that is set aside, and
    only where neither can be, a hidden name beside its place.
    """

    __slots__ = ("_aside", "_directory", "_name", "fd")

    def __init__(self, fd: int, name: bytes, directory: bytes, aside: Aside) -> None:
        self.fd = fd
        """Open for reading and writing; -1 once it has a name and is settled."""
        self._name = name
        self._directory = directory
        self._aside = aside

    def set_aside(self) -> None:
        """Gives up being nameless.  Raises OSError where the store is on another file system."""
        name = self._aside.name()
        self._link(name)
        self._name = name

    def hide(self) -> None:
        """Makes it one that is only ever used by its descriptor."""
        if self._name:
            forget(self._name)
            self._name = b""

    def settle(self) -> None:
        """Ends writing: gives up the descriptor if the file exists without it."""
        if self._name and self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def set_time(self, mtime_ns: int) -> None:
        """Sets the modification time; that of the last access is now."""
        os.utime(self.fd if self.fd >= 0 else self._name, ns=(fresh_ns(), mtime_ns))

    def overwrite(self, data: bytes) -> None:
        """Replaces the content by one of the same length."""
        fd = self.fd if self.fd >= 0 else os.open(self._name, os.O_WRONLY | os.O_CLOEXEC)
        try:
            view, at = memoryview(data), 0
            while at < len(data):
                at += os.pwrite(fd, view[at:], at)
        finally:
            if fd != self.fd:
                os.close(fd)

    def contents(self) -> int:
        """A descriptor of its own to read it from."""
        return os.open(self._name or b"/proc/self/fd/%d" % self.fd, os.O_RDONLY | os.O_CLOEXEC)

    def publish(self, path: bytes, replace: bool) -> None:
        """Gives the file the name `path`, which must be free or, with `replace`, no directory."""
        if not self._name and not replace:
            self._link(path)
            return
        if not self._name:
            try:
                self.set_aside()
            except OSError:
                name = self._aside.hidden(self._directory)
                self._link(name)
                self._name = name
        os.rename(self._name, path)
        self._name = b""

    def discard(self) -> None:
        """Closes the file, and removes it if it was not published."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self.hide()

    def _link(self, path: bytes) -> None:
        # linkat(2) with AT_SYMLINK_FOLLOW on the magic link: AT_EMPTY_PATH needs privilege.
        # os.link passes that flag only if it is given some directory descriptor.
        source = b"/proc/self/fd/%d" % self.fd
        os.link(source, path, src_dir_fd=self.fd, follow_symlinks=True)


class Staging:
    """Makes staged files."""

    def __init__(self, aside: Aside) -> None:
        self._aside = aside
        self._nameless = 0
        self._limit = _NAMELESS_LIMIT
        self._before: tuple[int, int] | None = None
        """Limit of descriptors, if it was raised."""

    def new(self, directory: bytes) -> Staged:
        """An empty file of mode 0600 on the file system of `directory`, with what that directory
        gives to new ones.  Raises OSError."""
        try:
            fd = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in _NO_TMPFILE:
                raise
            name = self._aside.hidden(directory)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            return Staged(os.open(name, flags, 0o600), name, directory, self._aside)
        staged = Staged(fd, b"", directory, self._aside)
        self._nameless += 1
        if self._nameless > self._limit:
            self._make_room(staged)
        return staged

    def close(self) -> None:
        """Gives back what many files took."""
        if self._before is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_NOFILE, self._before)
            self._before = None

    def _make_room(self, staged: Staged) -> None:
        """A nameless file too many: it gets a name, or the descriptor is one of more."""
        try:
            staged.set_aside()
        except OSError:
            import resource

            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            if soft != hard:
                self._before = soft, hard
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            self._limit = hard - _SPARE
            if self._nameless > self._limit:
                staged.discard()
                raise
        else:
            self._nameless -= 1


def forget(path: bytes) -> None:
    """Removes a file if it can be removed."""
    try:
        os.unlink(path)
    except OSError:
        return
