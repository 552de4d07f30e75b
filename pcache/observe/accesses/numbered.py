"""Numbered directories that the tree makes, lists and moves: `pcache.settings.numbered`."""

from __future__ import annotations

from pcache.observe.executions import Execution
from pcache.settings.numbered import is_for_numbered, known_place


class Numbered:
    """Those of one recording."""

    def __init__(self) -> None:
        self.makers: dict[bytes, dict[int, Execution]] = {}
        """Of each number, by place."""
        self.moved: set[bytes] = set()
        """Those that were renamed, with what was in them."""
        self._listed: dict[bytes, set[Execution]] = {}
        """Directories in which there may be such, and who has listed them."""

    def __bool__(self) -> bool:
        return bool(self.makers or self.moved)

    def make(self, execution: Execution, name: bytes) -> None:
        """A directory was made."""
        found = known_place(name)
        if found is not None:
            place, number = found
            self.makers.setdefault(place, {}).setdefault(number, execution)

    def list(self, execution: Execution, name: bytes) -> None:
        """A directory was listed."""
        if is_for_numbered(name):
            self._listed.setdefault(name, set()).add(execution)

    def move(self, name: bytes) -> bool:
        """Something was renamed: whether it is a numbered directory."""
        found = known_place(name) is not None
        if found:
            self.moved.add(name)
        return found

    def others(self, execution: Execution, place: bytes) -> bool:
        """Whether anybody within an execution has listed the directory without making any."""
        directory = place.rpartition(b"/")[0]
        makers = self.makers[place].values()
        return any(
            other not in makers and execution.contains(other)
            for other in self._listed.get(directory, ())
        )
