"""The supervisor: decides each execution as it starts, and never keeps anybody waiting.

One thread, one poll loop.  Decisions (`decisions`) are made as notifications come; a hit whose
streams stall on a full pipe, or are long, goes on between the decisions of others (`hits`).
"""

from __future__ import annotations

import os
import select
from time import monotonic_ns

from pcache.enforce import pipes, signals, syscalls
from pcache.enforce.children import Children
from pcache.enforce.decisions import Decisions
from pcache.enforce.hits import Hits
from pcache.enforce.holds import Hold, Holds
from pcache.enforce.job import Job
from pcache.enforce.notify import Notification
from pcache.enforce.randomness import Randomness
from pcache.enforce.reporter import Reporter
from pcache.enforce.sandbox import SYS_GETRANDOM
from pcache.enforce.spawn import Spawned
from pcache.enforce.task_memory import Unreadable
from pcache.errors import PcacheError
from pcache.settings.rules import DEFAULT
from pcache.timing import UNTIMED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pcache.enforce.decisions import Decider
    from pcache.enforce.intercept import Interception
    from pcache.enforce.observer import Observer
    from pcache.model import Call
    from pcache.settings.rules import Policy
    from pcache.timing import Timing


class Supervisor:
    """Supervises one spawned command and its descendants until the command ends."""

    def __init__(
        self,
        spawned: Spawned,
        interception: Interception,
        decider: Decider | None,
        missed: Call | None = None,
        observer: Observer | None = None,
        tick: Callable[[], None] | None = None,
        tick_ms: int = 5,
        timing: Timing = UNTIMED,
        policy: Policy = DEFAULT,
    ) -> None:
        """`decider` None: for a sandbox alone, to which `policy` has the exceptions.

        `missed`: the call of the command itself, which has been looked up and must run.

        `tick` is called about every `tick_ms` milliseconds, however much there is to decide, and
        never between a decision and its effects; it should be short, as tasks wait meanwhile.
        """
        self.notifications = 0
        """Blocked system calls that were answered."""
        self.denied: dict[str, int] = {}
        """System calls that the sandbox made fail, by feature."""
        self._spawned = spawned
        self._errors = spawned.sandbox.errors
        self._policy = policy
        self._randomness = Randomness() if spawned.sandbox.deterministic else None
        self._listener = spawned.listener
        self._guardian = spawned.guardian
        self._tick = tick
        self._tick_ms = tick_ms
        self._ticks_at = 0
        """When `tick` is due, CLOCK_MONOTONIC in nanoseconds."""
        self._poll = select.poll()
        self._signals_fd = -1
        self._reporter = Reporter(observer)
        self._children = Children(spawned.pid, observer, self._guardian.sentinel)
        self._decisions = Decisions(
            spawned, interception, decider, missed, self._reporter, tick, timing
        )
        self._hits = Hits(
            self._poll, self._guardian, self._children, self._decisions, self._reporter, timing
        )
        self._holds = Holds(self._poll, self._guardian)

    @property
    def decided(self) -> int:
        """Executions that were decided, the command itself included."""
        return self._decisions.decided

    @property
    def applied(self) -> int:
        """Executions that were replaced by their recorded outcome."""
        return self._hits.applied

    @property
    def failures(self) -> int:
        """Exceptions that nobody expected; the executions concerned ran uncached."""
        return self._reporter.failures

    def run(self) -> int:
        """Supervise until the command ends; its wait status.

        If that fails, the command runs on without us.
        """
        try:
            self._supervise()
        except Exception as error:
            self._reporter.failed(error)
            self._hits.abandon(error)
            self._release_all()
        if self._children.status is None:
            self._children.status = self._spawned.leave()
        return self._children.status

    def _supervise(self) -> None:
        self._signals_fd = self._children.arrange_signals()
        syscalls.become_subreaper()
        syscalls.raise_descriptor_limit()
        self._poll.register(self._listener.fd, select.POLLIN)
        self._poll.register(self._signals_fd, select.POLLIN)
        # SIGCHLD alone would do, were there no other threads that may be handed it.
        ended = os.pidfd_open(self._spawned.pid)
        self._poll.register(ended, select.POLLIN)
        self._children.reap()
        while self._children.status is None:
            self._turn()
            if self._tick is not None:
                self._call_tick(self._tick)
        self._poll.unregister(ended)
        os.close(ended)
        self._leave()

    def _call_tick(self, tick: Callable[[], None]) -> None:
        now = monotonic_ns()
        if now >= self._ticks_at:
            self._ticks_at = now + self._tick_ms * 1_000_000
            try:
                tick()
            except Exception as error:
                self._reporter.failed(error)

    def _turn(self) -> None:
        patience = None if self._tick is None else self._tick_ms
        patience = self._holds.patience_ms(patience)
        for fd, events in self._poll.poll(0 if self._hits.busy else patience):
            if fd == self._listener.fd:
                if events & select.POLLIN:
                    self._receive()
                else:
                    self._poll.unregister(fd)  # no task uses the filter any more
            elif fd == self._signals_fd:
                self._children.take_signals()
            elif (hold := self._holds.told_by(fd)) is not None:
                self._wake(hold, died=fd == hold.task.fds.pidfd())
            elif not self._hits.ready(fd):
                self._children.reap()
        self._hits.advance()
        for hold in self._holds.all():
            if hold.is_over():
                self._decide_again(hold, wait=False)

    def _receive(self) -> None:
        notification = self._listener.receive()
        if notification is None:
            return
        self.notifications += 1
        found: Job | Hold | None = None
        try:
            self._guardian.handling(notification.id)
            if notification.nr in self._errors:
                self._deny(notification)
                return
            if syscalls.is_handshake(notification):
                self._listener.answer(notification.id, syscalls.HANDSHAKE)
                return
            if notification.nr == SYS_GETRANDOM and self._randomness is not None:
                self._listener.answer(notification.id, self._randomness.answer(notification))
                return
            if notification.nr in (syscalls.SYS_LANDLOCK_RESTRICT_SELF, syscalls.SYS_PRCTL):
                # From now on some tasks may do less than we, and it cannot be seen which.
                self._decisions.active = False
                self._listener.proceed(notification.id)
                return
            if notification.nr in (syscalls.SYS_ALARM, syscalls.SYS_SETITIMER):
                self._decisions.sets_timer(notification.tid)
                self._listener.proceed(notification.id)
                return
            found = self._decisions.decide(notification)
        except (OSError, PcacheError, Unreadable):
            pass
        except Exception as error:
            # Whatever is wrong with us, the task must not wait for ever.
            self._reporter.failed(error)
        self._go_on(notification.id, found)

    def _go_on(self, id: int, found: Job | Hold | None) -> None:
        """What was decided of a task takes its course."""
        if isinstance(found, Hold) and not self._holds.add(found):
            found = None
        if found is None:
            self._listener.proceed(id)
        elif isinstance(found, Job):
            self._hits.start(found)

    def _wake(self, hold: Hold, died: bool) -> None:
        """The pipe that a task waits for has ended, or the task."""
        if died and not self._listener.valid(hold.id):
            self._holds.remove(hold)
            self._holds.answered(hold)
            hold.task.fds.close()
            self._children.reap()
        elif not died and pipes.is_complete(hold.pipe):
            self._decide_again(hold, wait=True)
        elif not died:
            self._holds.something_came(hold)

    def _decide_again(self, hold: Hold, wait: bool) -> None:
        self._holds.remove(hold)
        found: Job | Hold | None = None
        try:
            found = self._decisions.again(hold, wait)
        except (OSError, PcacheError, Unreadable):
            pass
        except Exception as error:
            self._reporter.failed(error)
        self._go_on(hold.id, found)
        self._holds.answered(hold)

    def _release_all(self) -> None:
        for hold in self._holds.all():
            self._holds.remove(hold)
            hold.task.fds.close()
            self._listener.proceed(hold.id)
            self._holds.answered(hold)

    def _deny(self, notification: Notification) -> None:
        error, feature = self._errors[notification.nr]
        if feature.encode() in self._policy.settings(_program(notification.tid)).allow:
            self._listener.proceed(notification.id)
            return
        self.denied[feature] = self.denied.get(feature, 0) + 1
        self._listener.answer(notification.id, -error)

    def _leave(self) -> None:
        """The command has ended.  The guardian answers for what it left running.

        A hit that has written part of its streams may wait for a reader that waits for us to
        return: a child of ours finishes it.
        """
        self._poll.unregister(self._signals_fd)
        self._signals_fd = -1
        self._children.close()
        self._release_all()
        self._hits.end_background()
        signals.set_mask(self._spawned.mask)
        if self._hits.unfinished and self._spawned.killable and os.fork() == 0:
            try:
                self._linger()
            finally:
                os._exit(0)
        self._guardian.close()

    def _linger(self) -> None:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        self._decisions.active = False
        while self._hits.unfinished:
            self._turn()


def _program(tid: int) -> bytes:
    """The executable that a task runs, empty if that cannot be known."""
    try:
        return os.readlink(b"/proc/%d/exe" % tid)
    except OSError:
        return b""
