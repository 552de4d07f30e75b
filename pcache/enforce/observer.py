"""What a supervisor tells of its decisions, to whoever reports or records them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.job import Plan
    from pcache.enforce.task import Task


class Observer:
    """Told of each decided execution once, from the supervisor's thread.  Does nothing of itself.

    Times are CLOCK_MONOTONIC in nanoseconds.  `task.tid` and `task.tgid` identify the process (at
    `entry` they are the same number) and `task.call` is what it asked for; its descriptors may be
    looked at during the call only.  The command itself is left out if it had been looked up before
    by whoever passed its call to the supervisor as `missed`.

    An exception raised here counts as an internal error: it is reported, and changes no decision.
    """

    hears_misses = True
    """Whether `missed` is of use: finding out what a task is about to run takes time."""

    def signalled(self, signal: int) -> None:
        """A signal came to us from outside, which may end what runs now."""

    def hit(self, task: Task, plan: Plan, began_ns: int, ended_ns: int) -> None:
        """The task ends with the recorded status.

        All effects of `plan` came about between the two times.  The end of the task, and whatever
        its parent does when it has seen it, come after `ended_ns`.
        """

    def missed(self, task: Task, at_ns: int) -> None:
        """The task is about to run: the decider found no plan, and can say why."""

    def unknown(self, tid: int, argv: tuple[bytes, ...], at_ns: int) -> None:
        """A task is about to run of which nothing is known but its arguments: in place of `missed`
        unless that is of use."""

    def ran(self, task: Task, plan: Plan, began_ns: int, ended_ns: int, why: str) -> None:
        """A hit that was not completed: the task goes on to run, or has died.

        Some or all effects of `plan` may have come about between the two times.
        """
