"""Where the programs write to: a small ring at first, kept with them, then ever larger ones.

Making 128 MiB takes the kernel 25 ms, and telling the programs of another ring 10 to 30 ms more
(measured: the call returns when no program uses the old one any more, kernel/bpf/syscall.c,
maybe_wait_bpf_programs).  So a session starts with a ring that is there already.  A kernel that is
not preempted while it makes one may keep the other from being emptied: so each step makes no larger
one than takes as long as it takes to fill the one before.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections import deque
from select import EPOLLET, EPOLLIN, epoll
from threading import Thread

from pcache.recorder import bpf, privilege
from pcache.recorder.area import Area
from pcache.recorder.ring import Ring

KEPT_BYTES = 8 << 20
"""`cat` writes 1 MB in a millisecond (measured)."""
_STEP = 4

_SLOT = struct.pack("<I", 0)


def put(slot: int, ring: int) -> None:
    """Makes programs write to a ring.  Returns when nobody writes to the one before any more."""
    bpf.map_update(slot, _SLOT, struct.pack("<I", ring))


class Rings:
    """Of one session: read by one thread at a time.  Raises OSError."""

    def __init__(self, slot: int, kept: int, size: int, woken: epoll) -> None:
        """`slot`: the map `rings`; `kept`: the ring of KEPT_BYTES; `size`: how large another may
        be, a power of two and at least a page.  `woken`: when programs ask for it, the moment that
        there is much in a ring (bpf/state.bpf.h)."""
        self._slot = slot
        self._kept = kept
        self._most = size
        self._woken = woken
        self._opened: deque[Ring] = deque()
        """In the order in which programs wrote to them."""
        self._left = self._dropped = 0
        """Rings that nobody writes to any more, and those of them that are not `_opened`."""
        self._own: list[int] = []
        self._closing = False
        self._growing: Thread | None = None
        self._open(kept, KEPT_BYTES)
        if size <= KEPT_BYTES:
            self._add(size)
        # A session that was killed may have left its own.
        elif bpf.map_lookup(slot, _SLOT, 4) != struct.pack("<I", bpf.map_id(kept)):
            put(slot, kept)

    def grow(self) -> None:
        """Makes the largest, in a thread: nothing may fork this process any more."""
        growing = Thread(target=self._grow, name="pcache-ring")
        try:
            growing.start()
        except RuntimeError:
            return  # no thread to be had: the small one has to do
        self._growing = growing

    def drain(self, area: Area, *, last: bool) -> int:
        """As `Ring.drain`; 0 if there is nothing in any ring.  `last`: nobody writes any more."""
        # Nothing can come into a ring that was left before it was found empty.
        left = len(self._opened) - 1 if last else self._left - self._dropped
        taken = self._opened[0].drain(area)
        while not taken and left and self._opened[0].empty:
            self._opened.popleft().close()
            self._dropped += 1
            left -= 1
            taken = self._opened[0].drain(area)
        return taken

    @property
    def empty(self) -> bool:
        """Whether nothing is left in any ring, if nobody writes any more."""
        return all(ring.empty for ring in self._opened)

    def close(self) -> None:
        """Leaves the kept ring to the next session.  Takes the kernel 10 to 30 ms (measured)."""
        self._closing = True
        if self._growing is not None:
            self._growing.join()
        for ring in self._opened:
            ring.close()
        if self._left:
            put(self._slot, self._kept)
        for fd in self._own:
            os.close(fd)

    def _open(self, fd: int, size: int) -> None:
        # A ring with anything in it is ready all the time, the edge alone is what was asked for.
        self._woken.register(fd, EPOLLIN | EPOLLET)
        self._opened.append(Ring(fd, size))

    def _grow(self) -> None:
        privilege.give_precedence()
        size = KEPT_BYTES
        # Without room for it the session goes on with the one it has; what is lost is counted.
        with contextlib.suppress(OSError):
            while size < self._most and not self._closing:
                size = min(size * _STEP, self._most)
                self._add(size)

    def _add(self, size: int) -> None:
        ring = bpf.map_create(bpf.MAP_TYPE_RINGBUF, 0, 0, size)
        self._own.append(ring)
        self._open(ring, size)
        put(self._slot, ring)
        self._left += 1
