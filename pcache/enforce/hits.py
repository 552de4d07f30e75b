"""The hits in progress: each goes on when its streams take more, between the decisions of others.

A hit with much to restore is given a thread of its own for that.
"""

from __future__ import annotations

import errno
import select
from time import monotonic_ns

from pcache.enforce import pipes
from pcache.enforce.tracee import Gone
from pcache.errors import PcacheError, why_not

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.background import Background
    from pcache.enforce.children import Children
    from pcache.enforce.decisions import Decisions
    from pcache.enforce.guardian import Guardian
    from pcache.enforce.job import Job
    from pcache.enforce.reporter import Reporter
    from pcache.timing import Timing

_SLICE = 256 * 1024
"""Bytes a job may write before the others get their turn: a fraction of a millisecond."""


class Hits:
    """Jobs: parked ones wait for a descriptor in `poll`, busy ones could go on writing."""

    def __init__(
        self,
        poll: select.poll,
        guardian: Guardian,
        children: Children,
        decisions: Decisions,
        reporter: Reporter,
        timing: Timing,
    ) -> None:
        self.applied = 0
        """Executions that were replaced by their recorded outcome."""
        self._poll = poll
        self._guardian = guardian
        self._children = children
        self._decisions = decisions
        self._reporter = reporter
        self._timing = timing
        self._jobs: dict[int, Job] = {}
        """Parked jobs by each descriptor they wait for."""
        self._busy: list[Job] = []
        self._background: Background | None = None
        """Made when first needed: most commands never do."""

    @property
    def busy(self) -> bool:
        """Whether any could go on at once."""
        return bool(self._busy)

    @property
    def unfinished(self) -> bool:
        return bool(self._busy or self._jobs)

    def ready(self, fd: int) -> bool:
        """Go on with what waits for a descriptor; False if nothing does."""
        if self._background is not None and fd == self._background.fd:
            for placed, error in self._background.finished():
                self._placed(placed, error)
        elif (job := self._jobs.get(fd)) is not None:
            self._wake(job, died=fd == job.task.fds.pidfd())
        else:
            return False
        return True

    def advance(self) -> None:
        """Give each busy job its turn."""
        busy, self._busy = self._busy, []
        for job in busy:
            self._advance(job)

    def abandon(self, error: Exception) -> None:
        """End all: their programs run if they still can."""
        self.end_background()
        for job in {*self._busy, *self._jobs.values()}:
            self._end(job, error)

    def end_background(self) -> None:
        """Wait for the thread, if there is one, and see to what it did."""
        if self._background is not None:
            self._poll.unregister(self._background.fd)
            unfinished, self._background = self._background.close(), None
            for job, error in unfinished:
                self._placed(job, error)

    def start(self, job: Job) -> None:
        """Apply a hit, as far as it goes without waiting."""
        pipes.in_hand[job.task.tgid] = 0
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
            self._check_feeders(job)
            done = job.write(_SLICE)
            since = self._timing.spent("streams", since)
            if done:
                job.ended_ns = monotonic_ns()
                self._children.collected(job.task.tid, job.finish())
                self._relieve_feeders(job)
                self._timing.spent("ending", since)
        except BlockingIOError:
            # Until the stream takes more, or the task dies.
            events = (job.blocked_on(), select.POLLOUT), (job.task.fds.pidfd(), select.POLLIN)
            self._park(job, events)
            if job.waits_for():
                pipes.feeders[job.waits_for()] = job
            if len(job.task.fds.fed) == 1:
                self._do_without_feeder(job)
        except Exception as error:
            self._end(job, error)
        else:
            if done:
                self._end(job, None)
            else:
                self._busy.append(job)

    @staticmethod
    def _check_feeders(job: Job) -> None:
        """Who was to write what a job's program would have read must still be about to."""
        for pipe, feeder in job.task.fds.fed.items():
            if pipes.feeders.get(pipe) is not feeder:
                raise OSError(errno.ESTALE, "who wrote its input does so no more")

    def _do_without_feeder(self, job: Job) -> None:
        """A job has to wait for who reads what it prints, who may wait for the feeder to end."""
        [(pipe, feeder)] = job.task.fds.fed.items()
        try:
            job.refill(pipe, feeder.rest(pipe) or [])
        except OSError:
            return
        self._relieve_feeders(job)
        job.task.fds.fed.clear()

    def _relieve_feeders(self, job: Job) -> None:
        """What they had left to write to a job's program has been read."""
        for feeder in job.task.fds.fed.values():
            for parked in set(self._jobs.values()):
                if parked is feeder:
                    parked.drop()
                    self._unpark(parked)
                    self._busy.append(parked)

    def _end(self, job: Job, error: Exception | None) -> None:
        """The job is over; with an error, the program has to run if it still can."""
        pipes.in_hand.pop(job.task.tgid, None)
        try:
            if error is None:
                pipes.in_hand[job.task.tgid] = monotonic_ns()
                self.applied += 1
                self._reporter.hit(job)
            elif isinstance(error, Gone):
                self._children.collected(job.task.tid, error.status)
                self._reporter.came_to_nothing(
                    job.task, job.plan, job.began_ns, "it died meanwhile"
                )
            else:
                # EPIPE, ENOSPC, a task that is traced now: let the real program meet it.
                if not isinstance(error, (OSError, PcacheError)):
                    self._reporter.failed(error)
                job.take_back()
                self._give_up(job)
                self._decisions.unused(job.plan)
                self._reporter.came_to_nothing(job.task, job.plan, job.began_ns, why_not(error))
            job.close()
        except Exception as problem:
            self._reporter.failed(problem)

    def _give_up(self, job: Job) -> None:
        if job.stopped:
            self._decisions.let_pass(job.task.tid)
        try:
            job.give_up()
        except Gone as gone:
            self._children.collected(job.task.tid, gone.status)

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
        for pipe in [pipe for pipe, feeder in pipes.feeders.items() if feeder is job]:
            del pipes.feeders[pipe]
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
