"""From what an execution did to what the store keeps: preconditions and postconditions.

This happens as soon as an execution has ended, while others go on: an input counts only if the
file is still the version that was read, an output only if nobody touched it since.  What happened
between the event and our look at the file is judged when all events are known (`settle`).  What
cannot be vouched for makes the execution uncacheable, with the reason.
"""

from __future__ import annotations

from pcache.memo.facts import Facts
from pcache.model import Fact, Key, Reason, Record, Uncacheable
from pcache.observe import configured, left_out, shells
from pcache.observe.accesses.context import Context
from pcache.observe.conditions.call import call_of
from pcache.observe.conditions.clock import Clock
from pcache.observe.conditions.conflicts import mark_conflicts
from pcache.observe.conditions.listings import list_rest
from pcache.observe.conditions.numbered import NumberedDirectories, refuse_shown
from pcache.observe.conditions.outputs import Outputs
from pcache.observe.conditions.preconditions import Preconditions, in_order
from pcache.observe.conditions.private import PrivateNames
from pcache.observe.conditions.settling import Settling
from pcache.observe.conditions.streams import depend_on_pipes
from pcache.observe.conditions.times import KeptTimes
from pcache.observe.conditions.unknowable import Unknowable
from pcache.observe.conditions.values import Values
from pcache.observe.conditions.versions import Versions
from pcache.observe.events import Stamp
from pcache.observe.executions import Execution
from pcache.observe.mentions import Mentions
from pcache.observe.observations import Observation
from pcache.observe.relocation import BaseDirSearch
from pcache.settings import base_dir
from pcache.settings.numbered import NumberedNames
from pcache.settings.rules import DEFAULT, Policy
from pcache.settings.stand_ins import StandIns
from pcache.store import fingerprint
from pcache.store.blobs import Blobs
from pcache.store.digests import DigestCache

__all__ = ["Clock", "Conditions", "call_of"]


class Conditions:
    """Turns ended executions into records: `capture` each one at its end, then `settle` each."""

    def __init__(
        self,
        digests: DigestCache,
        blobs: Blobs,
        facts: Facts,
        context: Context,
        clock: Clock,
        policy: Policy = DEFAULT,
    ) -> None:
        self._facts = facts
        self._context = context
        self._clock = clock
        self._policy = policy
        self._base_search = BaseDirSearch(policy.base, blobs) if policy.base is not None else None
        self._versions = Versions(digests, context, clock)
        self._mentions = Mentions()
        self._values = Values(self._versions, facts, context, clock)
        self._preconditions = Preconditions(self._values, context)
        self._outputs = Outputs(digests, blobs, context, clock)
        self._blobs = blobs
        self._times = KeptTimes(blobs, context, clock)
        self._settling = Settling(self._versions, context, clock)
        self._private = PrivateNames(context, blobs)
        self._numbered = NumberedDirectories(context)
        self._results: dict[Execution, Record | Uncacheable] = {}
        """Of executions that have ended and are not settled yet."""
        self._stand_ins: dict[Execution, StandIns] = {}

    def hash_early(self, name: bytes, stamp: Stamp) -> None:
        """As for Versions."""
        self._versions.hash_early(name, stamp)

    def read_whole(self, ts: int, name: bytes, stamp: Stamp, data: bytes) -> None:
        """As for Versions."""
        self._versions.read_whole(ts, name, stamp, data)

    def look_up_early(self, key: Key, observation: Observation) -> None:
        """As for Values."""
        self._values.look_up_early(key, observation)

    def capture(self, execution: Execution) -> None:
        """Takes down the conditions of an execution that has just ended."""
        configured.apply(execution, self._policy, self._facts, self._mentions)
        if not execution.replayed:
            shells.apply(execution)
            left_out.apply(execution, self._mentions)
            depend_on_pipes(execution)
        list_rest(execution, self._clock)
        if self._context.numbered:
            self._numbered.take(execution)
        stand_ins = self._private.judge(execution)
        if not execution.problems and not execution.replayed:
            try:
                record = self._results[execution] = self._record(execution)
                if stand_ins is not None:
                    self._private.refuse_shown(record, stand_ins)
                    self._stand_ins[execution] = stand_ins
                self._private.refuse_caller(record)
                numbers = self._numbered.names(execution)
                if numbers is not None:
                    self._private.refuse_printed(record, numbers.names)
                    refuse_shown(record, numbers)
            except Unknowable as unknowable:
                self._results[execution] = unknowable.uncacheable
        elif not execution.replayed:
            self._times.note(execution)
        mark_conflicts(execution)
        for child in execution.children:
            child.release()

    def _record(self, execution: Execution) -> Record:
        call = call_of(execution)
        outcome = self._times.apply(execution, *self._outputs.outcome(execution))
        left_out.depend_on_shown(execution, outcome, self._blobs)
        facts = self._preconditions.of(execution)
        facts = in_order([*facts, *self._outputs.assumptions(execution, outcome)])
        if self._context.numbered:
            facts = in_order([*self._numbered.facts(execution), *facts])
            outcome = outcome.with_outputs((*outcome.outputs, *self._numbered.outputs(execution)))
        if self._base_search is not None and self._base_search.shows(facts, outcome):
            assert execution.end is not None  # capture() is told of ended ones only
            bound = Fact(*base_dir.KEY, self._policy.base_dir)
            # In what contains it, it is so whatever becomes of what it wrote.
            execution.observe(base_dir.KEY, Observation(execution.end, b"", bound.value))
            facts.append(bound)
        return Record(call, fingerprint.weak_fingerprint(call, self._policy), tuple(facts), outcome)

    def stand_ins(self, execution: Execution) -> StandIns | None:
        """What its record is to be stored with, in place of names in its call; None for nothing."""
        return self._stand_ins.get(execution)

    def numbers(self, execution: Execution) -> NumberedNames | None:
        """The same in place of numbers of directories."""
        return self._numbered.names(execution)

    def settle(self, execution: Execution) -> Record | list[Uncacheable]:
        """The record, or why there is none; when the tree has ended and all events are known."""
        if execution.end is None and Reason.EVENTS_LOST not in execution.problems:
            execution.problem(Reason.LEFT_RUNNING, "it had not ended when the recording did")
        if execution.problems:
            return list(execution.problems.values())
        outside = self._context.connections.outside(execution)
        if outside is not None:
            return [Uncacheable(Reason.NETWORK, outside)]
        result = self._results.pop(execution)
        if isinstance(result, Uncacheable):
            return [result]
        refusal = self._settling.refusal(execution)
        if refusal is not None:
            return [refusal]
        if execution.counted_names:
            facts = self._values.recounted(execution, result.facts)
            return Record(result.call, result.weak, facts, result.outcome)
        return result
