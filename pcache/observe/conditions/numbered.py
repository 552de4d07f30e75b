"""Numbered directories, as pytest makes: `pcache.settings.numbered`.

What an execution found in the directory that they are in is taken down as a whole, where it has
made the next ones and, of those that were there, removed old ones and left the others alone.
"""

from __future__ import annotations

import posixpath
from stat import S_ISREG

from pcache.model import Fact, Kind, Output, Reason, Record
from pcache.observe.accesses.context import Context
from pcache.observe.changes import CREATED, REMOVED
from pcache.observe.conditions.unknowable import Unknowable
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.settings.numbered import (
    LOCK,
    UNLOCKED,
    NumberedNames,
    Series,
    number_of,
    numbered_value,
    series_output,
)
from pcache.wording import text

_LISTINGS = (Kind.LISTING, Kind.OTHERS, Kind.NAMES)


class _Taken:
    """What one execution did with those of one place."""

    def __init__(self, series: Series, first: int, entries: frozenset[tuple[bytes, int]]) -> None:
        self.series = series
        self.first = first
        self.entries = entries
        """What was there, but for what was locked."""


class NumberedDirectories:
    """Those of one recording."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._taken: dict[Execution, list[_Taken]] = {}

    def take(self, execution: Execution) -> None:
        """Puts what an execution that has ended saw and did there in one observation for each
        place, as far as it is that."""
        places = set()
        for place, makers in self._context.numbered.makers.items():
            made = [
                number
                for number in sorted(makers)
                if (change := execution.changes.get(b"%b%d" % (place, number))) is not None
                and change.first_how == CREATED
            ]
            taken = self._at(execution, place, made) if made else None
            if taken is not None:
                self._taken.setdefault(execution, []).append(taken)
                places.add(place)
        for kind, path in execution.inputs:
            if kind == Kind.NUMBERED and path not in places:
                evidence = f"more than the next directory of {text(path)}"
                execution.problem(Reason.UNSUPPORTED, evidence)
        for name in self._context.numbered.moved:
            if name in execution.changes and name not in execution.ignored:
                execution.problem(Reason.INPUT_CHANGED, f"what was in {text(name)}, renamed")

    def _at(self, execution: Execution, place: bytes, made: list[int]) -> _Taken | None:
        """None if something else was done there."""
        directory, beginning = posixpath.split(place)
        if self._context.numbered.others(execution, place):
            return None  # who else looked there may make anything of it
        listed = _listed(execution, place)
        begun = execution.changes[b"%b%d" % (place, made[0])].first
        if listed is None or listed.entries is None or listed.ts > begun:
            return None
        locked = _locked(execution, directory)
        series = Series(place, len(made), 0, 0)
        gone: set[bytes] = set()
        left: set[bytes] = set()
        numbers = {
            number: name
            for name, _ in listed.entries
            if (number := number_of(name, beginning)) is not None
        }
        highest = max(numbers, default=-1)
        if made != list(range(highest + 1, highest + 1 + len(made))):
            return None
        for number, name in numbers.items():
            age = made[-1] - number
            change = execution.changes.get(posixpath.join(directory, name))
            if change is None:
                left.add(name)
                if name not in locked:
                    series.kept = max(series.kept, age)
            elif change.last_how == REMOVED and change.first_how == REMOVED:
                gone.add(name)
                series.removed = min(series.removed or age, age)
            else:
                return None
        if 0 < series.removed <= series.kept:
            return None
        for entry in {_entry(directory, name) for name in execution.changes}:
            if entry in left:
                return None
            own = bool(entry) and number_of(entry, beginning) is not None
            if not own and execution.made_and_removed(posixpath.join(directory, entry)):
                gone.add(entry)
        if execution in self._context.numbered.makers[place].values():
            if not _forget(execution, directory, gone, left | locked):
                return None
        elif not self._are_known(execution, directory, gone):
            return None
        entries = frozenset(entry for entry in listed.entries if entry[0] not in locked)
        seen = Observation(listed.ts, directory, entries=entries)
        execution.inputs[Kind.NUMBERED, place] = seen
        return _Taken(series, made[0], entries)

    @staticmethod
    def _are_known(execution: Execution, directory: bytes, gone: set[bytes]) -> bool:
        """Whether what is gone was removed by those who made others."""
        return all(
            name in execution.ignored
            for name in execution.changes
            if _entry(directory, name) in gone
        )

    def facts(self, execution: Execution) -> list[Fact]:
        """What stands for what it found."""
        facts = []
        for taken in self._taken.get(execution, ()):
            series = taken.series
            last = taken.first + series.made - 1
            value = numbered_value(taken.entries, series, last, _state)
            facts.append(Fact(Kind.NUMBERED, series.path, value))
        return facts

    def outputs(self, execution: Execution) -> list[Output]:
        """What stands for what it made and removed."""
        taken = self._taken.get(execution, ())
        return [series_output(one.series, one.first) for one in taken]

    def names(self, execution: Execution) -> NumberedNames | None:
        """What its record is to be stored with in place of the numbers; None for nothing."""
        taken = self._taken.get(execution)
        if taken is None:
            return None
        return NumberedNames([(one.series, one.first) for one in taken])


def refuse_shown(record: Record, names: NumberedNames) -> None:
    """Raises Unknowable if a number is in a fact or a link where nothing can stand for it."""
    facts = map(names.hide_fact, record.facts)
    links = [one for one in names.hide_outcome(record.outcome).outputs if one.kind == b"l"]
    for where, what in (
        *((fact.path, fact.value) for fact in facts),
        *((link.path, link.content) for link in links),
    ):
        if any(name in where or name in what for name in names.names):
            raise Unknowable(Reason.PRIVATE_TEMPORARY, text(where))


def _forget(execution: Execution, directory: bytes, gone: set[bytes], left: set[bytes]) -> bool:
    """Takes away what a program saw of the entries that are gone, or that it left alone, and what
    it did to those that are gone.  False, and nothing is, if it has read a file of theirs."""
    keys = []
    for key, observation in execution.inputs.items():
        name = observation.name
        entry = _entry(directory, name)
        path = posixpath.join(directory, entry)
        if name == directory:
            forgotten = key[0] in _LISTINGS
        else:
            forgotten = entry in gone or (entry in left and name in (path, path + LOCK))
        if not forgotten:
            continue
        keys.append(key)
        stamp = observation.stamp
        if observation.opened and stamp is not None and S_ISREG(stamp.st_mode):
            return False
    for key in keys:
        del execution.inputs[key]
    execution.ignored.update(name for name in execution.changes if _entry(directory, name) in gone)
    return True


def _entry(directory: bytes, name: bytes) -> bytes:
    """Which entry of a directory a name is, or is below; empty for none."""
    if not name.startswith(directory + b"/"):
        return b""
    return name[len(directory) + 1 :].partition(b"/")[0]


def _state(path: bytes) -> str:
    """What was locked is left out."""
    return UNLOCKED


def _listed(execution: Execution, place: bytes) -> Observation | None:
    """The first look at the names in a directory."""
    directory = posixpath.dirname(place)
    found = [
        observation
        for (kind, path), observation in execution.inputs.items()
        if (kind in _LISTINGS and observation.name == directory)
        or (kind == Kind.NUMBERED and path == place)
    ]
    return min(found, key=_time, default=None)


def _locked(execution: Execution, directory: bytes) -> set[bytes]:
    """Entries with a lock of somebody who may be using them."""
    found = set()
    for (kind, _), observation in execution.inputs.items():
        name = observation.name
        if kind == Kind.CONTENT and observation.stamp is not None and name.endswith(LOCK):
            entry = _entry(directory, name)
            own = name in execution.changes
            if not own and name == posixpath.join(directory, entry) + LOCK:
                found.add(entry)
    return found


def _time(observation: Observation) -> int:
    return observation.ts
