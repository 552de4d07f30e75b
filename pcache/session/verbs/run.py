"""`pcache run`: replay what holds and record what does not, in one go.

What is needed where the command itself is a hit comes first; the rest is imported when it has to
run.
"""

from __future__ import annotations

import contextlib
import os
from stat import S_IFMT

from pcache.counters import Counters
from pcache.errors import Nested, PcacheError
from pcache.memo.decide import Decider
from pcache.memo.questions import entries_of
from pcache.model import Kind
from pcache.session.steps.meeting import meet
from pcache.session.steps.recording import Recording
from pcache.session.steps.recording_verb import RecordingVerb
from pcache.session.steps.replay_root import replay_root
from pcache.session.steps.reporting import (
    NESTED,
    afterwards,
    end,
    say,
    say_denied,
    say_held,
    say_timing,
    say_trouble,
    write_json,
)
from pcache.store.index import Store
from pcache.values import names_value, others_names, others_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.observer import Observer
    from pcache.linux.descriptors import FdView
    from pcache.memo.decide import Elsewhere
    from pcache.memo.restore import Plan
    from pcache.model import Call
    from pcache.settings.rules import Policy


class Run(RecordingVerb):
    """One `pcache run` of one command.  Raises CommandNotFound, CommandNotExecutable."""

    name = "run"

    def run(self) -> int:
        """The command's exit status.  Dies by the command's signal if it did."""
        try:
            store, policy = self._open_store()
            self._notes.open(store)
            decider = self._decider(store)
            explain = self._options.explain and self.tells_root
            decider.alone = True
            status = replay_root(self._command, decider, explain, self._timing, self._notes)
            if self.stores and decider.damaged_index:
                store.close()
                self._set_index_aside()
                directory = self._user.store_dir
                store = Store.open(directory, counters=self._counters, policy=policy)
                decider = self._decider(store)
        except Exception as error:
            say_trouble(error)
            return self._unrecorded("the command runs without pcache")
        if status is None:
            status = self._run_recorded(store, policy, decider)
        else:
            if self._shared is not None:
                self._shared.close()
            with contextlib.suppress(PcacheError):
                since = self._timing.now()
                store.close()  # the command has ended: its status counts
                self._timing.spent("closing", since)
        self._conclude(status)
        say_held()
        afterwards(lambda: self._report(status))
        return end(status)

    # ---- what a check does in another way ----

    tells_root = True
    """Whether `--explain` has the lookup of the command itself told here."""

    def _decider(self, store: Store) -> Decider:
        return _Decider(store, self._counters, self._elsewhere(store))

    def _new_recording(self, store: Store) -> Recording:
        return Recording(self._user, self._options, store, self._counters, self._probes)

    def _observer(self, recording: Recording, decider: Decider, store: Store) -> Observer:
        from pcache.session.steps.decision_log import DecisionLog
        from pcache.session.steps.noting import Noting
        from pcache.session.steps.record_hits import HitRecorder

        teller = DecisionLog(decider) if self._options.explain else None
        self._noting = Noting(self._notes, store, decider, teller)
        return HitRecorder(recording, self._noting)

    def _note(self, recording: Recording) -> None:
        """What the executions were, for the notes; when all of them are settled."""
        from pcache.session.steps.noting import recorded

        recorded(recording, self._notes, self._noting)

    def _conclude(self, status: int) -> None:
        self._notes.finish(status)

    # ---- the command itself ----

    def _run_recorded(self, store: Store, policy: Policy, decider: Decider) -> int:
        """Runs the command under supervisor and recorder; its wait status."""
        decider.alone = False
        self._probes.start(gate=True)  # loaded while Python imports the rest
        recording = self._new_recording(store)
        try:
            from pcache.enforce.sandbox import DEFAULT
            from pcache.session.steps.record_supervised import record_supervised

            recording.load()
            from pcache.session.steps.live import Live, deciding

            counters = self._counters
            with Live(self._options.progress, lambda: deciding(counters, recording.seen[0])):
                status, denied = record_supervised(
                    self._command.to_execute(),
                    recording,
                    self._user,
                    self._sandbox or DEFAULT,
                    policy,
                    self._observer(recording, decider, store),
                    decider,
                    self._command.call,
                    self._timing,
                    self._probes,
                )
        except Nested:
            return self._plainly("" if self._options.quiet else NESTED)
        except Exception as error:
            if recording.begun and not isinstance(error, PcacheError):
                raise
            say_trouble(error)
            return self._unrecorded("the command runs without pcache")
        afterwards(
            lambda: self._notes.find_cause(store),
            lambda: self._finish(recording, decider),
            lambda: self._note(recording),
            lambda: self._share(store),
        )
        if not self._options.quiet:
            say_denied(denied)
        return status

    # ---- what the user sees ----

    def _report(self, status: int) -> None:
        counters = self._counters
        if not self._options.quiet:
            say(self._notes.closing_line())
        say_timing(self._timing)
        write_json(self._options.json, status, counters, self._notes.reported())


class _Decider(Decider):
    """Decides with an eye to what is being recorded."""

    def __init__(
        self, store: Store, counters: Counters, elsewhere: Elsewhere | None = None
    ) -> None:
        super().__init__(store, counters, elsewhere)
        self._digests = store.digests

    def unknown(self, argv: tuple[bytes, ...]) -> bool:
        unknown = super().unknown(argv)
        if unknown:
            meet(self._digests, argv, b"")
        return unknown

    def decide(self, call: Call, fds: FdView, wait: bool = False) -> Plan | None:
        plan = super().decide(call, fds, wait)
        if plan is None:
            meet(self._digests, call.argv, call.cwd)
        elif not self.alone:
            _note_before(plan)
        return plan


def _note_before(plan: Plan) -> None:
    """What a record of the caller has to tell of the time before the outputs are put in place."""
    for output in plan.outcome.outputs:
        with contextlib.suppress(OSError):
            plan.existed[output.path] = S_IFMT(os.lstat(output.path).st_mode) >> 12
    for (kind, path), value in zip(plan.keys, plan.values, strict=True):
        if kind == Kind.NUMBERED:
            with contextlib.suppress(OSError):
                from pcache.memo.numbered import unlocked

                plan.listed[path] = unlocked(path)
        elif kind in (Kind.LISTING, Kind.NAMES, Kind.OTHERS):
            names, directory = others_names(path) if kind == Kind.OTHERS else (frozenset(), path)
            with contextlib.suppress(OSError):
                entries = frozenset(entries_of(directory))
                known = (
                    others_value(entries, names),
                    names_value(name for name, _ in entries),
                )
                if value in known:
                    plan.listed[path] = entries
