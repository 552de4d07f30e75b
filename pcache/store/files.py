"""The files of a store: private whatever the umask, and one lock for setting things up."""

from __future__ import annotations

import fcntl
import os

RERUN = b"/rerun"
"""Below the store's directory: where records are executed again."""


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


class Lock:
    """`with Lock(directory):` one process at a time makes or sets aside a database.

    Switching a database to WAL is not something that SQLite waits for others with.
    Raises OSError.
    """

    def __init__(self, directory: bytes) -> None:
        self._path = directory + b"/lock"
        self._fd = -1

    def __enter__(self) -> None:
        make_private_file(self._path)
        self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
