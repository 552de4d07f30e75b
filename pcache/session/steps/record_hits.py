"""How the hits of `pcache run` enter the recording."""

from __future__ import annotations

import os

from pcache.enforce.observer import Observer
from pcache.enforce.task import Task
from pcache.memo.restore import Plan
from pcache.observe.replayed import Replayed
from pcache.session.steps.recording import Recording


class HitRecorder(Observer):
    """Puts hits into the recording, where they stand for the executions they replaced."""

    def __init__(self, recording: Recording, teller: Observer | None) -> None:
        """`teller` is told of everything too."""
        self._recording = recording
        self._teller = teller or Observer()
        self.hears_misses = teller is not None and teller.hears_misses

    def signalled(self, signal: int) -> None:
        self._recording.interrupted()

    def hit(self, task: Task, plan: Plan, began_ns: int, ended_ns: int) -> None:  # type: ignore[override]
        analysis = self._recording.analysis
        offset = os.lseek(analysis.copies, 0, os.SEEK_END)
        for _, data in plan.writes():
            os.write(analysis.copies, data)
        hit = Replayed(
            plan.keys,
            plan.values,
            plan.outcome,
            plan.existed,
            plan.listed,
            began_ns,
            ended_ns,
            analysis.copies,
            offset,
        )
        analysis.tree.replay(task.tgid, hit)
        self._teller.hit(task, plan, began_ns, ended_ns)

    def unknown(self, tid: int, argv: tuple[bytes, ...], at_ns: int) -> None:
        self._teller.unknown(tid, argv, at_ns)

    def missed(self, task: Task, at_ns: int) -> None:
        self._teller.missed(task, at_ns)

    def ran(  # type: ignore[override]
        self, task: Task, plan: Plan, began_ns: int, ended_ns: int, why: str
    ) -> None:
        if task.fds.refilled:
            self._recording.analysis.tree.refill(task.tgid, task.fds.refilled)
        self._teller.ran(task, plan, began_ns, ended_ns, why)
