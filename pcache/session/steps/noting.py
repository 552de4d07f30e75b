"""Noting what becomes of each execution of a command that runs."""

from __future__ import annotations

from time import monotonic_ns, thread_time_ns

from pcache.enforce.observer import Observer
from pcache.enforce.task import Task
from pcache.history.entries import HIT, RAN, REFUSED, Entry
from pcache.memo.decide import Decider, changed_inputs
from pcache.memo.restore import Plan
from pcache.model import Call, Reason
from pcache.session.steps.causes import foremost
from pcache.session.steps.notes import Notes
from pcache.store.index import Store
from pcache.wording import PRIVILEGED_EVIDENCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.observe.executions import Execution
    from pcache.session.steps.analyse import Result
    from pcache.session.steps.recording import Recording

_LOOKING_NS = 3_000_000
_LOOKING_SHARE = 200
"""For finding out which inputs have changed: so much processor time, and this part of the time that
has passed."""
_CHANGED = 20
"""How many of them are noted."""


class Noting(Observer):
    """Notes decisions, and passes them on to a `teller`."""

    def __init__(
        self, notes: Notes, store: Store, decider: Decider, teller: Observer | None = None
    ) -> None:
        self.decided: dict[int, list[tuple[int, Entry]]] = {}
        """By process: when (CLOCK_MONOTONIC), and what is known of the execution by that."""
        self.hears_misses = teller is not None and teller.hears_misses
        self._notes = notes
        self._store = store
        self._decider = decider
        self._teller = teller or Observer()
        self._looked_ns = 0

    def _note(self, tgid: int, at_ns: int, entry: Entry) -> None:
        entry.tgid = tgid
        entry.start_ns = at_ns - self._notes.began_ns
        self.decided.setdefault(tgid, []).append((at_ns, entry))

    def signalled(self, signal: int) -> None:
        self._teller.signalled(signal)

    def hit(self, task: Task, plan: Plan, began_ns: int, ended_ns: int) -> None:  # type: ignore[override]
        entry = _entry(HIT, task.call)
        entry.strong, entry.saved_ns, entry.status = plan.strong, plan.wall_ns, plan.status
        entry.end_ns = ended_ns - self._notes.began_ns
        self._note(task.tgid, began_ns, entry)
        self._teller.hit(task, plan, began_ns, ended_ns)

    def missed(self, task: Task, at_ns: int) -> None:
        entry = _entry(RAN, task.call)
        seen = self._decider.seen
        entry.miss = "input changed" if seen is not None else self._decider.last_miss
        share = (at_ns - self._notes.began_ns) // _LOOKING_SHARE
        if seen is not None and self._looked_ns < _LOOKING_NS + share:
            began = thread_time_ns()
            changed = foremost(changed_inputs(self._store, *seen), task.call.cwd)
            entry.changed = tuple(changed[:_CHANGED])
            self._looked_ns += thread_time_ns() - began
        self._note(task.tgid, at_ns, entry)
        self._teller.missed(task, at_ns)

    def unknown(self, tid: int, argv: tuple[bytes, ...], at_ns: int) -> None:
        entry = Entry(RAN, b"", argv, b"")
        entry.miss = "unknown call"
        self._note(tid, at_ns, entry)

    def ran(  # type: ignore[override]
        self, task: Task, plan: Plan, began_ns: int, ended_ns: int, why: str
    ) -> None:
        entry = _entry(RAN, task.call)
        entry.miss = f"not applied: {why}"
        self._note(task.tgid, began_ns, entry)
        self._teller.ran(task, plan, began_ns, ended_ns, why)

    # ---- when the command has ended

    def conclude(self) -> None:
        """Of a session that recorded nothing: its executions in the order of their start."""
        summary = self._notes.summary
        root = Entry(RAN, b"", summary.argv, summary.cwd)
        root.start_ns = 0
        root.end_ns = monotonic_ns() - self._notes.began_ns
        root.miss, root.changed = self._notes.root_miss, tuple(self._notes.root_changed[:_CHANGED])
        below = [entry for decided in self.decided.values() for _, entry in decided]
        below.sort(key=_start)
        for entry in below:
            entry.parent = 0
        self._notes.entries = [root, *below]

    def enter(self, entries: list[Entry], executions: list[Execution]) -> None:
        """Adds what was decided to the executions that it was decided of."""
        processes: dict[int, list[int]] = {}
        for number, execution in enumerate(executions):
            processes.setdefault(execution.tgid, []).append(number)
        for tgid, decided in self.decided.items():
            for at_ns, decision in decided:
                begun = [at for at in processes.get(tgid, ()) if executions[at].image <= at_ns]
                if not begun:
                    continue
                entry = entries[begun[-1]]
                if decision.verdict == HIT and entry.verdict == HIT:
                    entry.strong, entry.saved_ns = decision.strong, decision.saved_ns
                else:
                    entry.miss, entry.changed = decision.miss, decision.changed
                    never = any(reason == Reason.CONFIGURED for reason, _ in entry.reasons)
                    if never and decision.miss == "unknown call":
                        # Where nothing is known of its arguments, no setting was looked at.
                        entry.miss = Reason.CONFIGURED


def recorded(recording: Recording, notes: Notes, noting: Noting | None) -> None:
    """Notes the executions that the recorder saw, in the order of their start."""
    analysis = recording.analysis
    notes.failed = recording.failed
    executions = analysis.tree.executions
    numbers = {execution: number for number, execution in enumerate(executions)}
    nothing: Result = (RAN, b"", [])
    found = []
    for execution in executions:
        verdict, strong, reasons = analysis.results.get(execution, nothing)
        if recording.failed and not reasons:
            verdict, strong, reasons = nothing
        entry = Entry(
            HIT if execution.replayed else verdict or REFUSED,
            execution.executable,
            tuple(execution.argv()),
            execution.cwd or b"",
        )
        if execution.parent is not None:
            entry.parent = numbers[execution.parent]
        entry.tgid, entry.strong = execution.tgid, strong
        entry.start_ns = execution.image - notes.began_ns
        if execution.end is not None:
            entry.end_ns, entry.status = execution.end - notes.began_ns, execution.status
        entry.cpu_ns = execution.cpu_ns
        entry.reasons = tuple((reason.reason, reason.evidence) for reason in reasons)
        found.append(entry)
    if not found and analysis.tree.privileged:
        refused = Entry(REFUSED, b"", notes.summary.argv, notes.summary.cwd)
        refused.reasons = ((Reason.PRIVILEGED, PRIVILEGED_EVIDENCE),)
        found.append(refused)
    if noting is not None:
        noting.enter(found, executions)
        if found:
            found[0].miss, found[0].changed = notes.root_miss, tuple(notes.root_changed[:_CHANGED])
    notes.entries = found


def _entry(verdict: str, call: Call) -> Entry:
    return Entry(verdict, call.executable, call.argv, call.cwd)


def _start(entry: Entry) -> int:
    return entry.start_ns
