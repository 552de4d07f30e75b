"""Where the programs write to: a small ring at first, kept with them, then a large one.

Making 128 MiB takes the kernel 25 ms, and telling the programs of another ring 10 to 30 ms more
(measured: the call returns when no program uses the old one any more, kernel/bpf/syscall.c,
maybe_wait_bpf_programs).  So a session starts with a ring that is there already; the large one is
in use 30 ms after it was seen that it is needed (`pcache.recorder.session`).
"""

from __future__ import annotations

import contextlib
import os
import struct
from threading import Thread

from pcache.recorder import bpf
from pcache.recorder.area import Area
from pcache.recorder.ring import Ring

KEPT_BYTES = 8 << 20
"""`cat` writes 1 MB in a millisecond (measured)."""

_SLOT = struct.pack("<I", 0)


def put(slot: int, ring: int) -> None:
    """Makes programs write to a ring.  Returns when nobody writes to the one before any more."""
    bpf.map_update(slot, _SLOT, struct.pack("<I", ring))


class Rings:
    """Of one session: read by one thread at a time.  Raises OSError."""

    def __init__(self, slot: int, kept: int, size: int) -> None:
        """`slot`: the map `rings`; `kept`: the ring of KEPT_BYTES; `size`: how large the other is,
        a power of two and at least a page."""
        self._slot = slot
        self._kept = kept
        self._own: int | None = None
        self._closing = self._replaced = False
        self._next: Ring | None = None
        self._ring = Ring(kept, KEPT_BYTES)
        self._size = size
        self._growing: Thread | None = None
        if size <= KEPT_BYTES:
            self._replace(size)
        # A session that was killed may have left its own.
        elif bpf.map_lookup(slot, _SLOT, 4) != struct.pack("<I", bpf.map_id(kept)):
            put(slot, kept)

    def grow(self) -> None:
        """Makes the large one, in a thread: nothing may fork this process any more."""
        if self._size > KEPT_BYTES:
            growing = Thread(target=self._grow, name="pcache-ring")
            try:
                growing.start()
            except RuntimeError:
                return  # no thread to be had: the small one has to do
            self._growing = growing

    def drain(self, area: Area, *, last: bool) -> int:
        """As `Ring.drain`; 0 if there is nothing in any ring.  `last`: nobody writes any more."""
        following = self._next if last or self._replaced else None
        taken = self._ring.drain(area)
        if not taken and following is not None and self._ring.empty:
            self._ring.close()
            self._ring, self._next = following, None
            taken = self._ring.drain(area)
        return taken

    @property
    def half_full(self) -> bool:
        """Whether something may be lost."""
        return self._ring.half_full

    @property
    def empty(self) -> bool:
        """Whether nothing is left in any ring, if nobody writes any more."""
        return self._ring.empty and (self._next is None or self._next.empty)

    def close(self) -> None:
        """Leaves the kept ring to the next session.  Takes the kernel 10 to 30 ms (measured)."""
        self._closing = True
        if self._growing is not None:
            self._growing.join()
        self._ring.close()
        if self._next is not None:
            self._next.close()
        if self._replaced:
            put(self._slot, self._kept)
        if self._own is not None:
            os.close(self._own)

    def _grow(self) -> None:
        # Without room for it the session goes on with the one it has; what is lost is counted.
        with contextlib.suppress(OSError):
            self._replace(self._size)

    def _replace(self, size: int) -> None:
        self._own = bpf.map_create(bpf.MAP_TYPE_RINGBUF, 0, 0, size)
        if self._closing:
            return
        self._next = Ring(self._own, size)
        put(self._slot, self._own)
        self._replaced = True
