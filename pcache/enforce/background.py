"""Threads for hits with so much to restore that the other tasks must not wait for them."""

from __future__ import annotations

import os
from collections import deque
from threading import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.job import Job


class Background:
    """Puts the outputs of jobs in place, each in a thread of its own.

    A thread does `Job.place` and nothing else: decisions, the store's databases and ptrace(2)
    belong to the supervisor's thread.
    """

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        """Readable when `finished` has something to tell."""
        self._threads: dict[Job, Thread] = {}
        self._finished: deque[tuple[Job, Exception | None]] = deque()

    def __contains__(self, job: Job) -> bool:
        """Whether a job was started, and `finished` has not told of it."""
        return job in self._threads

    def start(self, job: Job) -> None:
        """Place a job's outputs.  Raises RuntimeError if there can be no thread."""
        thread = Thread(target=self._place, args=(job,), daemon=True)
        thread.start()
        self._threads[job] = thread

    def finished(self) -> list[tuple[Job, Exception | None]]:
        """Jobs whose outputs are in place, or what went wrong."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            pass
        found = []
        while self._finished:
            job, error = self._finished.popleft()
            self._threads.pop(job).join()
            found.append((job, error))
        return found

    def close(self) -> list[tuple[Job, Exception | None]]:
        """Cancel what has not had an effect yet, and wait for the rest; as `finished`."""
        for job, thread in self._threads.items():
            job.plan.cancel()
            thread.join()
        found = self.finished()
        os.close(self.fd)
        return found

    def _place(self, job: Job) -> None:
        error = None
        try:
            job.place()
        except Exception as problem:
            error = problem
        self._finished.append((job, error))
        os.eventfd_write(self.fd, 1)
