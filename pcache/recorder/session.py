"""One session: the probes while they are attached for it, and its events on their way out."""

from __future__ import annotations

import os
import struct
from binascii import b2a_base64
from select import epoll
from time import monotonic

from pcache.recorder import bpf, image
from pcache.recorder.area import LOST, Area
from pcache.recorder.loaded import Loaded
from pcache.recorder.protocol import COUNTERS, NAME_BYTES, TOTALS
from pcache.recorder.rings import Rings

_PID_SIZE = 4
_SESSION = struct.Struct("<16sII")
_FIRST = struct.pack("<I", 0)
_PAUSE_S = 0.005
"""Between two looks into the ring.  Each wakes us up, which takes 50 us of what the command could
use (measured); what was read and is changed later than that can still be hashed as it was."""
_BUSY = 1 << 20
_GROW_AFTER_S = 0.04
_GROW_AT = 128 << 10
"""A larger ring is made for what runs so long, or writes as much between two looks: most commands
need none, and it takes the kernel longer than all else here."""
_LOST = COUNTERS.index("lost")


class Recorder:
    """Loaded programs and their rings, for the processes of one user below one root.

    Attached between `attach` and `detach`.  Every method raises OSError.
    """

    def __init__(self, loaded: Loaded, ring_bytes: int, uid: int) -> None:
        """`ring_bytes`: a power of two, at least a page.  The caller closes `loaded`."""
        self.area = Area.create()
        self.name = b2a_base64(os.urandom(NAME_BYTES))[:NAME_BYTES]
        """What the process that is to be recorded has to be called, prctl(2) PR_SET_NAME."""
        self._uid = uid
        self._loaded = loaded
        self._links: list[int] = []
        self._counts_size = bpf.map_value_size(loaded.maps["counts"])
        self._counts_bytes = self._counts_size * bpf.possible_cpus()
        # A session that was killed may have left processes that still run.
        processes = loaded.maps["processes"]
        while (pid := bpf.map_first_key(processes, _PID_SIZE)) is not None:
            bpf.map_delete(processes, pid)
        self._earlier = self._totals()
        self._ring_bytes = ring_bytes
        self._small_until: float | None = None
        """When a larger ring is due (time.monotonic); None before `attach`, and when it was."""
        self._rings: Rings | None = None
        """From `attach` on: what is forked off before has none mapped."""

    def attach(self, woken: epoll) -> None:
        """From here on every system call on the machine pays about 110 ns (measured).

        `woken`: by a ring that fills faster than `relay` was told to look."""
        maps = self._loaded.maps
        self._rings = Rings(maps["rings"], maps["ring"], self._ring_bytes, woken)
        entry = _SESSION.pack(self.name, self._uid, 1)
        bpf.map_update(maps["sessions"], _FIRST, entry)
        for tracepoint, name in image.TRACEPOINTS:
            self._links.append(bpf.raw_tracepoint_open(tracepoint, self._loaded.programs[name]))
        self._small_until = monotonic() + _GROW_AFTER_S

    def relay(self, *, last: bool = False) -> float:
        """Moves events to the area; seconds until there will be more to do."""
        if self._rings is None:
            return _PAUSE_S
        taken = self._rings.drain(self.area, last=last)
        due = self._small_until
        if due is not None and not last and (taken >= _GROW_AT or monotonic() >= due):
            self._small_until = None
            self._rings.grow()
        self.area.words[LOST] = self._totals()[_LOST] - self._earlier[_LOST]
        if taken >= _BUSY or (last and taken):
            return 0
        return _PAUSE_S

    @property
    def drained(self) -> bool:
        """Whether nothing is left in any ring."""
        return self._rings is None or self._rings.empty

    def counts(self) -> bytes:
        """TOTALS: events written, lost, left out as repeated, and trouble met, since loading."""
        totals = self._totals()
        return TOTALS.pack(*(now - then for now, then in zip(totals, self._earlier, strict=True)))

    def _totals(self) -> list[int]:
        raw = bpf.map_lookup(self._loaded.maps["counts"], _FIRST, self._counts_bytes)
        rows = (TOTALS.unpack_from(raw, at) for at in range(0, len(raw), self._counts_size))
        return [sum(column) for column in zip(*rows, strict=True)]

    def detach(self) -> None:
        for link in self._links:
            os.close(link)
        self._links.clear()

    def close(self) -> None:
        """Takes the kernel 10 to 30 ms (measured)."""
        self.detach()
        bpf.map_update(self._loaded.maps["sessions"], _FIRST, bytes(_SESSION.size))
        if self._rings is not None:
            self._rings.close()
        self.area.close()
