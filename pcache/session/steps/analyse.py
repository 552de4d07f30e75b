"""What becomes of the events of one recording: executions, and what of them is stored."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator

from xxhash import xxh3_64_digest

from pcache.counters import Counters
from pcache.linux.descriptors import OwnFds
from pcache.memo.facts import Facts
from pcache.model import Digest, Key, Reason, Record, Uncacheable
from pcache.observe.conditions import Clock, Conditions, call_of
from pcache.observe.conditions.private import is_sure
from pcache.observe.events import Stamp
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.observe.tree import Tree
from pcache.settings.stand_ins import StandIns
from pcache.store import fingerprint
from pcache.store.index import Store
from pcache.store.record_writer import KNOWN

_COMPARED = b"?"
"""Marks the stand-ins of records that nobody may use."""
Explain = Callable[[str, Execution], None]
Result = tuple[str, Digest, list[Uncacheable]]
"""What the store said of a record and its strong fingerprint, or why there is none."""


class Analysis:
    """Give it the events with `feed` while they come, then `store` what they amount to."""

    def __init__(self, store: Store, spool: int, copies: int, counters: Counters) -> None:
        """`spool` is the file that the events come from, `copies` one for stream bytes that are
        found elsewhere."""
        # Millions of small objects, none of them in a cycle worth finding.
        gc.disable()
        self._store = store
        self._counters = counters
        self.copies = copies
        self.results: dict[Execution, Result] = {}
        """Of each execution that ran, when `store` has been called."""
        self.clock = Clock()
        self.tree = Tree(
            spool,
            copies,
            self._hash_early,
            self._look_up_early,
            self._read_whole,
            self._ended,
            store.policy,
        )
        context = self.tree.accesses.context
        self._conditions = Conditions(
            store.digests,
            store.blobs,
            Facts(store.digests, OwnFds(), counters),
            context,
            self.clock,
            store.policy,
        )

    def feed(self, blob: bytes, offset: int) -> None:
        """Complete ring records, and where in the spool they begin."""
        if blob:
            self.tree.feed(blob, offset)
            self._conditions.hash_overdue()

    def store(self, failure: str, interrupted: Iterable[int], explain: Explain) -> None:
        """Stores the executions that can be vouched for, each whole or not at all.

        `explain` is told of each verdict; for the rest see `settled`.  Raises StoreError.
        """
        with self._store.batch():
            for execution, result in self.settled(failure, interrupted):
                if isinstance(result, list):
                    self._refuse(execution, result, explain)
                    self.results[execution] = ("", b"", result)
                else:
                    answer = self._add(execution, result)
                    explain(answer, execution)
                    self.results[execution] = (answer, self._store.added, [])

    def _add(self, execution: Execution, record: Record) -> str:
        """Stores a record, with stand-ins for names that are others each time.  Where those may
        make a difference to the program, only for comparison, until it has done the same twice."""
        numbers = self._conditions.numbers(execution)
        if numbers is not None:
            record = numbers.hide_record(record, record.weak)
        stand_ins = self._conditions.stand_ins(execution)
        if stand_ins is None:
            return self._store.add(record)
        if is_sure(execution):
            return self._store.add(self._hidden(record, stand_ins))
        compared = self._hidden(record, stand_ins.marked(_COMPARED))
        # Nobody will ask how long it took; which names it had must be known.
        names = int.from_bytes(xxh3_64_digest(b"\0".join(stand_ins.stems)), "big") >> 1
        compared.outcome.cpu_ns = names
        answer = self._store.add(compared)
        if answer != KNOWN:
            return answer
        former = self._store.outcome(self._store.added)
        if former is None or former.cpu_ns == names:
            return answer
        return self._store.add(self._hidden(record, stand_ins))

    def _hidden(self, record: Record, stand_ins: StandIns) -> Record:
        call = stand_ins.hide_call(record.call)
        weak = fingerprint.weak_fingerprint(call, self._store.policy)
        return stand_ins.hide_record(record, weak)

    def settled(
        self, failure: str, interrupted: Iterable[int]
    ) -> Iterator[tuple[Execution, Record | list[Uncacheable]]]:
        """Each execution that ran, with its record or why there is none.

        `failure`: why the recording as a whole is worthless, or empty; `interrupted`: when signals
        came from outside (CLOCK_MONOTONIC ns).  Raises StoreError.
        """
        self.tree.accesses.context.captured.close()
        executions = self.tree.executions
        self._counters.inc("executions", len(executions))
        if self.clock.stepped():
            failure = failure or "the system clock was set meanwhile"
        for execution in executions:
            if execution.replayed:
                continue
            if failure:
                execution.problem(Reason.EVENTS_LOST, failure)
            for at in interrupted:
                if execution.image < at and (execution.end is None or execution.end >= at):
                    execution.problem(Reason.KILLED_OUTSIDE, "a signal while it ran")
            yield execution, self._conditions.settle(execution)

    def _refuse(self, execution: Execution, reasons: list[Uncacheable], explain: Explain) -> None:
        self._counters.inc("uncacheable")
        for reason in reasons:
            self._counters.inc(f"uncacheable: {reason.reason}")
            explain(f"{reason.reason}: {reason.evidence}", execution)
        if any(reason.reason == Reason.PRIVATE_TEMPORARY for reason in reasons):
            return  # named by chance: nobody will ever ask about this call
        call = call_of(execution)
        weak = fingerprint.weak_fingerprint(call, self._store.policy)
        self._store.add_uncacheable(call, weak, reasons)

    def _hash_early(self, name: bytes, stamp: Stamp, ts: int, to_read: bool) -> None:
        self._conditions.hash_early(name, stamp, ts, to_read)

    def _look_up_early(self, key: Key, observation: Observation) -> None:
        self._conditions.look_up_early(key, observation)

    def _read_whole(self, name: bytes, stamp: Stamp, data: bytes) -> None:
        self._conditions.read_whole(name, stamp, data)

    def _ended(self, execution: Execution) -> None:
        self._conditions.capture(execution)
