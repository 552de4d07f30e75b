"""Files: opened for what they are, made private whatever the umask, written whole, cloned."""

from __future__ import annotations

import errno
import fcntl
import os
from stat import S_ISREG

# linux/fs.h: _IOW(0x94, 9, int).
_FICLONE = 0x40049409


class NoFile(OSError):
    """Something else is where a regular file belongs: a pipe, a directory, a device, a link."""

    def __init__(self, path: bytes) -> None:
        super().__init__(errno.EINVAL, "not a regular file", path)


def open_file(path: bytes, flags: int = os.O_RDONLY, *, follow: bool = False) -> int:
    """open(2) of a regular file that belongs to pcache, whatever somebody has put in its place:
    without O_NONBLOCK a pipe is waited for until somebody opens its other end.

    `follow`: where people may have put a link.  Raises OSError, NoFile among them.
    """
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        fd = os.open(path, flags, 0o600)
    except OSError as error:
        # Written to: a pipe that nobody reads, a socket; a directory; a link.
        if error.errno in (errno.ENXIO, errno.EISDIR, errno.ELOOP):
            raise NoFile(path) from error
        raise
    if not S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise NoFile(path)
    return fd


def make_private_directory(path: bytes) -> None:
    """mkdir(2) with mode 0700 whatever the umask; one that exists already is left as it is."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    os.chmod(path, 0o700)


def make_private_file(path: bytes) -> None:
    """Makes an empty file of mode 0600 whatever the umask, unless there is one.

    For databases, before SQLite opens them: their -wal and -shm files take over the permissions.
    One that exists is not even opened, because closing a descriptor of it would release all locks
    that SQLite holds on it in this process (fcntl(2), record locks).  Raises OSError, NoFile among
    them.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        if not S_ISREG(os.lstat(path).st_mode):
            raise NoFile(path) from None
        return
    try:
        os.fchmod(fd, 0o600)
    finally:
        os.close(fd)


def open_private_file(path: bytes, flags: int) -> int:
    """Opens a file, which is made with mode 0600 if need be.  Raises as `open_file`."""
    make_private_file(path)
    return open_file(path, flags)


def replace_private_file(path: bytes, content: bytes) -> None:
    """Makes it a file of mode 0600 with that content, in one step.  Raises OSError."""
    new = path + b".%d" % os.getpid()
    try:
        with open(open_private_file(new, os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(content)
        os.rename(new, path)
    except OSError:
        os.unlink(new)
        raise


def reflink(source: int, target: int) -> bool:
    """Makes the empty file `target` share all blocks of `source`.  False if they cannot.

    A clone is a private copy; a hard link into the store would let programs write to the store.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        # EOPNOTSUPP, ENOTTY, EINVAL, EXDEV, EPERM...: whatever it is, copying may still work; and
        # out of space is found again by copying.
        if error.errno == errno.EBADF:
            raise
        return False
    return True


def write_all(fd: int, data: bytes | memoryview) -> None:
    """write(2) until all is written.  Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
