"""Files: made private whatever the umask, written whole, cloned."""

from __future__ import annotations

import errno
import fcntl
import os

# linux/fs.h: _IOW(0x94, 9, int).
_FICLONE = 0x40049409


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
    that SQLite holds on it in this process (fcntl(2), record locks).
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    try:
        os.fchmod(fd, 0o600)
    finally:
        os.close(fd)


def replace_private_file(path: bytes, content: bytes) -> None:
    """Makes it a file of mode 0600 with that content, in one step.  Raises OSError."""
    new = path + b".%d" % os.getpid()
    make_private_file(new)
    try:
        with open(new, "wb") as file:
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
