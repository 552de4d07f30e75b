"""The memory that a session's events are handed over in, of a fixed size and written around.

A sealed memfd: a page with two positions, each written by one side, then the data.  Neither side
can change its size, so that no access of the other's can fail.
"""

from __future__ import annotations

import fcntl
import mmap
import os

PAGE = mmap.PAGESIZE
_DATA = 64 << 20
PRODUCED, CONSUMED, LOST = 0, 8, 16
"""In u64, in cache lines of their own: positions since the beginning, and events that are known to
be lost."""
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Broken(Exception):
    """The other side has put something there that cannot be."""


class Area:
    """The recorder's view; what the client does there is in pcache/session/steps/taking.py."""

    def __init__(self, fd: int) -> None:
        """Takes a descriptor of `create` over, from this process or another one's.

        Raises Broken or OSError.
        """
        self.fd = fd
        size = os.fstat(fd).st_size - PAGE
        if size <= 0 or fcntl.fcntl(fd, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
            raise Broken("no area of events")
        self.size = size
        self._map = mmap.mmap(fd, PAGE, mmap.MAP_SHARED)
        self.words = memoryview(self._map).cast("Q")
        self.position = 0
        """What this side has written, or taken."""

    @classmethod
    def create(cls, size: int = _DATA) -> Area:
        """A new one.  Raises OSError."""
        fd = os.memfd_create("pcache-events", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, PAGE + size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        return cls(fd)

    def room(self) -> int:
        """Bytes that can be written.  Raises Broken."""
        filled = self.position - self.words[CONSUMED]
        if not 0 <= filled <= self.size:
            raise Broken("more was taken than there was")
        return self.size - filled

    def write(self, data: memoryview) -> None:
        """Adds what there is room for."""
        done = 0
        while done < len(data):
            at = (self.position + done) % self.size
            part = data[done : done + self.size - at]
            done += os.pwrite(self.fd, part, PAGE + at)
        self.position += done
        self.words[PRODUCED] = self.position

    def close(self) -> None:
        self.words.release()
        self._map.close()
        os.close(self.fd)
