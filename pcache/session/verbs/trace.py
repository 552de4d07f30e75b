"""`pcache trace`: run a command under the recorder, then store what can be vouched for."""

from __future__ import annotations

import contextlib
import os
import select

from pcache.counters import Counters
from pcache.enforce import signals, spawn, syscalls
from pcache.errors import Nested, PcacheError
from pcache.linux.user import User
from pcache.session.steps.command import Command
from pcache.session.steps.finish import NESTED, end, say, say_denied, say_timing, write_json
from pcache.session.steps.load_probes import Probes
from pcache.session.steps.policy import session_policy
from pcache.session.steps.privilege import act_as, become
from pcache.session.steps.record import Options, RecordedCommand
from pcache.settings.rules import Policy
from pcache.store.index import Store
from pcache.timing import Timing

_PAUSE_MS = 5


class Trace:
    """One command under the recorder.

    Raises CommandNotFound, CommandNotExecutable, EnvironmentProblem.
    """

    def __init__(self, words: list[bytes], options: Options, probes: Probes) -> None:
        """`probes` may be on their way."""
        self._options = options
        self._probes = probes
        self._counters = Counters(Timing(options.timing))
        self._timing = self._counters.timing
        since = self._timing.now()
        root = os.geteuid() == 0
        self._user = User.invoking(options.as_root) if root else User.current()
        probes.wait()
        since = self._timing.spent("probes", since)
        act_as(self._user)
        self._sandbox = options.sandbox
        self._command = Command(words, self._user, self._sandbox)
        self._timing.spent("command", since)

    def run(self) -> int:
        """Runs the command; its exit status.  Dies by the command's signal if it did."""
        since = self._timing.now()
        try:
            if syscalls.knock():
                raise Nested(NESTED)
            policy, self._sandbox = session_policy(self._user, self._command.cwd, self._sandbox)
            store = Store.open(self._user.store_dir, counters=self._counters, policy=policy)
            self._timing.spent("store", since)
            recorded = RecordedCommand(
                self._user, self._options, store, self._counters, self._probes
            )
            recorded.load()
            status = self._follow(recorded, policy)
        except Nested:
            if not self._options.quiet:
                say(f"pcache: {NESTED}")
            return self._plainly()
        except PcacheError as error:
            say(error.report())
            say("pcache: the command runs without being recorded")
            return self._plainly()
        recorded.finish()
        self._report(status)
        return end(status)

    # ---- the command ----

    def _execute(self) -> int:
        """Becomes the command; returns an exit status if that fails."""
        name = os.fsdecode(self._command.argv[0])
        try:
            become(self._user)
            if self._sandbox is not None:
                spawn.confine(self._sandbox, self._user.store_dir)
            spawn.execute(self._command.to_execute())
        except PcacheError as error:
            say(error.report())
            return error.status
        except OSError as error:
            say(f"pcache: {name}: cannot be executed: {error.strerror}")
            return 127 if isinstance(error, FileNotFoundError) else 126
        return 126

    def _plainly(self) -> int:
        self._probes.close()
        self._write_json(None)
        return self._execute()

    def _follow(self, recorded: RecordedCommand, policy: Policy) -> int:
        """Records the command from its start to its end; its wait status."""
        if self._sandbox is None:
            return self._follow_freely(recorded)
        from pcache.session.steps.supervise import Noting, follow

        observer = Noting(recorded)
        command = self._command.to_execute()
        status, denied = follow(
            command,
            recorded,
            self._user,
            self._sandbox,
            policy,
            observer,
            timing=self._timing,
        )
        if not self._options.quiet:
            say_denied(denied)
        return status

    def _follow_freely(self, recorded: RecordedCommand) -> int:
        """The same without a supervisor, from behind a gate."""
        gate, opener = os.pipe()
        # From here on they are ours to pass on: none may kill us in between.
        wanted = signals.handled(signals.FORWARDED)
        mask = signals.block(wanted)
        pid = os.fork()
        if pid == 0:
            status = 126
            try:
                os.close(opener)
                signals.set_mask(mask)
                opened = os.read(gate, 1)
                os.close(gate)
                if opened:
                    status = self._execute()
            finally:
                os._exit(status)
        os.close(gate)
        since = self._timing.now()
        recorded.open_gate(pid)
        os.write(opener, b"g")
        os.close(opener)
        pending = signals.Pending(wanted)
        ended, poll = os.pidfd_open(pid), select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(pending.fd, select.POLLIN)
        ready: set[int] = set()
        while ended not in ready:
            ready = {fd for fd, _ in poll.poll(_PAUSE_MS)}
            if pending.fd in ready:
                self._pass_on(pending, pid, recorded)
            recorded.tick()
        status = os.waitpid(pid, 0)[1]
        pending.close()
        self._timing.spent("running", since)
        return status

    @staticmethod
    def _pass_on(pending: signals.Pending, pid: int, recorded: RecordedCommand) -> None:
        for signal, by_kernel in pending.read():
            recorded.interrupted()
            if signals.to_pass_on(signal, by_kernel):
                # It may have become another user's: nobody but root can signal it then.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal)

    # ---- what the user sees ----

    def _report(self, status: int) -> None:
        counters = self._counters
        if not self._options.quiet:
            say(
                f"pcache: trace: {counters['executions']} executions, "
                f"{counters['records stored']} stored, {counters['records known']} known, "
                f"{counters['uncacheable']} not cacheable, "
                f"{counters['bytes stored'] / 1e6:.1f} MB"
            )
        say_timing(self._timing)
        self._write_json(status)

    def _write_json(self, status: int | None) -> None:
        write_json(self._options.json, status, self._counters)
