"""Small files that are opened to be read: what a read(2) that takes one as a whole tells is its
content, and nobody else need open it.

Between the two come a few events at most; what has not been read by then is looked at as any other
file is.
"""

from __future__ import annotations

from pcache.observe.events import Stamp, stamp_of_read

SMALL = 4096
"""Bytes of a file that is told as a whole when it is read; bpf/calls.bpf.h."""
_WAITING = 64
"""Files that may wait to be read: those that a few processes at a time have just opened."""

Version = tuple[int, int, int, int, int]
"""Device, inode, size and times."""


def version_of(stamp: Stamp) -> Version:
    return stamp.st_dev, stamp.st_ino, stamp.st_size, stamp.st_mtime_ns, stamp.st_ctime_ns


class Opened:
    """A small file as it was when it was opened at the time `ts` (CLOCK_MONOTONIC ns)."""

    __slots__ = ("name", "stamp", "ts")

    def __init__(self, name: bytes, stamp: Stamp, ts: int) -> None:
        self.name = name
        self.stamp = stamp
        self.ts = ts


class SmallReads:
    """Those of one recording."""

    def __init__(self) -> None:
        self._waiting: dict[Version, Opened] = {}
        self._missed: dict[tuple[bytes, Version], int] = {}
        """When versions were looked at whose content could not be had."""

    def wait(self, opened: Opened) -> bool:
        """Notes a file whose content is going to be told, unless it waits under another name."""
        known = self._waiting.setdefault(version_of(opened.stamp), opened)
        return known.name == opened.name

    @property
    def many(self) -> bool:
        """Whether no more should wait."""
        return len(self._waiting) > _WAITING

    def overdue(self) -> list[Opened]:
        """Those that wait; none does afterwards."""
        waiting = [*self._waiting.values()]
        self._waiting.clear()
        return waiting

    def missed(self, name: bytes, stamp: Stamp, ts: int) -> None:
        """The content of a file that was looked at could not be had."""
        if stamp.st_size <= SMALL:
            self._missed.setdefault((name, version_of(stamp)), ts)

    def begins(self, record: bytes) -> Opened | None:
        """The file that waits and was read as a whole, as an event without flags tells."""
        if not self._waiting:
            return None
        stamp = stamp_of_read(record)
        return None if stamp is None else self._waiting.get(version_of(stamp))

    def take(self, name: bytes, stamp: Stamp) -> Opened | None:
        """The file of which the content has come, as it was when it was looked at; None if that is
        known already."""
        version = version_of(stamp)
        waiting = self._waiting.pop(version, None)
        if waiting is not None:
            return waiting
        ts = self._missed.get((name, version))
        return None if ts is None else Opened(name, stamp, ts)
