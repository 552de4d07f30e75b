"""`pcache replay --check`: every execution that would be replayed runs, and is compared.

Supervisor and recorder work together as in `pcache run`; the decisions are made, and not acted
upon.  What the recorder saw an execution do is held against the outcome that would have been put in
place of it.  Nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pcache.counters import Counters
from pcache.enforce.observer import Observer
from pcache.enforce.task import Task
from pcache.errors import PrivilegeError
from pcache.linux.descriptors import FdView
from pcache.linux.user import User
from pcache.memo.decide import Decider
from pcache.memo.restore import Plan
from pcache.model import Call, Outcome, Record
from pcache.observe.executions import Execution
from pcache.session.steps.decision_log import tell
from pcache.session.steps.load_probes import Probes
from pcache.session.steps.options import Options
from pcache.session.steps.recording import Recording
from pcache.session.steps.reporting import say, say_timing, write_json
from pcache.session.verbs.run import Run
from pcache.store.difference import difference
from pcache.store.fingerprint import weak_fingerprint
from pcache.store.index import Store

DIFFERENT = 124
"""Exit status if an execution did something else than is recorded."""


class Check(Run):
    """One `pcache replay --check` of one command.

    Raises CommandNotFound, CommandNotExecutable, and PrivilegeError without a recorder.
    """

    stores = False
    tells_root = False  # the command itself is told of like all others

    def __init__(self, words: list[bytes], options: Options, user: User, probes: Probes) -> None:
        if not probes.there:
            raise PrivilegeError(
                "a check needs root or the service, to see what programs do",
                "sudo pcache replay --check ..., or sudo pcache service install; or sample what is"
                " stored: pcache verify --rerun 5%",
            )
        super().__init__(words, options, user, probes)
        self._checked: _Checked

    def run(self) -> int:
        """DIFFERENT if anything differed, else the command's exit status."""
        status = super().run()
        return DIFFERENT if self._counters["checks different"] else status

    def _decider(self, store: Store) -> Decider:
        self._checked = _Checked(self._options, self._counters, store)
        return _Abstaining(store, self._checked)

    def _new_recording(self, store: Store) -> Recording:
        checked = self._checked
        return _Comparing(self._user, self._options, store, self._counters, self._probes, checked)

    def _observer(self, recording: Recording, decider: Decider, store: Store) -> Observer:
        return _Placing(recording, self._checked)

    def _note(self, recording: Recording) -> None:
        """A check is no session to be kept."""

    def _conclude(self, status: int) -> None:
        """Nor is its end."""

    def _report(self, status: int) -> None:
        counters = self._counters
        if not self._options.quiet:
            say(
                f"pcache: check: {counters['checks']} hits run for real, "
                f"{counters['checks equal']} equal, "
                f"{counters['checks different']} different, "
                f"{counters['checks without result']} not compared; "
                f"{counters['misses']} misses"
            )
        say_timing(self._timing)
        write_json(self._options.json, status, counters)


class _Expected:
    """A hit that was not acted upon."""

    __slots__ = ("at_ns", "call", "outcome", "tgid")

    def __init__(self, call: Call, outcome: Outcome) -> None:
        self.call = call
        self.outcome = outcome
        self.tgid = 0
        """The process, once it is known; 0 is the command itself."""
        self.at_ns = 0
        """When it was about to run, CLOCK_MONOTONIC."""

    def find(self, executions: Iterable[Execution]) -> Execution | None:
        """Which of its process's executions it is: the last that had begun by `at_ns`."""
        begun = [at for at in executions if self.tgid == 0 or at.image <= self.at_ns]
        return max(begun, key=_began, default=None)


def _began(execution: Execution) -> int:
    return execution.image


class _Checked:
    """Holds what was expected against what was recorded."""

    def __init__(self, options: Options, counters: Counters, store: Store) -> None:
        self.counters = counters
        self._options = options
        self._store = store
        self._expected: list[_Expected] = []
        self._latest: _Expected | None = None

    def expect(self, call: Call, plan: Plan) -> None:
        """`plan` would have been put in place of `call`."""
        self._latest = _Expected(call, plan.outcome)
        self._expected.append(self._latest)
        self.counters.inc("checks")

    def missed(self, call: Call, why: str) -> None:
        """Nothing is stored that holds."""
        self._latest = None
        self.counters.inc("misses")
        if self._options.explain:
            tell("miss", call, why)

    def place(self, task: Task, at_ns: int) -> None:
        """The call that was decided last is about to run in this process."""
        if self._latest is not None:
            self._latest.tgid, self._latest.at_ns = task.tgid, at_ns

    def compare(self, settled: Mapping[Execution, Record | str]) -> None:
        """Judges everything that was expected; `settled`: records, or why there are none."""
        processes: dict[int, list[Execution]] = {}
        for execution in settled:
            tgid = 0 if execution.parent is None else execution.tgid
            processes.setdefault(tgid, []).append(execution)
        for expected in self._expected:
            found = expected.find(processes.get(expected.tgid, ()))
            result = "it was not seen" if found is None else settled[found]
            if isinstance(result, str):
                self._tell("checks without result", expected, result)
                continue
            what = difference(expected.outcome, result.outcome, self._store.blobs)
            if not what:
                self._tell("checks equal", expected, "")
                continue
            weak = weak_fingerprint(expected.call, self._store.policy)
            self._store.quarantine(weak, what)
            self._tell("checks different", expected, what)

    def _tell(self, counter: str, expected: _Expected, why: str) -> None:
        self.counters.inc(counter)
        if self._options.explain or (counter == "checks different" and not self._options.quiet):
            verdict = counter.removeprefix("checks ").replace("without result", "not compared")
            tell(verdict, expected.call, why)


class _Abstaining(Decider):
    """Decides as a replay does, and never for a hit."""

    def __init__(self, store: Store, checked: _Checked) -> None:
        # Its counts are of a replay that does not take place.
        super().__init__(store, Counters())
        self._checked = checked

    def decide(self, call: Call, fds: FdView, wait: bool = False) -> Plan | None:
        plan = super().decide(call, fds, wait)
        if self.awaited >= 0:
            return None
        if plan is None:
            self._checked.missed(call, self.last_miss)
        else:
            plan.abandon()
            self._checked.expect(call, plan)
        return None


class _Placing(Observer):
    """Tells which process each decision was about."""

    def __init__(self, recording: Recording, checked: _Checked) -> None:
        self._recording = recording
        self._checked = checked

    def signalled(self, signal: int) -> None:
        self._recording.interrupted()

    def missed(self, task: Task, at_ns: int) -> None:
        self._checked.place(task, at_ns)


class _Comparing(Recording):
    """A recorder whose records are compared instead of stored."""

    nothing = "nothing could be compared"

    def __init__(
        self,
        user: User,
        options: Options,
        store: Store,
        counters: Counters,
        probes: Probes,
        checked: _Checked,
    ) -> None:
        super().__init__(user, options, store, counters, probes)
        self._checked = checked

    def conclude(self, failure: str, interrupted: list[int]) -> None:
        settled: dict[Execution, Record | str] = {}
        for execution, result in self.analysis.settled(failure, interrupted):
            if isinstance(result, list):
                reasons = (f"{reason.reason}: {reason.evidence}" for reason in result)
                settled[execution] = "; ".join(reasons)
            else:
                settled[execution] = result
        self._checked.compare(settled)
