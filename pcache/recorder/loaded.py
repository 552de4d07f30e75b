"""The recorder's maps and programs in the kernel, by descriptors of this process."""

from __future__ import annotations

import os
import struct
import threading

from pcache.recorder import bpf, rings
from pcache.recorder.image import Image

_VERIFIED_LONGEST = frozenset({"handle_writev", "handle_write", "tail_args"})


class Loaded:
    """What a recorder needs, and what has to be open while it does."""

    def __init__(self, maps: dict[str, int], programs: dict[str, int]) -> None:
        """`programs`: those of TRACEPOINTS; the others are in the map `programs`."""
        self.maps = maps
        self.programs = programs
        self.lock = -1
        """Descriptor whose closing lets others use them; -1: nobody else can."""

    def descriptors(self) -> list[int]:
        """All that is open for it."""
        lock = [self.lock] if self.lock >= 0 else []
        return [*self.maps.values(), *self.programs.values(), *lock]

    def close(self) -> None:
        for fd in self.descriptors():
            os.close(fd)


def load(compiled: Image) -> Loaded:
    """Puts maps and programs into the kernel.  Raises OSError for its refusal."""
    maps: dict[str, int] = {}
    programs: dict[str, int] = {}
    try:
        for name, (kind, key, value, entries, flags) in compiled.maps.items():
            inner = maps["ring"] if kind == bpf.MAP_TYPE_ARRAY_OF_MAPS else 0
            size = rings.KEPT_BYTES if name == "ring" else entries
            maps[name] = bpf.map_create(kind, key, value, size, flags, inner)
        _load_programs(compiled, maps, programs)
        _fill(compiled, maps, programs)
    except OSError:
        Loaded(maps, programs).close()
        raise
    for name in compiled.slots.values():
        os.close(programs.pop(name))
    return Loaded(maps, programs)


def _load_programs(compiled: Image, maps: dict[str, int], loaded: dict[str, int]) -> None:
    """Two programs at a time: verifying each takes milliseconds."""
    # Those that take longest come first; they are not the largest ones (measured).
    todo = iter(sorted(compiled.programs, key=_VERIFIED_LONGEST.__contains__, reverse=True))
    failures: list[OSError] = []

    def load_some() -> None:
        try:
            for name in todo:
                code, references = compiled.programs[name]
                linked = bytearray(code)
                for offset, map_name in references:
                    struct.pack_into("<i", linked, offset + 4, maps[map_name])
                loaded[name] = bpf.prog_load(bytes(linked), name.encode())
        except OSError as error:
            failures.append(error)

    helper = threading.Thread(target=load_some, name="pcache-load")
    try:
        helper.start()
    except RuntimeError:
        load_some()  # no thread to be had
    else:
        load_some()
        helper.join()
    if failures:
        raise failures[0]


def _fill(compiled: Image, maps: dict[str, int], programs: dict[str, int]) -> None:
    """The tables that programs are found by, and where they write to."""
    rings.put(maps["rings"], maps["ring"])
    for slot, name in compiled.slots.items():
        key, value = struct.pack("<I", slot), struct.pack("<I", programs[name])
        bpf.map_update(maps["programs"], key, value)
    table = compiled.calls
    bpf.map_update_batch(
        maps["calls"],
        b"".join(struct.pack("<I", number) for number, _ in table),
        b"".join(packed for _, packed in table),
        len(table),
    )
