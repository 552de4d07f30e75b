"""What a program reads in /proc about its own process, where that was handed down to it."""

from __future__ import annotations

import os

from pcache.linux import limits, signal_sets, traits
from pcache.linux.descriptors import OwnFds
from pcache.model import Reason
from pcache.observe.accesses.event import Event
from pcache.observe.accesses.start import depend_on_start, observe_trait
from pcache.pattern import Pattern
from pcache.wording import text

_FILE = Pattern(rb"/proc/(?P<pid>\d+)(?:/task/\d+)?/(?P<what>[^/]+)(?P<rest>/.*)?$")
_UNTOLD = frozenset({b"fdinfo", b"numa_maps", b"ksm_stat"})
"""Offsets, flags and mounts of descriptors; memory policy; merging of memory."""


def opened(event: Event, name: bytes, flags: int) -> bool:
    """A file of this canonical name was opened; whether all that it tells is noted."""
    found = _FILE.match(name) if name.startswith(b"/proc/") else None
    if found is None or int(found["pid"]) != event.process.tgid:
        return False
    what = found["what"]
    if what in traits.FILES:
        _open_trait(event, traits.file(what), flags)
        return True
    if what in _UNTOLD and (found["rest"] or what != b"fdinfo"):
        event.execution.problem_throughout(Reason.UNSUPPORTED, text(name))
    elif what == b"status":
        for number in signal_sets.numbers(signal_sets.HARMLESS_TO_IGNORE):
            depend_on_start(event.ts, event.execution, signal_sets.trait(number) or b"")
        depend_on_handed(event, traits.AFFINITY)
    elif what in (b"stat", b"sched") and not event.execution.starts_jvm:  # of its stack
        depend_on_start(event.ts, event.execution, traits.LEADER)
        depend_on_handed(event, traits.PRIORITY)
        depend_on_handed(event, traits.POLICY)
    elif what == b"limits":
        for number in range(len(limits.given())):
            depend_on_handed(event, limits.trait(number))
    elif what == b"children":
        depend_on_start(event.ts, event.execution, traits.CHILDREN)
    return False


def _open_trait(event: Event, trait: bytes, flags: int) -> None:
    if flags & os.O_ACCMODE != os.O_WRONLY:
        depend_on_handed(event, trait)
    if flags & os.O_ACCMODE != os.O_RDONLY:
        event.process.set_by[trait] = event.execution, None


def depend_on_handed(event: Event, trait: bytes) -> None:
    """What a process was handed down is an input of those that were handed it: as the command was,
    or as some execution has set it."""
    setter, value = event.process.set_by.get(trait, (None, None))
    if setter is None:
        value = OwnFds().trait(trait)
    observe_trait(event.execution, event.ts, trait, value, setter)
