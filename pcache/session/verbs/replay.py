"""`pcache replay`: look the command up, and where that fails run it and look up what it starts.

Everything before the first lookup is on the path of a root hit, so the supervisor (and ctypes with
it) is imported only when the command has to run.
"""

from __future__ import annotations

from time import process_time_ns

from pcache.counters import Counters
from pcache.errors import Nested
from pcache.linux.user import User
from pcache.memo.decide import Decider
from pcache.session.steps.command import Command
from pcache.session.steps.notes import Notes
from pcache.session.steps.policy import session_policy
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
from pcache.timing import Timing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.sandbox import Sandbox
    from pcache.memo.decide import Elsewhere
    from pcache.settings.rules import Policy


class Replay:
    """One `pcache replay` of one command."""

    def __init__(
        self,
        command: list[bytes],
        intercept: str = "entry",
        quiet: bool = False,
        json: str | None = None,
        verbose: bool = False,
        sandbox: Sandbox | None = None,
        timing: bool = False,
        progress: str = "auto",
    ) -> None:
        """`command` is a name or path and its arguments; `intercept` is `entry` or `execve`;
        `json` names a file that the counters are written to; `sandbox` None is the default one.

        Raises CommandNotFound or CommandNotExecutable.
        """
        self._counters = Counters(Timing(timing))
        self._timing = self._counters.timing
        self._quiet = quiet
        self._verbose = verbose
        self._json = json
        self._denied: dict[str, int] = {}
        self._intercept = intercept
        self._progress = progress
        self._sandbox = sandbox
        since = self._timing.now()
        self._command = Command(command, None, sandbox)
        self._notes = Notes("replay", self._command)
        self._timing.spent("command", since)

    def run(self) -> int:
        """Replay or run the command; its exit status.  If a signal ended it, so does it us."""
        counters = self._counters
        since = self._timing.now()
        elsewhere: Elsewhere | None = None
        try:
            user = User.current()
            directory = user.store_dir
            policy, self._sandbox = session_policy(user, self._command.cwd, self._sandbox)
            store = Store.open(directory, counters=counters, policy=policy)
            self._notes.open(store)
            if policy.remote:
                from pcache.session.steps import sharing

                elsewhere = sharing.Elsewhere(store, user, self._command.cwd, counters)
            decider = Decider(store, counters, elsewhere)
            decider.alone = True
            self._timing.spent("store", since)
            status = replay_root(self._command, decider, self._verbose, self._timing, self._notes)
        except Exception as error:
            say_trouble(error)
            return self._plainly("the command runs without pcache")
        supervision: dict[str, int] = {}
        ended = (
            self._supervised(decider, store, policy, directory, supervision)
            if status is None
            else status
        )
        afterwards(
            lambda: self._close(store, elsewhere),
            lambda: self._notes.finish(ended),
            say_held,
            lambda: self._report(counters, supervision, ended),
        )
        return end(ended)

    def _close(self, store: Store, elsewhere: Elsewhere | None) -> None:
        since = self._timing.now()
        if elsewhere is not None:
            elsewhere.close()
        store.close()
        self._timing.spent("closing", since)

    # -- the command itself

    def _supervised(
        self,
        decider: Decider,
        store: Store,
        policy: Policy,
        directory: bytes,
        supervision: dict[str, int],
    ) -> int:
        """Run the command under the filter; its wait status."""
        since = self._timing.now()
        from pcache.enforce import filter, sandbox, spawn
        from pcache.enforce.intercept import interception
        from pcache.enforce.supervisor import Supervisor
        from pcache.session.steps.live import Live, deciding

        command = self._command.to_execute()
        wanted = self._sandbox or sandbox.DEFAULT
        try:
            place = interception(self._intercept)
            refusals = filter.load_refusals(wanted, directory, native=False)
            program = place.program(directory, wanted)
            spawned = spawn.spawn(command, program, sandbox=wanted, refusals=refusals)
        except Nested:
            return self._plainly("" if self._quiet else NESTED)
        except Exception as error:
            say_trouble(error)
            return self._plainly("the command runs without pcache")
        from pcache.session.steps.noting import Noting

        teller = None
        if self._verbose:
            from pcache.session.steps.decision_log import DecisionLog

            teller = DecisionLog(decider)
        noting = Noting(self._notes, store, decider, teller)
        supervisor = Supervisor(
            spawned,
            place,
            decider,
            self._command.call,
            noting,
            timing=self._timing,
            policy=policy,
        )
        since = self._timing.spent("supervisor", since)
        began_ns = process_time_ns()
        with Live(self._progress, lambda: deciding(self._counters)):
            status = supervisor.run()
        supervision["microseconds"] = (process_time_ns() - began_ns) // 1000
        self._timing.spent("running", since)
        supervision["notifications"] = supervisor.notifications
        supervision["decided"] = supervisor.decided
        supervision["applied"] = supervisor.applied
        supervision["failures"] = supervisor.failures
        self._denied = supervisor.denied
        afterwards(lambda: self._notes.find_cause(store), noting.conclude)
        supervision.update((f"denied: {name}", count) for name, count in self._denied.items())
        return status

    def _plainly(self, consequence: str) -> int:
        """Become the command."""
        from pcache.enforce import spawn

        say_held()
        if consequence:
            say(f"pcache: {consequence}")
        self._write_json(Counters(), {}, None)
        if self._sandbox is not None:
            spawn.confine(self._sandbox, User.current().store_dir)
        return spawn.execute_or_tell(self._command.to_execute())

    # -- what the user sees

    def _report(self, counters: Counters, supervision: dict[str, int], status: int) -> None:
        if not self._quiet:
            say(self._notes.closing_line())
            say_denied(self._denied)
        say_timing(self._timing)
        self._write_json(counters, supervision, status)

    def _write_json(
        self, counters: Counters, supervision: dict[str, int], status: int | None
    ) -> None:
        more = {} if status is None else self._notes.reported()
        write_json(self._json, status, counters, {"supervisor": supervision, **more})
