"""The values of what an execution depended on, as they were when it looked."""

from __future__ import annotations

import contextlib
import os
import time
from stat import S_IFDIR, S_IFMT, S_ISREG

from pcache.linux.stamps import latest_ns
from pcache.memo.facts import Facts
from pcache.model import Fact, Key, Kind, Reason
from pcache.observe import pseudo
from pcache.observe.accesses.context import Context
from pcache.observe.changes import CREATED
from pcache.observe.conditions.clock import Clock
from pcache.observe.conditions.listings import ListedNames
from pcache.observe.conditions.unknowable import Unknowable, gone
from pcache.observe.conditions.versions import Versions
from pcache.observe.events import Stamp
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.values import (
    ABSENT,
    NO_ATTRIBUTES,
    exists_value,
    input_value,
    listing_value,
    names_value,
    others_names,
    others_value,
    relinked,
    size_value,
)
from pcache.wording import text

_TELL_NAMES = frozenset((Kind.CONTENT, Kind.LCONTENT, Kind.TIMES, Kind.LTIMES))
"""Kinds whose values hold the number of names."""


class Values:
    """Tells them, and leaves with the execution what is to be checked when all events are known."""

    def __init__(self, versions: Versions, facts: Facts, context: Context, clock: Clock) -> None:
        self._versions = versions
        self._facts = facts
        self._history = context.history
        self._with_attributes = context.with_attributes
        self._clock = clock
        self._later: dict[Key, tuple[bytes, int]] = {}
        """Values looked up after the fact, and when."""

    def value(
        self, execution: Execution, key: Key, observation: Observation, listed: ListedNames
    ) -> bytes:
        """The value of a key before the execution, going by its first look; what `recounted` is to
        correct is left with it.  Raises Unknowable."""
        value = self._seen_value(execution, key, observation, listed)
        if key[0] in _TELL_NAMES:
            looked = observation.looked or self._later.get(key, (b"", 0))[1]
            if looked and observation.stamp is None:
                execution.counted_names.append((key, observation.name, looked))
            else:
                value = self._before(execution, observation.name, observation.ts, value)
        return value

    def size(self, execution: Execution, observation: Observation, stamp: Stamp) -> bytes:
        """The value of SIZE for a file that was looked at, before the execution."""
        return self._before(execution, observation.name, observation.ts, size_value(stamp))

    def recounted(self, execution: Execution, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        """The facts with the numbers of names from before the execution, when all events are
        known: some files were looked at later, by when others may have linked them again."""
        gained: dict[Key, int] = {}
        for key, name, looked in execution.counted_names:
            more = self._history.names_gained(name, execution.image, looked)
            if more:
                gained[key] = gained.get(key, 0) + more
        if not gained:
            return facts
        return tuple(
            [
                Fact(fact.kind, fact.path, relinked(fact.value, -more))
                if (more := gained.get((fact.kind, fact.path), 0))
                else fact
                for fact in facts
            ]
        )

    def _before(self, execution: Execution, name: bytes, seen: int, value: bytes) -> bytes:
        """A value that was seen then, without the names that the file got during the execution."""
        gained = self._history.names_gained(name, execution.image, seen)
        return relinked(value, -gained) if gained else value

    def _seen_value(
        self, execution: Execution, key: Key, observation: Observation, listed: ListedNames
    ) -> bytes:
        if observation.looked and key[0] in (Kind.EXISTS, Kind.LEXISTS):
            told = self._told_by_stat(execution, key, observation)
            if told is not None:
                return told
        if key[0] == Kind.XATTRS:
            earlier = self._earlier_attributes(execution, key[1], observation)
            if earlier is not None:
                return earlier
            if self._is_asked_in_vain(execution, observation):
                return NO_ATTRIBUTES
        if observation.value is not None:
            if observation.looked and _is_made_later(execution, key, observation):
                return ABSENT
            if observation.looked:
                checked = (observation.name, observation.ts, observation.looked)
                execution.input_checks.append(checked)
            return observation.value
        if observation.entries is not None:
            entries = listed.before(observation)
            if key[0] == Kind.OTHERS:
                return others_value(entries, others_names(key[1])[0])
            if key[0] == Kind.NAMES:
                return names_value(name for name, _ in entries)
            return listing_value(entries)
        if observation.stamp is not None:
            return self._stamped_value(execution, key, observation, observation.stamp)
        return self._later_value(execution, key, observation)

    def now(self, kind: bytes, path: bytes) -> bytes:
        """The value of a fact now.  Raises OSError."""
        return self._facts.evaluate(kind, path)

    def look_up_early(self, key: Key, observation: Observation) -> None:
        """Looks up at once what an event does not tell."""
        with contextlib.suppress(Unknowable):
            observation.value = self._look_up(*key, observation)
            observation.looked = time.monotonic_ns()

    def _told_by_stat(
        self, execution: Execution, key: Key, observation: Observation
    ) -> bytes | None:
        """Value of EXISTS or LEXISTS from a stat of the same path before or after, which saw the
        file itself where we may have come too late."""
        for kind in (Kind.CONTENT, Kind.LCONTENT):
            other = execution.inputs.get((kind, key[1]))
            if other is None or other.stamp is None or other.name != observation.name:
                continue
            first, last = sorted((observation.ts, other.ts))
            if S_ISREG(other.stamp.st_mode) and not self._history.touched(other.name, first, last):
                return exists_value(other.stamp)
        return None

    def _stamped_value(
        self, execution: Execution, key: Key, observation: Observation, stamp: Stamp
    ) -> bytes:
        """A regular file of a known version."""
        told = self._versions.trust(observation, stamp)
        version = self._versions.of(observation.name, stamp)
        cached = version.digested
        if pseudo.is_pseudo(observation.name, stamp.magic):
            execution.made_up[stamp.magic] = observation.name
            cached = None
        if cached is None:
            cached = self._versions.digest(observation, stamp)
            version.learn(cached)
        if cached.touched:
            execution.touched_checks.append((observation.name, observation.ts))
        if cached.appended:
            execution.append_checks.append((observation.name, observation.ts, cached.taken))
        elif cached.snapshot is not None:
            execution.captured_inputs.append((cached.snapshot, observation.name, observation.ts))
        elif cached.taken > observation.ts:  # else it had been taken by then
            checks = execution.version_checks if told else execution.input_checks
            checks.append((observation.name, observation.ts, cached.taken))
        if observation.opened:
            self._read_throughout(execution, observation, stamp)
        if key[0] == Kind.INPUT:
            fd = int(key[1])
            offset = next(
                descriptor.handle.pos
                for same in execution.descriptors.values()
                for descriptor in same
                if descriptor.fd == fd
            )
            return input_value(offset, cached.digest)
        return version.content_value(stamp, cached)

    def _read_throughout(
        self, execution: Execution, observation: Observation, stamp: Stamp
    ) -> None:
        """What was opened may have been read at any time until the end."""
        name = observation.name
        if name in execution.changes or execution.end is None:
            return  # its own changes are no surprise to it
        if stamp.writers:  # writes through an open descriptor are not told, nor are mappings
            evidence = f"{text(name)}, which somebody else had open for writing"
            raise Unknowable(Reason.INPUT_CHANGED, evidence)
        if self._history.changed(name, observation.ts, execution.end):
            raise Unknowable(Reason.INPUT_CHANGED, name)
        execution.opened_inputs.append(observation)

    def _earlier_attributes(
        self, execution: Execution, path: bytes, observation: Observation
    ) -> bytes | None:
        """Value of XATTRS of a version that is gone: that whose content was read before or after,
        if nobody touched it in between."""
        read = execution.inputs.get((Kind.CONTENT, path))
        if read is None or read.stamp is None or read.name != observation.name:
            return None
        first, last = sorted((observation.ts, read.ts))
        if self._history.touched(read.name, first, last):
            return None
        return self._versions.earlier_attributes(read.name, read.stamp)

    def _is_asked_in_vain(self, execution: Execution, observation: Observation) -> bool:
        """Whether attributes were asked for that were missing, of a file that the execution has
        changed before we looked: of that it is taken that it had none at all, as with that the
        answers were the same."""
        change = execution.changes.get(observation.name)
        return (
            change is not None
            and observation.name not in self._with_attributes
            and observation.ts < change.first
            and (observation.value is None or observation.looked > change.first)
        )

    def _later_value(self, execution: Execution, key: Key, observation: Observation) -> bytes:
        """Something whose version was not seen: it must not have changed since."""
        kind, path = key
        cached = self._later.get(key)
        if cached is None or cached[1] < observation.ts:
            cached = self._look_up(kind, path, observation), time.monotonic_ns()
            self._later[key] = cached
        value, looked = cached
        if observation.place == observation.name:
            execution.input_checks.append((observation.name, observation.ts, looked))
        else:
            moved = (observation.place, observation.name, observation.ts - 1, looked)
            execution.moved_checks.append(moved)
        return value

    def _look_up(self, kind: bytes, path: bytes, observation: Observation) -> bytes:
        where = path if observation.place == observation.name else observation.place
        try:
            if not pseudo.is_pseudo(observation.name):
                now = os.lstat(observation.place)
                # A directory's ctime moves with its entries; their presence is not at issue here.
                late = self._clock.is_after(latest_ns(now.st_ctime_ns), observation.ts)
                moved = observation.place != observation.name
                if late and not moved and S_IFMT(now.st_mode) != S_IFDIR:
                    raise Unknowable(Reason.INPUT_CHANGED, observation.name)
            value = self._facts.evaluate(kind, where)
        except OSError as error:
            raise gone(error, observation.name) from error
        if value == ABSENT:
            raise Unknowable(Reason.INPUT_CHANGED, observation.name)
        return value


def _is_made_later(execution: Execution, key: Key, observation: Observation) -> bool:
    """Whether a directory that was found some time after a call failed was missing then: the
    execution itself made it in between."""
    change = execution.changes.get(observation.name)
    return (
        change is not None
        and key[0] == Kind.DIRECTORY
        and change.first_how == CREATED
        and observation.ts < change.first <= observation.looked
    )
