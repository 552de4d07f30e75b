"""Where what a hit replaces is kept until the hit is complete: names that nobody lists.

They lie below the store's directory, in a directory that its process holds a lock on: what a killed
process has left there is removed at the next start.  On another file system than the store's, names
beside the outputs have to do, for the instant of a rename; which directories they were in is noted.
"""

from __future__ import annotations

import os
import time

from pcache.linux.files import make_private_directory
from pcache.store.workdirs import abandoned, locked

_ASIDE = b"/aside"
_HIDDEN = b".pcache-"
_NOTED = b"in-"


class Aside:
    """One for each hit.  Makes its directory when the first name is wanted."""

    def __init__(self, store: bytes) -> None:
        """`store`: the store's directory."""
        self._parent = store + _ASIDE
        self._path = b""
        self._fd = -1
        self._serial = 0
        self._noted: set[bytes] = set()

    def name(self) -> bytes:
        """A path that nothing is at, on the store's file system.  Raises OSError."""
        self._serial += 1
        return b"%b/%d" % (self._directory(), self._serial)

    def hidden(self, directory: bytes) -> bytes:
        """The same in another directory, where others may see it.  Raises OSError."""
        mine = self._directory()
        if directory not in self._noted:
            os.symlink(directory, b"%b/%b%d" % (mine, _NOTED, len(self._noted)))
            self._noted.add(directory)
        self._serial += 1
        return b"%b/%b-%d" % (directory, _HIDDEN + os.path.basename(mine), self._serial)

    def close(self) -> None:
        """Removes all that is there.  Harmless if done already."""
        if self._fd >= 0:
            _remove(self._path)
            os.close(self._fd)
            self._path, self._fd = b"", -1
            self._noted.clear()

    def _directory(self) -> bytes:
        while self._fd < 0:
            path = b"%b/%d-%x" % (self._parent, os.getpid(), time.monotonic_ns())
            try:
                os.mkdir(path, 0o700)
            except FileNotFoundError:
                make_private_directory(self._parent)
                continue
            except FileExistsError:
                continue
            try:
                fd = locked(path)
            except BlockingIOError:
                continue  # somebody thinks that it is abandoned, and removes it
            if fd is not None:
                self._path, self._fd = path, fd
        return self._path


def sweep(store: bytes) -> int:
    """Removes what killed processes have left; of how many."""
    return abandoned(store + _ASIDE, _remove)


def _remove(path: bytes) -> None:
    """Removes one hit's directory, and what it noted; as far as that can be removed."""
    hidden = _HIDDEN + os.path.basename(path) + b"-"
    for name in os.listdir(path):
        entry = b"%b/%b" % (path, name)
        try:
            if name.startswith(_NOTED):
                directory = os.readlink(entry)
                for other in os.listdir(directory):
                    if other.startswith(hidden):
                        os.unlink(b"%b/%b" % (directory, other))
            os.unlink(entry)
        except OSError:
            continue
    try:
        os.rmdir(path)
    except OSError:
        return
