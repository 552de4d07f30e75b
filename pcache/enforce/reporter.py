"""Tells an observer what becomes of executions, and the user of our own errors."""

from __future__ import annotations

import os
from time import monotonic_ns

from pcache.errors import refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pcache.enforce.job import Job, Plan
    from pcache.enforce.observer import Observer
    from pcache.enforce.task import Task


class Reporter:
    """What goes wrong in an observer is counted and changes nothing else."""

    def __init__(self, observer: Observer | None) -> None:
        self.failures = 0
        """Exceptions that nobody expected; the executions concerned ran uncached."""
        self.observer = observer

    @property
    def hears_misses(self) -> bool:
        return self.observer is not None and self.observer.hears_misses

    def hit(self, job: Job) -> None:
        if self.observer is not None:
            self._tell(self.observer.hit, job.task, job.plan, job.began_ns, job.ended_ns)

    def missed(self, task: Task) -> None:
        if self.observer is not None:
            self._tell(self.observer.missed, task, monotonic_ns())

    def unknown(self, tid: int, argv: tuple[bytes, ...]) -> None:
        if self.observer is not None:
            self._tell(self.observer.unknown, tid, argv, monotonic_ns())

    def came_to_nothing(self, task: Task, plan: Plan, began_ns: int, why: str) -> None:
        """Tell of a hit that did not become one."""
        if self.observer is not None:
            self._tell(self.observer.ran, task, plan, began_ns, monotonic_ns(), why)

    def failed(self, error: Exception) -> None:
        """An exception that nobody expected: the first one is shown."""
        self.failures += 1
        if self.failures == 1:
            text = f"pcache: internal error, executions run uncached: {error!r}\n"
            if isinstance(error, OSError):
                text = f"pcache: {refused(error)}; executions run uncached\n"
            os.write(2, text.encode(errors="replace"))

    def _tell(self, report: Callable[..., None], *what: object) -> None:
        try:
            report(*what)
        except Exception as problem:
            self.failed(problem)
