"""Files that the tree makes, kept open for a while: their bytes can be had wherever they go.

An execution is looked into some milliseconds after its end.  By then its caller may have renamed
what it left, or removed it: so do `mv x.tmp x`, libtool and every `configure`.  An open descriptor
still leads there, and whether it leads to what the execution left is judged when all events are
known: nothing may have changed the file on its way, which the history tells, nor may anybody
outside, which its times tell.
"""

from __future__ import annotations

import os
import posixpath
import struct
import time
from itertools import islice
from stat import S_ISREG

from pcache.linux.unseen import open_unseen
from pcache.observe.events import BODY, CALL, NUMBER, Stamp
from pcache.observe.history import History
from pcache.probes.syscall_table import NUMBERS

_LIMIT = 256
"""Descriptors; the oldest are closed first."""
_HOPS = 8
_ENTRIES = 2000

RENAMES = frozenset(
    struct.pack("<3H", 0, CALL, NUMBERS[name]) for name in ("rename", "renameat", "renameat2")
)
"""How the bodies of events of successful renames begin."""
RENAME_BYTES = frozenset(beginning[NUMBER - BODY] for beginning in RENAMES)
"""What is at events.NUMBER of their records."""


class CapturedFile:
    """A regular file that the tree made or began to write anew.

    `made` is when (CLOCK_MONOTONIC ns), `name` and `mode` as it was made; `fd` is -1 if it is not
    open (any more), else it was opened at `place` and no later than `opened`.
    """

    __slots__ = ("fd", "inode", "made", "mode", "name", "opened", "place")

    def __init__(self, name: bytes, stamp: Stamp, made: int) -> None:
        self.name = name
        self.inode = stamp.st_ino
        self.mode = stamp.st_mode & 0o7777
        self.made = made
        self.fd = -1
        self.opened = 0
        self.place = b""

    def is_itself(self, history: History) -> bool:
        """Whether the file that was opened is the one that was made, and not one that had come to
        its name, or even to its number, since."""
        return history.is_at(self.place, self.name, self.made, self.opened)


class Snapshot:
    """A look at a captured file, at the time `taken` (CLOCK_MONOTONIC ns): what it was then."""

    __slots__ = ("file", "status", "taken")

    def __init__(self, file: CapturedFile, status: os.stat_result, taken: int) -> None:
        self.file = file
        self.status = status
        self.taken = taken

    def is_of(self, history: History, name: bytes, ts: int) -> bool:
        """Whether it was the file that had this name at that time."""
        file = self.file
        return (
            file.made <= ts
            and file.is_itself(history)
            and history.is_at(name, file.name, file.made, ts)
        )

    def departures(self, history: History, name: bytes, ts: int) -> list[int]:
        """When that file was renamed, removed or given another name, from then to the look at
        it."""
        stays = history.way(name, ts, self.taken)
        left = [until + 1 for _, _, until in stays if until < self.taken]
        return sorted(left + history.links(name, ts, self.taken))


class CapturedFiles:
    """Those of one recording, by the names and inode numbers they have at the event at hand."""

    def __init__(self) -> None:
        self._at: dict[bytes, CapturedFile] = {}
        self._open: dict[int, CapturedFile] = {}
        """By inode, the oldest first."""
        self._coming: dict[bytes, tuple[int, bytes]] = {}
        """Renames of which the events are there and not handled yet: old name -> when, new."""
        self._devices: set[int] = set()

    def stay_with(self, directory: bytes) -> None:
        """Only files on the file systems of such directories are opened, which the command keeps
        busy as it is: others it may want to unmount."""
        try:
            self._devices.add(os.stat(directory).st_dev)
        except OSError:
            return

    def expect(self, coming: list[tuple[int, bytes, bytes]]) -> None:
        """What is going to be renamed in the events to be handled next: (when, from, to)."""
        self._coming = {
            posixpath.normpath(old): (ts, posixpath.normpath(new)) for ts, old, new in coming
        }

    def made(self, name: bytes, stamp: Stamp, ts: int) -> None:
        """A file was opened to be written, and made or emptied by that."""
        known = self._at.get(name)
        if known is not None and known.inode == stamp.st_ino and known.fd >= 0:
            return
        self.gone(name)
        file = self._at[name] = CapturedFile(name, stamp, ts)
        self._find(file, name)

    def moved(self, old: bytes, new: bytes) -> None:
        self.gone(new)
        file = self._at.pop(old, None)
        if file is None:
            return
        self._at[new] = file
        if file.fd < 0:
            self._find(file, new)

    def moved_below(self, directory: bytes) -> None:
        """All that was in a directory is somewhere else now."""
        prefix = directory + b"/"
        for name in [name for name in self._at if name.startswith(prefix)]:
            self.gone(name)

    def gone(self, name: bytes) -> None:
        """The file at a name was removed or replaced."""
        file = self._at.pop(name, None)
        if file is not None:
            self._close(file)

    def at(self, name: bytes) -> CapturedFile | None:
        """The open file that has this name now."""
        file = self._at.get(name)
        return file if file is not None and file.fd >= 0 else None

    def numbered(self, inode: int) -> CapturedFile | None:
        """The open file of this number."""
        return self._open.get(inode)

    def close(self) -> None:
        """Closes all; afterwards there is none."""
        for file in list(self._open.values()):
            self._close(file)
        self._at.clear()
        self._devices.clear()

    def _find(self, file: CapturedFile, name: bytes) -> None:
        """Opens the file where it is by now."""
        if not self._devices:
            return
        for _ in range(_HOPS):
            if self._try(file, name):
                return
            coming = self._coming.get(name)
            if coming is None or coming[0] < file.made:
                break
            name = coming[1]
        # Moved after the events were taken out, most likely to where it was made.
        directory = posixpath.dirname(name)
        beside = _numbered(directory, file.inode)
        if beside:
            self._try(file, posixpath.join(directory, beside))

    def _try(self, file: CapturedFile, place: bytes) -> bool:
        try:
            fd = open_unseen(place, os.geteuid(), os.O_NOFOLLOW)
        except OSError:
            return False
        status = os.fstat(fd)
        if (
            status.st_ino != file.inode
            or not S_ISREG(status.st_mode)
            or status.st_dev not in self._devices
        ):
            os.close(fd)
            return False
        file.fd, file.place = fd, place
        self._register(file)
        return True

    def _register(self, file: CapturedFile) -> None:
        file.opened = time.monotonic_ns()
        former = self._open.pop(file.inode, None)
        if former is not None:
            self._close(former)
        self._open[file.inode] = file
        if len(self._open) > _LIMIT:
            self._close(next(iter(self._open.values())))

    def _close(self, file: CapturedFile) -> None:
        if file.fd >= 0:
            os.close(file.fd)
            file.fd = -1
        if self._open.get(file.inode) is file:
            del self._open[file.inode]


def _numbered(directory: bytes, inode: int) -> bytes:
    """The name that a file has in a directory; empty if it is not among the first ones."""
    try:
        with os.scandir(directory) as scan:
            for entry in islice(scan, _ENTRIES):
                if entry.inode() == inode:
                    return entry.name
    except OSError:
        pass
    return b""
