"""`pcache run`: replay what holds and record what does not, in one go."""

from __future__ import annotations

import contextlib
import os

from .. import config
from ..counters import Counters
from ..decide import Decider
from ..descriptors import FdView
from ..enforce import filter, spawn, syscalls
from ..enforce.intercept import Entry
from ..enforce.observer import Observer
from ..enforce.sandbox import DEFAULT
from ..enforce.supervisor import Supervisor
from ..enforce.task import Task
from ..errors import PcacheError
from ..model import Call, Fact
from ..observe.replayed import Replayed
from ..restore import Plan
from ..store.index import Store
from ..user import User
from .call import Command
from .ending import end, say, say_denied, write_json
from .recorded import Options, Recorded, act_as, become
from .root import replay_root
from .words import call_text

_TICK_MS = 5


class Run:
    """One `pcache run` of one command.  Raises CommandNotFound, CommandNotExecutable."""

    def __init__(self, words: list[bytes], options: Options) -> None:
        self._options = options
        self._counters = Counters()
        self._user = User.invoking(options.as_root)
        act_as(self._user)
        self._command = Command(words, self._user, options.sandbox)

    def run(self) -> int:
        """The command's exit status.  Dies by the command's signal if it did."""
        try:
            policy = config.load(self._user, self._command.cwd)
            if self._options.sandbox is not None:
                policy = policy.within(self._options.sandbox.tag)
            store = Store.open(self._user.store_dir, counters=self._counters, policy=policy)
        except PcacheError as error:
            say(error.report())
            return self._plainly("the command runs without pcache")
        decider = self._decider(store)
        tell = self._tell_root if self._options.explain else None
        status = replay_root(self._command, decider, tell)
        if status is None:
            status = self._recorded(store, decider)
        else:
            with contextlib.suppress(PcacheError):
                store.close()  # the command has ended: its status counts
        self._report(status)
        return end(status)

    # ---- what a check does in another way ----

    def _decider(self, store: Store) -> Decider:
        return _Decider(store, self._counters)

    def _recorder(self, store: Store) -> Recorded:
        return Recorded(self._user, self._options, store, self._counters)

    def _observer(self, recorded: Recorded, decider: Decider) -> Observer:
        return _Entering(recorded, decider, self._options.explain)

    # ---- the command itself ----

    def _recorded(self, store: Store, decider: Decider) -> int:
        """Runs the command under the supervisor and the recorder; its wait status."""
        recorded = self._recorder(store)
        # Not at the execve: the recorder must see the program start that a hit stands for.
        place = Entry()
        command = spawn.Command(self._command.path, self._command.argv, self._command.env)
        try:
            recorded.load()
            sandbox = self._options.sandbox or DEFAULT
            spawned = spawn.spawn(
                command,
                place.program(self._user.store_dir, sandbox),
                become=lambda: become(self._user),
                gate=recorded.open_gate,
                sandbox=sandbox,
                refusals=filter.load_refusals(sandbox, self._user.store_dir, native=False),
            )
        except (spawn.FilterRefused, PcacheError) as error:
            say(error.report() if isinstance(error, PcacheError) else f"pcache: {error}")
            return self._plainly("the command runs without pcache")
        syscalls.keep_ptrace_capability()
        observer = self._observer(recorded, decider)
        supervisor = Supervisor(
            spawned,
            place,
            decider,
            self._command.call,
            observer=observer,
            tick=recorded.tick,
            tick_ms=_TICK_MS,
        )
        try:
            status = supervisor.run()
        except Exception as error:
            say(f"pcache: internal error, the command runs on uncached: {error!r}")
            spawned.guardian.close()
            status = os.waitpid(spawned.pid, 0)[1]
        recorded.finish()
        if not self._options.quiet:
            say_denied(supervisor.denied)
        return status

    def _plainly(self, consequence: str) -> int:
        say(f"pcache: {consequence}")
        write_json(self._options.json, {"status": None, "counters": self._counters.as_dict()})
        become(self._user)
        if self._options.sandbox is not None:
            spawn.confine(self._options.sandbox, self._user.store_dir)
        spawn.execute(spawn.Command(self._command.path, self._command.argv, self._command.env))
        return 125

    # ---- what the user sees ----

    def _tell_root(self, verdict: str, why: str) -> None:
        if self._command.call is not None:
            _tell(verdict, self._command.call, why)

    def _report(self, status: int) -> None:
        counters = self._counters
        if not self._options.quiet:
            say(
                f"pcache: run: {counters['hits']} hits, {counters['misses']} misses, "
                f"{counters['records stored']} stored, "
                f"{counters['uncacheable']} not cacheable"
            )
        write_json(self._options.json, {"status": status, "counters": counters.as_dict()})


class _Decider(Decider):
    """Notes what of a hit's outputs is there before it is applied: records need to know."""

    existed: frozenset[bytes] = frozenset()

    def decide(self, call: Call, fds: FdView) -> Plan | None:
        plan = super().decide(call, fds)
        if plan is not None:
            plan.existed = frozenset(
                output.path for output in plan.outcome.outputs if os.path.lexists(output.path)
            )
        return plan


class _Entering(Observer):
    """Puts hits into the recording, where they stand for the executions they replaced."""

    def __init__(self, recorded: Recorded, decider: Decider, explain: bool) -> None:
        self._recorded = recorded
        self._decider = decider
        self._explain = self.hears_misses = explain

    def signalled(self, signal: int) -> None:
        self._recorded.interrupted()

    def hit(self, task: Task, plan: Plan, began_ns: int, ended_ns: int) -> None:  # type: ignore[override]
        analysis = self._recorded.analysis
        offset = os.lseek(analysis.copies, 0, os.SEEK_END)
        for _, data in plan.writes():
            os.write(analysis.copies, data)
        facts = tuple(
            Fact(kind, path, value)
            for (kind, path), value in zip(plan.keys, plan.values, strict=True)
        )
        hit = Replayed(
            facts, plan.outcome, plan.existed, began_ns, ended_ns, analysis.copies, offset
        )
        analysis.tree.replay(task.tgid, hit)
        if self._explain:
            _tell("hit", task.call, "")

    def missed(self, task: Task, at_ns: int) -> None:
        if self._explain:
            _tell("miss", task.call, self._decider.last_miss)

    def ran(  # type: ignore[override]
        self, task: Task, plan: Plan, began_ns: int, ended_ns: int, why: str
    ) -> None:
        if self._explain:
            _tell("run", task.call, why)


def _tell(verdict: str, call: Call, why: str) -> None:
    say(f"pcache: {verdict:<5} {call_text(call)}" + (f"   {why}" if why else ""))
