"""`pcache run`: replay what holds and record what does not, in one go.

What is needed where the command itself is a hit comes first; the rest is imported when it has to
run.
"""

from __future__ import annotations

import contextlib
import os
from stat import S_IFMT, S_IFREG

from pcache.counters import Counters
from pcache.errors import Nested, PcacheError
from pcache.memo.decide import Decider
from pcache.memo.questions import entries_of, xattrs_value
from pcache.model import Kind
from pcache.session.steps.recording import Recording
from pcache.session.steps.recording_verb import RecordingVerb
from pcache.session.steps.replay_root import replay_root
from pcache.session.steps.reporting import (
    NESTED,
    afterwards,
    end,
    say,
    say_denied,
    say_timing,
    say_trouble,
    write_json,
)
from pcache.store.digests import identity
from pcache.store.index import Store
from pcache.values import listing_value, names_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.observer import Observer
    from pcache.linux.descriptors import FdView
    from pcache.memo.restore import Plan
    from pcache.model import Call
    from pcache.settings.rules import Policy

_ARGUMENTS = 64
_ARGUMENT_BYTES = 1 << 20  # hashed in 0.1 ms


class Run(RecordingVerb):
    """One `pcache run` of one command.  Raises CommandNotFound, CommandNotExecutable."""

    def run(self) -> int:
        """The command's exit status.  Dies by the command's signal if it did."""
        try:
            store, policy = self._open_store()
            decider = self._decider(store)
            explain = self._options.explain and self.tells_root
            status = replay_root(self._command, decider, explain, self._timing)
            if self.stores and decider.damaged_index:
                store.close()
                self._set_index_aside()
                directory = self._user.store_dir
                store = Store.open(directory, counters=self._counters, policy=policy)
                decider = self._decider(store)
        except Exception as error:
            say_trouble(error)
            return self._plainly("the command runs without pcache")
        if status is None:
            status = self._run_recorded(store, policy, decider)
        else:
            with contextlib.suppress(PcacheError):
                since = self._timing.now()
                store.close()  # the command has ended: its status counts
                self._timing.spent("closing", since)
        afterwards(lambda: self._report(status))
        return end(status)

    # ---- what a check does in another way ----

    tells_root = True
    """Whether `--explain` has the lookup of the command itself told here."""

    def _decider(self, store: Store) -> Decider:
        return _Decider(store, self._counters)

    def _new_recording(self, store: Store) -> Recording:
        return Recording(self._user, self._options, store, self._counters, self._probes)

    def _observer(self, recording: Recording, decider: Decider) -> Observer:
        from pcache.session.steps.decision_log import DecisionLog
        from pcache.session.steps.record_hits import HitRecorder

        return HitRecorder(recording, DecisionLog(decider) if self._options.explain else None)

    # ---- the command itself ----

    def _run_recorded(self, store: Store, policy: Policy, decider: Decider) -> int:
        """Runs the command under supervisor and recorder; its wait status."""
        self._probes.start(gate=True)  # loaded while Python imports the rest
        recording = self._new_recording(store)
        try:
            from pcache.enforce.sandbox import DEFAULT
            from pcache.session.steps.record_supervised import record_supervised

            recording.load()
            status, denied = record_supervised(
                self._command.to_execute(),
                recording,
                self._user,
                self._sandbox or DEFAULT,
                policy,
                self._observer(recording, decider),
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
            return self._plainly("the command runs without pcache")
        afterwards(lambda: self._finish(recording, decider))
        if not self._options.quiet:
            say_denied(denied)
        return status

    def _plainly(self, consequence: str) -> int:
        self._probes.close()
        if consequence:
            say(f"pcache: {consequence}")
        write_json(self._options.json, None, self._counters)
        return self._become_command(self._command.to_execute())

    # ---- what the user sees ----

    def _report(self, status: int) -> None:
        counters = self._counters
        if not self._options.quiet:
            say(
                f"pcache: run: {counters['hits']} hits, {counters['misses']} misses, "
                f"{counters['records stored']} stored, "
                f"{counters['uncacheable']} not cacheable"
            )
        say_timing(self._timing)
        write_json(self._options.json, status, counters)


class _Decider(Decider):
    """Decides with an eye to what is being recorded."""

    def __init__(self, store: Store, counters: Counters) -> None:
        super().__init__(store, counters)
        self._digests = store.digests

    def unknown(self, argv: tuple[bytes, ...]) -> bool:
        unknown = super().unknown(argv)
        if unknown:
            self._meet(argv, b"")
        return unknown

    def decide(self, call: Call, fds: FdView) -> Plan | None:
        plan = super().decide(call, fds)
        if plan is None:
            self._meet(call.argv, call.cwd)
        else:
            _note_before(plan)
        return plan

    def _meet(self, argv: tuple[bytes, ...], cwd: bytes) -> None:
        """Looks at what a program was told to work on, while it is there: `sort -o FILE FILE` will
        have replaced it before its first event arrives, and `dd of=FILE conv=notrunc` changed it.

        Where its directory is not known, relative names are tried in our own, the command's: a
        wrong guess costs a stat.
        """
        for word in argv[1:_ARGUMENTS]:
            name, equals, value = word.partition(b"=")
            path = os.path.join(cwd, value if equals else name)
            with contextlib.suppress(OSError, ValueError):
                status = os.stat(path)
                if status.st_mode & 0o170000 == S_IFREG and status.st_size <= _ARGUMENT_BYTES:
                    self._meet_file(path, status)

    def _meet_file(self, path: bytes, status: os.stat_result) -> None:
        """What `sed -i FILE` looks at: the content, and whether there are access control lists."""
        digests = self._digests
        digests.file_digest(path, status)
        if digests.settled(status):
            # By descriptor: the path may lead elsewhere by now.
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                if identity(os.fstat(file)) == identity(status):
                    attributes = xattrs_value(file, follow=True)
                    digests.values[Kind.XATTRS, *identity(status)] = attributes
            finally:
                os.close(file)


def _note_before(plan: Plan) -> None:
    """What a record of the caller has to tell of the time before the outputs are put in place."""
    for output in plan.outcome.outputs:
        with contextlib.suppress(OSError):
            plan.existed[output.path] = S_IFMT(os.lstat(output.path).st_mode) >> 12
    for (kind, path), value in zip(plan.keys, plan.values, strict=True):
        if kind in (Kind.LISTING, Kind.NAMES):
            with contextlib.suppress(OSError):
                entries = frozenset(entries_of(path))
                if value in (listing_value(entries), names_value(name for name, _ in entries)):
                    plan.listed[path] = entries
