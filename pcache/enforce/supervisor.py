"""The supervisor: decides each execution as it starts, and never keeps anybody waiting.

One thread, one poll loop.  Decisions are made as notifications come; a hit whose streams stall on
a full pipe, or are long, becomes a job that goes on between the decisions of others.  A hit with
much to restore is given a thread of its own for that.
"""

from __future__ import annotations

import os
import select
from time import monotonic_ns

from pcache.enforce import signals, syscalls
from pcache.enforce.job import Job
from pcache.enforce.notify import Notification
from pcache.enforce.randomness import Randomness
from pcache.enforce.sandbox import SYS_GETRANDOM
from pcache.enforce.spawn import Spawned
from pcache.enforce.task import Task
from pcache.enforce.task_memory import Unreadable
from pcache.enforce.tracee import Gone
from pcache.errors import PcacheError
from pcache.settings.rules import DEFAULT
from pcache.timing import UNTIMED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from pcache.enforce.background import Background
    from pcache.enforce.intercept import Interception
    from pcache.enforce.job import Plan
    from pcache.enforce.observer import Observer
    from pcache.linux.descriptors import FdView
    from pcache.model import Call
    from pcache.settings.rules import Policy
    from pcache.timing import Timing

    class Decider(Protocol):
        """`pcache.memo.decide.Decider` as far as it is used here."""

        @property
        def last_miss(self) -> str: ...

        def decide(self, call: Call, fds: FdView) -> Plan | None: ...

        def unknown(self, argv: tuple[bytes, ...]) -> bool: ...

        def unused(self, wall_ns: int) -> None: ...


_SLICE = 256 * 1024
"""Bytes a job may write before the others get their turn: a fraction of a millisecond."""


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
        self.decided = 0
        """Executions that were decided, the command itself included."""
        self.applied = 0
        """Executions that were replaced by their recorded outcome."""
        self.failures = 0
        """Exceptions that nobody expected; the executions concerned ran uncached."""
        self.denied: dict[str, int] = {}
        """System calls that the sandbox made fail, by feature."""
        self._spawned = spawned
        self._errors = spawned.sandbox.errors
        self._policy = policy
        self._randomness = Randomness() if spawned.sandbox.deterministic else None
        self._listener = spawned.listener
        self._guardian = spawned.guardian
        self._killable = spawned.killable
        self._root = spawned.pid
        self._interception = interception
        self._decider = decider
        self._missed = missed
        self._observer = observer
        self._tick = tick
        self._tick_ms = tick_ms
        self._timing = timing
        self._ticks_at = 0
        """When `tick` is due, CLOCK_MONOTONIC in nanoseconds."""
        self._status: int | None = None
        self._decides = True
        self._jobs: dict[int, Job] = {}
        """Parked jobs by each descriptor they wait for."""
        self._busy: list[Job] = []
        """Jobs that could go on writing."""
        self._background: Background | None = None
        """Made when first needed: most commands never do."""
        self._passing: set[int] = set()
        """Tasks released from a stop: their next notification is the same call again."""
        self._poll = select.poll()
        self._mask = spawned.mask
        self._signals: signals.Pending | None = None

    def run(self) -> int:
        """Supervise until the command ends; its wait status.

        If that fails, the command runs on without us.
        """
        try:
            self._supervise()
        except Exception as error:
            self._failed(error)
            self._end_background()
            for job in {*self._busy, *self._jobs.values()}:
                self._end(job, error)
        if self._status is None:
            self._status = self._spawned.leave()
        return self._status

    # -- the loop

    def _supervise(self) -> None:
        pending = self._signals = self._arrange_signals()
        syscalls.become_subreaper()
        syscalls.raise_descriptor_limit()
        self._poll.register(self._listener.fd, select.POLLIN)
        self._poll.register(pending.fd, select.POLLIN)
        # SIGCHLD alone would do, were there no other threads that may be handed it.
        ended = os.pidfd_open(self._root)
        self._poll.register(ended, select.POLLIN)
        self._reap()
        while self._status is None:
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
                self._failed(error)

    def _turn(self) -> None:
        patience = None if self._tick is None else self._tick_ms
        for fd, events in self._poll.poll(0 if self._busy else patience):
            if fd == self._listener.fd:
                if events & select.POLLIN:
                    self._receive()
                else:
                    self._poll.unregister(fd)  # no task uses the filter any more
            elif self._signals is not None and fd == self._signals.fd:
                self._take(self._signals)
            elif self._background is not None and fd == self._background.fd:
                for placed, error in self._background.finished():
                    self._placed(placed, error)
            elif (job := self._jobs.get(fd)) is not None:
                self._wake(job, died=fd == job.task.fds.pidfd())
            else:
                self._reap()
        busy, self._busy = self._busy, []
        for job in busy:
            self._advance(job)

    def _receive(self) -> None:
        notification = self._listener.receive()
        if notification is None:
            return
        self.notifications += 1
        job = None
        try:
            self._guardian.handling(notification.id)
            if notification.nr in self._errors:
                self._deny(notification)
                return
            if notification.nr == syscalls.SYS_PRCTL:
                self._listener.answer(notification.id, syscalls.KNOCK)
                return
            if notification.nr == SYS_GETRANDOM and self._randomness is not None:
                self._listener.answer(notification.id, self._randomness.answer(notification))
                return
            job = self._decide(notification)
        except (OSError, PcacheError, Unreadable):
            pass
        except Exception as error:
            # Whatever is wrong with us, the task must not wait for ever.
            self._failed(error)
        if job is None:
            self._listener.proceed(notification.id)
        else:
            self._start(job)

    def _deny(self, notification: Notification) -> None:
        error, feature = self._errors[notification.nr]
        if feature.encode() in self._policy.settings(_program(notification.tid)).allow:
            self._listener.proceed(notification.id)
            return
        self.denied[feature] = self.denied.get(feature, 0) + 1
        self._listener.answer(notification.id, -error)

    def _decide(self, notification: Notification) -> Job | None:
        """The job for a hit; None to let the program run."""
        tid = notification.tid
        if not self._decides:
            return None
        if tid in self._passing:
            self._passing.discard(tid)
            return None
        if self._tick is not None and self.decided:
            # What programs looked at so far is seen to before this one can change it.
            self._tick()
        since = self._timing.now()
        task = self._interception.read(notification, self._unknown)
        self._timing.spent("call", since)
        if task is None:
            return None
        job = None
        try:
            # Whether all this was read from one task is confirmed by the job, before any effect.
            job = self._look_up(notification.id, task)
        finally:
            if job is None:
                task.fds.close()
        return job

    def _unknown(self, argv: tuple[bytes, ...]) -> bool:
        """Whether an execution with these arguments misses, and nobody wants to know more."""
        if self._decider is None or (self._observer is not None and self._observer.hears_misses):
            return False
        if self._missed is not None and self._missed.argv == argv:
            return False
        unknown = self._decider.unknown(argv)
        self.decided += unknown
        return unknown

    def _look_up(self, id: int, task: Task) -> Job | None:
        began_ns = monotonic_ns()
        self.decided += 1
        if task.tid == self._root and self._missed is not None:
            known, self._missed = self._missed == task.call, None
            if known:
                return None
        if self._decider is None:
            return None
        plan = self._decider.decide(task.call, task.fds)
        if plan is None:
            if self._observer is not None:
                self._tell(self._observer.missed, task, monotonic_ns())
            return None
        try:
            task.check_inherited()
        except Exception as error:
            plan.abandon()
            self._decider.unused(plan.wall_ns)
            self._came_to_nothing(task, plan, began_ns, str(error))
            raise
        return Job(self._listener, id, task, plan, self._killable, began_ns)

    # -- jobs

    def _start(self, job: Job) -> None:
        try:
            job.begin()
            if job.plan.heavy and self._place_aside(job):
                return
            job.place()
        except Exception as error:
            self._end(job, error)
        else:
            self._advance(job)

    def _place_aside(self, job: Job) -> bool:
        """Have a thread put the outputs in place, while the task waits; False if there is none."""
        if self._background is None:
            from pcache.enforce.background import Background

            self._background = Background()
            self._poll.register(self._background.fd, select.POLLIN)
        self._park(job, ((job.task.fds.pidfd(), select.POLLIN),))
        try:
            self._background.start(job)
        except RuntimeError:
            self._unpark(job)
            return False
        return True

    def _placed(self, job: Job, error: Exception | None) -> None:
        """A thread has done its work, or failed."""
        if not job.parked:
            self._end(job, Gone())  # the task died meanwhile
            return
        self._unpark(job)
        if error is None:
            self._advance(job)
        else:
            self._end(job, error)

    def _advance(self, job: Job) -> None:
        since = self._timing.now()
        try:
            done = job.write(_SLICE)
            since = self._timing.spent("streams", since)
            if done:
                job.ended_ns = monotonic_ns()
                self._collected(job, job.finish())
                self._timing.spent("ending", since)
        except BlockingIOError:
            # Until the stream takes more, or the task dies.
            events = (job.blocked_on(), select.POLLOUT), (job.task.fds.pidfd(), select.POLLIN)
            self._park(job, events)
        except Exception as error:
            self._end(job, error)
        else:
            if done:
                self._end(job, None)
            else:
                self._busy.append(job)

    def _end(self, job: Job, error: Exception | None) -> None:
        """The job is over; with an error, the program has to run if it still can."""
        try:
            if error is None:
                self.applied += 1
                if self._observer is not None:
                    self._tell(self._observer.hit, job.task, job.plan, job.began_ns, job.ended_ns)
            elif isinstance(error, Gone):
                self._collected(job, error.status)
                self._came_to_nothing(job.task, job.plan, job.began_ns, "it died meanwhile")
            else:
                # EPIPE, ENOSPC, a task that is traced now: let the real program meet it.
                if not isinstance(error, (OSError, PcacheError)):
                    self._failed(error)
                self._give_up(job)
                if self._decider is not None:
                    self._decider.unused(job.plan.wall_ns)
                self._came_to_nothing(job.task, job.plan, job.began_ns, str(error))
            job.close()
        except Exception as problem:
            self._failed(problem)

    def _came_to_nothing(self, task: Task, plan: Plan, began_ns: int, why: str) -> None:
        """Tell of a hit that did not become one."""
        if self._observer is not None:
            self._tell(self._observer.ran, task, plan, began_ns, monotonic_ns(), why)

    def _tell(self, report: Callable[..., None], *what: object) -> None:
        try:
            report(*what)
        except Exception as problem:
            self._failed(problem)

    def _give_up(self, job: Job) -> None:
        if job.stopped:
            self._passing.add(job.task.tid)
        try:
            job.give_up()
        except Gone as gone:
            self._collected(job, gone.status)

    def _collected(self, job: Job, status: int | None) -> None:
        # We are the command's parent as well: an end that was collected for the tracer is all
        # that there is to collect.
        if job.task.tid == self._root and status is not None:
            self._status = status

    def _park(self, job: Job, events: tuple[tuple[int, int], ...]) -> None:
        """Leave a job alone until one of its (descriptor, events) is ready."""
        job.slot = self._guardian.park(job.id)
        job.parked = tuple(fd for fd, _ in events)
        for fd, wanted in events:
            self._jobs[fd] = job
            self._poll.register(fd, wanted)

    def _unpark(self, job: Job) -> None:
        for fd in job.parked:
            self._poll.unregister(fd)
            del self._jobs[fd]
        job.parked = ()
        self._guardian.unpark(job.slot)

    def _wake(self, job: Job, died: bool) -> None:
        self._unpark(job)
        if not died:
            self._busy.append(job)
            return
        if job.stopped:
            self._give_up(job)  # collects its end, so that its parent can see it
        if self._background is not None and job in self._background:
            job.plan.cancel()  # its thread has to end first
        else:
            self._end(job, Gone())

    # -- processes and signals

    def _arrange_signals(self) -> signals.Pending:
        signals.ignore((signals.TTOU,))
        signals.restore((signals.CHLD,))
        syscalls.ignore_child_stops()
        wanted = [signals.CHLD, *signals.handled(signals.FORWARDED)]
        signals.block(wanted)
        return signals.Pending(wanted)

    def _take(self, pending: signals.Pending) -> None:
        """Pass on what was sent to us, for whoever sent it knows no other process.

        What the kernel sends (Ctrl-C, a terminal that hangs up) goes to the whole foreground
        group, which the command is in unless it left it, as it would have without us.  Only the
        leader of a session is sent SIGHUP alone.  A process that signals the group cannot be told
        from one that signals us: then the command is signalled twice (once, if the first has not
        been delivered yet).
        """
        for signal, by_kernel in pending.read():
            if signal == signals.CHLD:
                self._reap()
                continue
            if not by_kernel or (signal == signals.HUP and os.getsid(0) == os.getpid()):
                self._forward(signal)
            if self._observer is not None:
                self._observer.signalled(signal)

    def _forward(self, signal: int) -> None:
        if self._status is None:  # not reaped yet, so the pid is still the command's
            try:
                os.kill(self._root, signal)
            except PermissionError:
                return  # it has become another user's: nobody but root can signal it

    def _reap(self) -> None:
        """Collect the command, and orphans that became our children: init would do it at once,
        and programs wait for a daemon's end by looking for its pid.

        No tracee is in a stop here but those of parked jobs, whose death ends their job anyway.
        """
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == self._root and not os.WIFSTOPPED(status):
                self._status = status
            elif pid == 0:
                return

    def _leave(self) -> None:
        """The command has ended.  The guardian answers for what it left running.

        A hit that has written part of its streams may wait for a reader that waits for us to
        return: a child of ours finishes it.
        """
        if self._signals is not None:
            self._poll.unregister(self._signals.fd)
            for _ in self._signals.read():
                pass  # came when nobody was left to be given them
            self._signals.close()
            self._signals = None
        self._end_background()
        signals.set_mask(self._mask)
        if (self._busy or self._jobs) and self._killable and os.fork() == 0:
            try:
                self._linger()
            finally:
                os._exit(0)
        self._guardian.close()

    def _end_background(self) -> None:
        if self._background is not None:
            self._poll.unregister(self._background.fd)
            unfinished, self._background = self._background.close(), None
            for job, error in unfinished:
                self._placed(job, error)

    def _linger(self) -> None:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        self._decides = False
        while self._busy or self._jobs:
            self._turn()

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        if self.failures == 1:
            text = f"pcache: internal error, executions run uncached: {error!r}\n"
            os.write(2, text.encode(errors="replace"))


def _program(tid: int) -> bytes:
    """The executable that a task runs, empty if that cannot be known."""
    try:
        return os.readlink(b"/proc/%d/exe" % tid)
    except OSError:
        return b""
