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
        self._ports: dict[int, list[Execution]] = {}
        """Of sockets for datagrams -> whose."""
        self._exchanges: list[tuple[Execution, int, str]] = []

    def add(self, owner: Execution, end: Endpoint, what: str) -> None:
        """An end that connect(2) or accept(2) has made: `what` it is connected to, for people."""
        self._ends.append((owner, end, what))
        self._owners.setdefault((end.local, end.remote), []).append(owner)

    def bound(self, owner: Execution, port: int) -> None:
        """A socket for datagrams has this port of the machine."""
        self._ports.setdefault(port, []).append(owner)

    def exchanges(self, owner: Execution, port: int, what: str) -> None:
        """Datagrams are sent to this port of the machine, or come from it."""
        self._exchanges.append((owner, port, what))

    def outside(self, execution: Execution) -> str | None:
        """What an execution was connected to outside of its subtree, or None."""
        for owner, end, what in self._ends:
            others = self._owners.get((end.remote, end.local), [])
            if execution.contains(owner) and not _are_within(execution, others):
                return what
        for owner, port, what in self._exchanges:
            others = self._ports.get(port, [])
            if execution.contains(owner) and not _are_within(execution, others):
                return what
        return None


def _are_within(execution: Execution, others: list[Execution]) -> bool:
    """Whether an execution contains all of these, and there are any."""
    return bool(others) and all(map(execution.contains, others))
