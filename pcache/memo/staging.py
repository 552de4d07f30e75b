"""New files that programs cannot see before they are complete."""

from __future__ import annotations

import errno
import os

_NAMELESS_LIMIT = 200
"""How many nameless files may be held open at once: well below the usual limit of 1024."""

_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
"""What open(2) gives for O_TMPFILE where the file system or the kernel lacks it."""


class Staged:
    """A file that is on its file system, and not in its place yet.

    Nameless (O_TMPFILE) where possible: then a killed pcache leaves nothing behind, and programs
    that list the directory meanwhile see nothing.  Otherwise it has a hidden name.
    """

    __slots__ = ("_name", "fd")

    def __init__(self, fd: int, name: bytes) -> None:
        self.fd = fd
        """Open for reading and writing; -1 after `settle` of a file with a name."""
        self._name = name

    @property
    def nameless(self) -> bool:
        return not self._name

    def settle(self) -> None:
        """Ends writing: gives up the descriptor if the file exists without it."""
        if self._name and self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def set_time(self, mtime_ns: int) -> None:
        """Sets the modification time."""
        file = self.fd if self.fd >= 0 else self._name
        os.utime(file, ns=(mtime_ns, mtime_ns))

    def publish(self, path: bytes) -> None:
        """Gives the file the name `path`, which must be free."""
        if self._name:
            os.rename(self._name, path)
            self._name = b""
        else:
            # linkat(2) with AT_SYMLINK_FOLLOW on the magic link: AT_EMPTY_PATH needs privilege.
            # os.link passes that flag only if it is given some directory descriptor.
            source = b"/proc/self/fd/%d" % self.fd
            os.link(source, path, src_dir_fd=self.fd, follow_symlinks=True)

    def discard(self) -> None:
        """Closes the file, and removes it if it was not published."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        if self._name:
            forget(self._name)
            self._name = b""


class Staging:
    """Makes staged files and spare names."""

    def __init__(self) -> None:
        self._nameless = 0
        self._serial = 0

    def new(self, directory: bytes) -> Staged:
        """An empty file of mode 0600 on the file system of `directory`.  Raises OSError."""
        if self._nameless < _NAMELESS_LIMIT:
            try:
                fd = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except OSError as error:
                if error.errno not in _NO_TMPFILE:
                    raise
            else:
                self._nameless += 1
                return Staged(fd, b"")
        name = self.spare_name(directory)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return Staged(os.open(name, flags, 0o600), name)

    def spare_name(self, directory: bytes) -> bytes:
        """A hidden name in a directory that nothing else uses."""
        self._serial += 1
        return b"%b/.pcache-%d-%x-%d" % (directory, os.getpid(), id(self), self._serial)


def forget(path: bytes) -> None:
    """Removes a file if it can be removed."""
    try:
        os.unlink(path)
    except OSError:
        return
