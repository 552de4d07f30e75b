"""Decides each execution as it starts: a job for a hit, nothing for what has to run."""

from __future__ import annotations

import errno
from time import monotonic_ns

from pcache.enforce.holds import Hold
from pcache.enforce.inherited import Inherited
from pcache.enforce.job import Job
from pcache.enforce.pipes import Tree
from pcache.enforce.task import Process
from pcache.enforce.task_memory import Unreadable
from pcache.errors import why_not

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from pcache.enforce.intercept import Interception
    from pcache.enforce.job import Plan
    from pcache.enforce.notify import Notification
    from pcache.enforce.reporter import Reporter
    from pcache.enforce.spawn import Spawned
    from pcache.enforce.task import Task
    from pcache.linux.descriptors import FdView
    from pcache.model import Call
    from pcache.timing import Timing

    class Decider(Protocol):
        """`pcache.memo.decide.Decider` as far as it is used here."""

        @property
        def last_miss(self) -> str: ...

        @property
        def awaited(self) -> int: ...

        def decide(self, call: Call, fds: FdView, wait: bool = False) -> Plan | None: ...

        def unknown(self, argv: tuple[bytes, ...]) -> bool: ...

        def unused(self, wall_ns: int) -> None: ...


class Decisions:
    """The decisions of one session; see `Supervisor` for the parameters."""

    def __init__(
        self,
        spawned: Spawned,
        interception: Interception,
        decider: Decider | None,
        missed: Call | None,
        reporter: Reporter,
        tick: Callable[[], None] | None,
        timing: Timing,
    ) -> None:
        self.decided = 0
        """Executions that were decided, the command itself included."""
        self.active = True
        """Whether executions are decided at all; else they run."""
        self._listener = spawned.listener
        self._killable = spawned.killable
        self._root = spawned.pid
        self._interception = interception
        self._decider = decider
        self._missed = missed
        self._reporter = reporter
        self._tick = tick
        self._timing = timing
        self._tid = 0
        """The task whose program is being looked at."""
        self._learned = False
        """Whether it is known what the command was handed down."""
        self._timed: dict[int, bytes] = {}
        """Processes that have set a timer, of which nothing in /proc tells -> when they began."""
        self._passing: set[int] = set()
        """Tasks released from a stop: their next notification is the same call again."""

    def sets_timer(self, tid: int) -> None:
        """A task sets a timer: it will run on when its process executes something."""
        process = Process(tid)
        self._timed[process.tgid()] = process.start_time()

    def let_pass(self, tid: int) -> None:
        """The next notification of a task is not decided: it was."""
        self._passing.add(tid)

    def unused(self, plan: Plan) -> None:
        """A hit came to nothing: its time was not saved."""
        if self._decider is not None:
            self._decider.unused(plan.wall_ns)

    def decide(self, notification: Notification) -> Job | Hold | None:
        """The job for a hit, None to let the program run; or that it has to be decided again."""
        tid = self._tid = notification.tid
        if not self.active:
            return None
        if tid in self._passing:
            self._passing.discard(tid)
            return None
        if not self._learned:
            # The command itself comes first; nothing of it has run by then.
            Inherited.learn(self._root)
            Tree.learn(self._root)
            self._learned = True
        if self._tick is not None and self.decided:
            # What programs looked at so far is seen to before this one can change it.
            self._tick()
        since = self._timing.now()
        task = self._interception.read(notification, self._unknown)
        self._timing.spent("call", since)
        if task is None:
            return None
        self.decided += 1
        if task.tid == self._root and self._missed is not None:
            known, self._missed = self._missed == task.call, None
            if known:
                task.fds.close()
                return None
        # Without WAIT_KILLABLE_RECV, any signal would end the wait.
        return self._look_up(notification.id, task, self._killable and not task.before_exec)

    def again(self, hold: Hold, wait: bool) -> Job | Hold | None:
        """The same for what was held, with the pipe as it is now; `wait`: whether to wait on."""
        if not self.active:
            hold.task.fds.close()
            return None
        if self._tick is not None:
            self._tick()
        found = self._look_up(hold.id, hold.task, wait)
        if isinstance(found, Hold):
            found.until_ns, found.at_most_ns = hold.until_ns, hold.at_most_ns
        return found

    def _unknown(self, argv: tuple[bytes, ...]) -> bool:
        """Whether an execution with these arguments misses, and nobody wants to know more."""
        if self._decider is None or self._reporter.hears_misses:
            return False
        if self._missed is not None and self._missed.argv == argv:
            return False
        unknown = self._decider.unknown(argv)
        if unknown:
            self.decided += 1
            self._reporter.unknown(self._tid, argv)
        return unknown

    def _look_up(self, id: int, task: Task, wait: bool) -> Job | Hold | None:
        """Whether all this was read from one task is confirmed by the job, before any effect."""
        found: Job | Hold | None = None
        try:
            found = self._found(id, task, wait)
        finally:
            if found is None:
                task.fds.close()
        return found

    def _check_timers(self, task: Task) -> None:
        """Raises Unreadable if one may run on that the program before it has set."""
        begun = self._timed.get(task.tgid)
        if begun is not None and begun == Process(task.tgid).start_time():
            raise Unreadable("a timer of the program before it")

    def _found(self, id: int, task: Task, wait: bool) -> Job | Hold | None:
        began_ns = monotonic_ns()
        if self._decider is None:
            return None
        plan = self._decider.decide(task.call, task.fds, wait)
        if plan is None:
            if self._decider.awaited >= 0:
                return Hold(id, task, self._decider.awaited)
            self._reporter.missed(task)
            return None
        try:
            self._check_timers(task)
            task.check_inherited()
            if task.fds.shared or task.fds.fed:
                self._take_over(id, task)
        except Exception as error:
            plan.abandon()
            self.unused(plan)
            self._reporter.came_to_nothing(task, plan, began_ns, why_not(error))
            raise
        return Job(self._listener, id, task, plan, self._killable, began_ns)

    def _take_over(self, id: int, task: Task) -> None:
        """Raises OSError if what others can read as well cannot be made the task's own, or would
        not be if it had to be."""
        from pcache.enforce.refill import take_over

        if not self._killable or task.before_exec or not self._listener.valid(id):
            raise OSError(errno.EBUSY, "it cannot be given another pipe")
        if not take_over(self._listener, id, task.fds):
            raise OSError(errno.EBUSY, "others have read from its pipe")
