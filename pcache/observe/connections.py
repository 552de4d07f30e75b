"""Connections: who of the tree is at which end, judged when all events are known."""

from __future__ import annotations

from pcache.observe.events import Endpoint
from pcache.observe.executions import Execution


class Connections:
    """Those of one recording."""

    def __init__(self) -> None:
        self._ends: list[tuple[Execution, Endpoint, str]] = []
        self._owners: dict[tuple[object, object], list[Execution]] = {}
        """An end's own address and that of the other end -> whose it is, or was."""

    def add(self, owner: Execution, end: Endpoint, what: str) -> None:
        """An end that connect(2) or accept(2) has made: `what` it is connected to, for people."""
        self._ends.append((owner, end, what))
        self._owners.setdefault((end.local, end.remote), []).append(owner)

    def outside(self, execution: Execution) -> str | None:
        """What an execution was connected to outside of its subtree, or None."""
        for owner, end, what in self._ends:
            if execution.contains(owner):
                others = self._owners.get((end.remote, end.local), [])
                if not others or not all(map(execution.contains, others)):
                    return what
        return None
