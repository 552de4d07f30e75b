"""Traits that each execution had at its start in a way of its own, as its execve(2) told."""

from __future__ import annotations

from pcache.linux import signal_sets
from pcache.model import Kind
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation


def depend_on_start(ts: int, execution: Execution, trait: bytes) -> bool:
    """What an execution did follows from such a trait, and what it was handed from that of each
    that contains it.  False if it is a trait of another sort."""
    number = signal_sets.trait_number(trait)
    if number is None:
        return False
    for at in execution.chain():
        value = signal_sets.trait_value(number, at.signals_ignored, at.signals_blocked)
        at.observe((Kind.TRAIT, trait), Observation(ts, b"", value))
    return True
