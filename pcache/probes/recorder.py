"""The recorder of one session: its rings, and the programs while they are attached."""

from __future__ import annotations

import os
import struct

from pcache.errors import EnvironmentProblem, PrivilegeError
from pcache.probes import bpf, pinned, program
from pcache.probes.loaded import Loaded, load
from pcache.probes.rings import Rings

_PID_SIZE = 4


def open_recorder(ring_bytes: int) -> Recorder:
    """A recorder for this kernel, with a ring of up to that size: a power of two, at least a page.

    Raises PrivilegeError when the kernel refuses BPF to us, EnvironmentProblem for other refusals.
    """
    key = program.image_key()
    try:
        loaded = pinned.obtain(key, lambda: load(program.image(key=key)))
        try:
            return Recorder(loaded, ring_bytes)
        except OSError:
            loaded.close()
            raise
    except PermissionError as error:
        raise PrivilegeError(
            "the kernel refuses BPF programs to this process",
            "run it as root: sudo pcache trace ...",
        ) from error
    except OSError as error:
        raise EnvironmentProblem(f"cannot load the recorder: {error}") from error


class Recorder:
    """Loaded programs and their rings.  Attached between `attach` and `detach`."""

    def __init__(self, loaded: Loaded, ring_bytes: int) -> None:
        """Takes `loaded` over.  Raises OSError."""
        self._loaded = loaded
        self._links: list[int] = []
        self._counts_size = bpf.map_value_size(loaded.maps["counts"])
        # A session that was killed may have left processes that still run.
        processes = loaded.maps["processes"]
        while (pid := bpf.map_first_key(processes, _PID_SIZE)) is not None:
            bpf.map_delete(processes, pid)
        self._earlier = self._totals()
        self.rings = Rings(loaded.maps["rings"], loaded.maps["ring"], ring_bytes)

    def attach(self) -> None:
        """From here on every system call on the machine pays about 110 ns (measured)."""
        for tracepoint, name in program.TRACEPOINTS:
            self._links.append(bpf.raw_tracepoint_open(tracepoint, self._loaded.programs[name]))

    def track(self, pid: int) -> None:
        """Records `pid` and everything it starts from now on."""
        processes = self._loaded.maps["processes"]
        bpf.map_update(processes, struct.pack("<I", pid), bytes(bpf.map_value_size(processes)))

    def counts(self) -> dict[str, int]:
        """Events written, lost, left out as repeated, and trouble met, since loading."""
        return {name: total - self._earlier[name] for name, total in self._totals().items()}

    def _totals(self) -> dict[str, int]:
        names = ("events", "lost", "repeated", "faults", "failed_calls", "truncated", "bytes")
        size = self._counts_size * bpf.possible_cpus()
        raw = bpf.map_lookup(self._loaded.maps["counts"], struct.pack("<I", 0), size)
        rows = [
            struct.unpack_from(f"<{len(names)}Q", raw, at)
            for at in range(0, len(raw), self._counts_size)
        ]
        return {name: sum(row[index] for row in rows) for index, name in enumerate(names)}

    def detach(self) -> None:
        for link in self._links:
            os.close(link)
        self._links.clear()

    def close(self) -> None:
        self.detach()
        self.rings.close()
        self._loaded.close()
