"""Locks of a store: one process at a time sets up a database, one collects."""

from __future__ import annotations

import fcntl
import os

from pcache.linux.files import open_private_file


class Lock:
    """`with Lock(directory):` one process at a time makes or sets aside a database.

    Switching a database to WAL is not something that SQLite waits for others with.
    Raises OSError.
    """

    def __init__(self, directory: bytes) -> None:
        self._path = directory + b"/lock"
        self._fd = -1

    def __enter__(self) -> None:
        self._fd = open_private_file(self._path, os.O_RDWR)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


class CollectorLock:
    """One collection at a time.  Entering raises BlockingIOError if it may not `wait`."""

    def __init__(self, directory: bytes, wait: bool) -> None:
        self._path = directory + b"/gc.lock"
        self._how = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
        self._fd = -1

    def __enter__(self) -> None:
        self._fd = open_private_file(self._path, os.O_RDWR)
        try:
            fcntl.flock(self._fd, self._how)
        except OSError:
            os.close(self._fd)
            raise

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
