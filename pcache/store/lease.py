"""Who is recording: contents that a session has put are not referred to until it ends.

Each session that puts contents holds a lease: a file that it keeps locked, and whose modification
time is when it began.  The collector spares whatever was put since the oldest lease began.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from pcache.linux.files import NoFile, make_private_directory, open_file

_DIRECTORY = b"/sessions"


class Lease:
    """Held from its making until `release` or the end of the process.  Raises OSError."""

    def __init__(self, directory: bytes) -> None:
        make_private_directory(directory + _DIRECTORY)
        self._path = b"%b%b/%d-%d" % (directory, _DIRECTORY, os.getpid(), id(self))
        self._fd = self._take()
        self.began = int(time.time())
        """Seconds since 1970."""

    def _take(self) -> int:
        while True:
            fd = open_file(self._path, os.O_WRONLY | os.O_CREAT)
            os.fchmod(fd, 0o600)  # whatever the umask
            fcntl.flock(fd, fcntl.LOCK_EX)
            # A collector may have found it unlocked, thought its holder dead and removed it.
            if os.fstat(fd).st_nlink:
                os.utime(fd)
                return fd
            os.close(fd)

    def release(self) -> None:
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass
        os.close(self._fd)


def oldest_lease_ns(directory: bytes) -> int | None:
    """When the oldest session that is still recording began (time.time_ns); None if none is.

    Removes what sessions left that were killed.  Raises OSError.
    """
    oldest: int | None = None
    try:
        names = os.listdir(directory + _DIRECTORY)
    except FileNotFoundError:
        return None
    for name in names:
        path = b"%b%b/%b" % (directory, _DIRECTORY, name)
        try:
            fd = open_file(path, os.O_WRONLY)
        except (FileNotFoundError, PermissionError, NoFile):
            continue  # ended or begun at this moment, or none of ours
        try:
            began = os.fstat(fd).st_mtime_ns
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
        except OSError as error:
            if error.errno == errno.EWOULDBLOCK:
                oldest = began if oldest is None else min(began, oldest)
            elif error.errno != errno.ENOENT:
                raise
        finally:
            os.close(fd)
    return oldest
