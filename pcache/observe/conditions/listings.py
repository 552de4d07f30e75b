"""Listings of directories: completed, and as they were before an execution changed them."""

from __future__ import annotations

import os
import posixpath
from stat import S_IFMT

from pcache.linux.stamps import is_coarse
from pcache.model import Key, Kind, Reason
from pcache.observe.changes import CREATED, REPLACED
from pcache.observe.conditions.clock import GRAIN_NS, Clock
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.values import ABSENT, others_names, others_path
from pcache.wording import text

_LOOKS = (
    *(Kind.CONTENT, Kind.LCONTENT, Kind.EXISTS, Kind.LEXISTS, Kind.LINK, Kind.PRESENT),
    *(Kind.SIZE, Kind.LSIZE, Kind.REMOVABLE, Kind.NOT_LINK),
)
"""Kinds that tell whether something was there."""


def list_rest(execution: Execution, clock: Clock) -> None:
    """A directory that was not listed to its end counts as a whole, if it is as it was."""
    for (_, name), (ts, _) in execution.listing.items():
        try:
            status = os.stat(name)
            coarse = is_coarse(status.st_ctime_ns)
            late = coarse or status.st_mtime_ns > clock.realtime(ts) - GRAIN_NS
            with os.scandir(name) as directory:
                entries = frozenset(
                    (entry.name, S_IFMT(entry.stat(follow_symlinks=False).st_mode) >> 12)
                    for entry in directory
                )
        except OSError:
            late = True
        if late and not execution.determined(name, ts):
            execution.problem_throughout(Reason.INPUT_CHANGED, f"{text(name)}, listed in part")
        elif not late:
            execution.observe((Kind.LISTING, name), Observation(ts, name, entries=entries))


class ListedNames:
    """What directories held before an execution changed them."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._by_directory: dict[bytes, list[bytes]] | None = None

    def before(self, observation: Observation) -> set[tuple[bytes, int]]:
        """The entries seen, less those the execution had made, plus those it had removed."""
        if self._by_directory is None:
            self._by_directory = {}
            for name in self._execution.changes:
                directory, leaf = posixpath.split(name)
                self._by_directory.setdefault(directory, []).append(leaf)
        entries = dict(observation.entries or ())
        for leaf in self._by_directory.get(observation.name, ()):
            change = self._execution.changes[posixpath.join(observation.name, leaf)]
            if change.first >= observation.ts:
                continue
            if change.first_how == CREATED or self._was_absent(observation.name, leaf):
                entries.pop(leaf, None)
            elif leaf not in entries:
                entries[leaf] = change.was
        return set(entries.items())

    def without_unknown(self, key: Key, observation: Observation) -> Key:
        """The key of a listing: one of OTHERS if names are in it that were replaced before, nobody
        knows by what."""
        kind, path = key
        names: frozenset[bytes] = frozenset()
        if kind == Kind.OTHERS:
            names, path = others_names(path)
        self.before(observation)
        unknown = names.union(
            leaf
            for leaf in (self._by_directory or {}).get(observation.name, ())
            if self._is_unknown(observation, leaf)
        )
        return (Kind.OTHERS, others_path(unknown, path)) if unknown else key

    def _is_unknown(self, observation: Observation, leaf: bytes) -> bool:
        name = posixpath.join(observation.name, leaf)
        change = self._execution.changes[name]
        if change.first_how != REPLACED or change.first >= observation.ts or change.origin == name:
            return False
        looks = (self._execution.inputs.get((kind, name)) for kind in _LOOKS)
        return not any(look is not None and look.ts <= change.first for look in looks)

    def others(self, observation: Observation) -> set[tuple[bytes, int]]:
        """The entries seen, less all that the execution changed at any time."""
        before = self.before(observation)
        own = set((self._by_directory or {}).get(observation.name, ()))
        return {entry for entry in before if entry[0] not in own}

    def _was_absent(self, directory: bytes, leaf: bytes) -> bool:
        """Whether a name that something was moved to had been seen to be free before."""
        path = posixpath.join(directory, leaf)
        return any(
            known is not None and known.value == ABSENT
            for kind in (Kind.CONTENT, Kind.LCONTENT, Kind.LEXISTS)
            for known in (self._execution.inputs.get((kind, path)),)
        )
