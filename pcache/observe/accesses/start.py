"""Traits that each execution had at its start in a way of its own, as its execve(2) told."""

from __future__ import annotations

from pcache.linux import signal_sets, traits
from pcache.model import Kind, Reason
from pcache.observe.accesses.event import Process
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation


def depend_on_start(ts: int, execution: Execution, trait: bytes) -> bool:
    """What an execution did follows from such a trait, and what it was handed from that of each
    that contains it.  False if it is a trait of another sort."""
    number = signal_sets.trait_number(trait)
    if number is None and trait not in (traits.LEADER, traits.CHILDREN):
        return False
    for at in execution.chain():
        if trait == traits.CHILDREN and at.has_children:
            at.problem(Reason.FOREIGN_INPUT, "it waits, and was started in a process with children")
        elif trait == traits.CHILDREN:
            at.observe((Kind.TRAIT, trait), Observation(ts, b"", traits.NO))
        elif number is None:
            at.observe((Kind.TRAIT, trait), Observation(ts, b"", at.leads))
        else:
            value = signal_sets.trait_value(number, at.signals_ignored, at.signals_blocked)
            at.observe((Kind.TRAIT, trait), Observation(ts, b"", value))
        if trait == traits.CHILDREN and not at.is_tail:
            break  # the children of a process are its own
    return True


def observe_trait(
    execution: Execution,
    ts: int,
    trait: bytes,
    value: bytes | None,
    setter: Execution | None = None,
) -> None:
    """Notes a trait that is handed on as it is, for an execution and its ancestors, but for those
    in which it was set by `setter`.  Where nobody knows to what (None), they are uncacheable."""
    for at in execution.chain():
        if setter is not None and at.contains(setter):
            continue
        if value is None:
            at.problem(Reason.UNSUPPORTED, f"it asks for its {trait.decode()}")
        else:
            at.observe((Kind.TRAIT, trait), Observation(ts, b"", value))


def leader_value(process: Process) -> bytes:
    """Value of the trait LEADER for a program that begins now; who leads nothing that the tree has
    made is led by a caller of it."""
    return b" ".join([_leader(process, leader) for leader in (process.group, process.session)])


def _leader(process: Process, leader: int) -> bytes:
    if not leader:
        return traits.OTHER
    if leader == process.tgid:
        return traits.OWN
    return traits.PARENT if leader == process.parent else traits.OTHER
