"""One line on stderr for each decision: what `--explain` shows."""

from __future__ import annotations

from pcache.enforce.observer import Observer
from pcache.session.steps.describe import call_text
from pcache.session.steps.reporting import say_later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.job import Plan
    from pcache.enforce.task import Task
    from pcache.memo.decide import Decider
    from pcache.model import Call


def tell(verdict: str, call: Call, why: str) -> None:
    """`verdict`: hit, miss, or run for a hit that was not completed."""
    line = f"pcache: {verdict:<5} {call_text(call)}" + (f"   {why}" if why else "")
    say_later(line.replace("\n", "\\n"))


class DecisionLog(Observer):
    """Tells of every decision."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider

    def hit(self, task: Task, plan: Plan, began_ns: int, ended_ns: int) -> None:
        tell("hit", task.call, "")

    def missed(self, task: Task, at_ns: int) -> None:
        tell("miss", task.call, self._decider.explained_miss)

    def ran(self, task: Task, plan: Plan, began_ns: int, ended_ns: int, why: str) -> None:
        tell("run", task.call, why)
