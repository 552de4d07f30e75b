"""`pcache trace`: run a command under the recorder, then store what can be vouched for."""

from __future__ import annotations

import contextlib
import os
import select

from pcache.enforce import signals, syscalls
from pcache.enforce.sentinel import Sentinel
from pcache.errors import Nested, PcacheError
from pcache.linux.pids import check_waiting
from pcache.linux.user import is_root
from pcache.session.steps.live import Live
from pcache.session.steps.load_probes import nothing_recorded
from pcache.session.steps.recording import Recording
from pcache.session.steps.recording_verb import RecordingVerb
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from pcache.enforce import spawn
    from pcache.settings.rules import Policy

_PAUSE_MS = 5
_NAME_BYTES = 15
"""Of what a process can be called, at most."""


class Trace(RecordingVerb):
    """One command under the recorder.  Raises CommandNotFound, CommandNotExecutable."""

    name = "trace"

    def run(self) -> int:
        """Runs the command; its exit status.  Dies by the command's signal if it did."""
        recording = None
        try:
            if syscalls.handshake():
                raise Nested(NESTED)
            if not self._probes.there and not is_root():
                say(nothing_recorded("trace", self._probes))
                return self._unrecorded("")
            store, policy = self._open_store()
            self._notes.open(store)
            recording = Recording(self._user, self._options, store, self._counters, self._probes)
            recording.load()
            with Live(self._options.progress, lambda: (*recording.seen, 0, 0)):
                status = self._follow(recording, policy)
        except Nested:
            return self._plainly("" if self._options.quiet else NESTED)
        except Exception as error:
            if recording is not None and recording.begun:
                raise
            say_trouble(error)
            return self._unrecorded("the command runs without being recorded")
        afterwards(
            lambda: self._finish(recording),
            lambda: self._note(recording, status),
            lambda: self._share(store),
            lambda: self._report(status),
        )
        return end(status)

    # ---- the command ----

    def _execute(self, command: spawn.Command) -> int:
        """Becomes the command; returns an exit status if that fails."""
        try:
            return self._become_command(command)
        except PcacheError as error:
            say(error.report())
            return error.status

    def _follow(self, recording: Recording, policy: Policy) -> int:
        """Records the command from its start to its end; its wait status."""
        if self._sandbox is None:
            return self._follow_freely(recording)
        from pcache.session.steps.record_supervised import SignalObserver, record_supervised

        observer = SignalObserver(recording)
        command = self._command.to_execute()
        status, denied = record_supervised(
            command,
            recording,
            self._user,
            self._sandbox,
            policy,
            observer,
            timing=self._timing,
            probes=self._probes,
        )
        if not self._options.quiet:
            say_denied(denied)
        return status

    def _follow_freely(self, recording: Recording) -> int:
        """The same without a supervisor, from behind a gate."""
        # Made now, not by the child: what that imports would be recorded.
        command = self._command.to_execute()
        check_waiting()
        # From here on they are ours to pass on: none may kill us in between.
        wanted = signals.handled(signals.FORWARDED)
        mask = signals.block(wanted)
        pid = 0
        try:
            gate, opener = os.pipe()
            pending, sentinel = signals.Pending(wanted), Sentinel()
            sentinel.fork()
            pid = os.fork()
            if pid == 0:
                self._behind_gate(command, gate, opener, mask)
            ended = os.pidfd_open(pid)
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            poll.register(pending.fd, select.POLLIN)
            poll.poll(0)  # if that is refused, then before the command runs
        except BaseException:
            if pid:
                os.kill(pid, signals.KILL)
                os.waitpid(pid, 0)
            signals.set_mask(mask)
            raise
        os.close(gate)
        since = self._timing.now()
        name = recording.open_gate(pid)
        if signals.came_early():
            os.kill(pid, signals.KILL)
            signals.set_mask(mask)  # it ends us
        os.write(opener, b"g" + name)
        os.close(opener)
        ready: set[int] = set()
        while ended not in ready:
            ready = {fd for fd, _ in poll.poll(_PAUSE_MS)}
            if pending.fd in ready:
                self._pass_on(pending, sentinel, pid, recording)
            recording.tick()
        status = os.waitpid(pid, 0)[1]
        pending.close()
        sentinel.close()
        self._timing.spent("running", since)
        return status

    def _behind_gate(
        self, command: spawn.Command, gate: int, opener: int, mask: set[int]
    ) -> NoReturn:
        """In the child: waits for its name, which may be none, and becomes the command."""
        status = 126
        try:
            os.close(opener)
            signals.set_mask(mask)
            opened = os.read(gate, 1 + _NAME_BYTES)
            os.close(gate)
            if opened:
                syscalls.take_name(opened[1:])
                status = self._execute(command)
        finally:
            os._exit(status)

    @staticmethod
    def _pass_on(
        pending: signals.Pending, sentinel: Sentinel, pid: int, recording: Recording
    ) -> None:
        for signal, by_kernel in pending.read():
            recording.interrupted()
            if signals.to_pass_on(signal, by_kernel, sentinel.reached_group(signal)):
                # It may have become another user's: nobody but root can signal it then.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal)

    # ---- what the user sees ----

    def _note(self, recording: Recording, status: int) -> None:
        from pcache.session.steps.noting import recorded

        recorded(recording, self._notes, None)
        self._notes.finish(status)

    def _report(self, status: int) -> None:
        if not self._options.quiet:
            say(self._notes.closing_line())
        say_timing(self._timing)
        write_json(self._options.json, status, self._counters, self._notes.reported())
