"""What an execution depended on and had not brought about itself."""

from __future__ import annotations

import os
from collections.abc import Iterable
from stat import S_ISREG

from pcache.model import PREFIXED, Fact, Key, Kind, Reason
from pcache.observe.accesses.context import Context
from pcache.observe.changes import ATTRIBUTES, MODIFIED, UNTOUCHED, leads_through
from pcache.observe.conditions.listings import ListedNames
from pcache.observe.conditions.loader import loader_fact
from pcache.observe.conditions.unknowable import Unknowable
from pcache.observe.conditions.values import Values
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.values import (
    EMPTY,
    FOLLOWING,
    OK,
    content_value,
    exists_value,
    may_be_one,
    one_path,
    one_value,
)
from pcache.wording import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.values import File

_STATES = frozenset(
    {Kind.CONTENT, Kind.LCONTENT, Kind.EXISTS, Kind.LEXISTS, Kind.LINK, Kind.RESOLVES}
)
"""Kinds whose values hold the mode."""
_LISTINGS = (Kind.LISTING, Kind.OTHERS)
_AS_CONTENT = {
    **dict.fromkeys((Kind.EXISTS, Kind.SIZE), Kind.CONTENT),
    **dict.fromkeys((Kind.LEXISTS, Kind.LSIZE), Kind.LCONTENT),
}


class Preconditions:
    """Turns the observations of an execution into facts."""

    def __init__(self, values: Values, context: Context) -> None:
        self._values = values
        self._context = context
        self._facts_made: dict[Key, Fact] = {}
        """The last one of each key, for those that depend on the same: the command is the last."""

    def of(self, execution: Execution) -> list[Fact]:
        """Its preconditions, in any order.  Raises Unknowable."""
        facts: dict[Key, Fact] = {}
        last = execution.parent is None
        listed = ListedNames(execution)
        changes, made_up = execution.changes, self._context.made_up
        temporaries = self._context.temporaries
        made = not changes.keys().isdisjoint(self._context.names.made)
        for known, again in execution.listed_again:
            if listed.others(known) != listed.others(again):
                raise Unknowable(Reason.INPUT_CHANGED, known.name)
        loaders: list[tuple[bytes, bytes]] = []
        streams = _own_streams(execution)
        for (kind, path), observation in execution.inputs.items():
            if kind == Kind.NUMBERED:
                continue  # `NumberedDirectories.facts`
            key = (kind, path)
            name, stamp = observation.name, observation.stamp
            stream = streams.get(key) if streams else None
            if stream is not None:
                facts[Kind.STREAM, b"%d:%b" % (stream, path)] = Fact(
                    Kind.STREAM, b"%d:%b" % (stream, path), OK
                )
                if stamp is not None and kind in (Kind.CONTENT, Kind.LCONTENT):
                    # As it was at the start: what came since, the execution has written itself.
                    facts[key] = self._fact(key, content_value(stamp, EMPTY), last=last)
                    continue
            magic = made_up.get(name) if made_up else None
            if magic is not None:
                execution.made_up[magic] = name
            change = changes.get(name) if changes else None
            if name in temporaries and execution.made_and_removed(name):
                continue  # that a random name was free: the next one will be another
            if (
                change is not None
                and stamp is not None
                and observation.value is None
                and not observation.opened
                and change.first_how not in (ATTRIBUTES, MODIFIED)
                and kind in (Kind.CONTENT, Kind.LCONTENT)
            ):
                # Looked at and then replaced or removed without being read, as compilers do with
                # their old output: existence and mode are all that these depended on.
                if key in execution.weighed:
                    key = (Kind.SIZE if kind == Kind.CONTENT else Kind.LSIZE, path)
                    size = self._values.size(execution, observation, stamp)
                    facts[key] = self._fact(key, size, last=last)
                else:
                    key = (Kind.EXISTS if kind == Kind.CONTENT else Kind.LEXISTS, path)
                    facts[key] = self._fact(key, exists_value(stamp), last=last)
                continue
            if kind in _LISTINGS:
                key = listed.without_unknown(key, observation)
            value = self._values.value(execution, key, observation, listed)
            if kind == Kind.LOADER:
                loaders.append((path, value))
                continue
            prefix, used = key[1].split(b":", 1) if key[0] in PREFIXED else (b"", path)
            if used != name and name:
                way = self._own_way(execution, used, observation, made)
                if way is not None:
                    # The way there does not exist beforehand.
                    key = (key[0], prefix + b":" + name if prefix else name)
                    facts.update(way)
            facts[key] = self._fact(key, value, last=last)
        if loaders:
            fact = loader_fact(execution, loaders, self._values.now)
            facts[fact.kind, fact.path] = fact
        for name, change in execution.changes.items():
            if name in execution.ignored:
                continue
            if change.first_how == ATTRIBUTES and not _was_seen(execution, name):
                raise Unknowable(Reason.UNSUPPORTED, f"mode or times of {name!r} changed unseen")
        one = _one(execution, facts.values())
        return [*facts.values()] if one is None else [*facts.values(), one]

    def _own_way(
        self, execution: Execution, path: bytes, observation: Observation, made: bool
    ) -> dict[Key, Fact] | None:
        """Where the way along `path` was of the execution's own making: the facts about what else
        is on that way.  None where it was there before."""
        if not made and not leads_through(path, execution.changes):
            return None
        try:
            way = self._context.names.way(path, observation.ts, observation.name)
        except LookupError as error:
            evidence = f"{text(error.args[0])}, on the way to {text(observation.name)}, replaced"
            raise Unknowable(Reason.UNSUPPORTED, evidence) from error
        own, facts = False, {}
        for name, target in way:
            change = execution.changes.get(name)
            if (
                change is not None
                and change.first < observation.ts
                and change.first_how != ATTRIBUTES
            ):
                own = True
            elif target is not None:
                key = (Kind.LCONTENT, name)
                facts[key] = Fact(*key, b"l" + target)
        return facts if own else None

    def _fact(self, key: Key, value: bytes, *, last: bool) -> Fact:
        fact = self._facts_made.get(key)
        if fact is None or fact.value != value:
            fact = Fact(key[0], key[1], value)
            if not last:
                self._facts_made[key] = fact
        return fact


def in_order(facts: Iterable[Fact]) -> list[Fact]:
    """Facts by their keys: the order of concurrent children's first uses is an accident of
    scheduling, which must not make another path set."""
    return sorted(facts, key=lambda fact: (fact.kind, fact.path))


def _one(execution: Execution, facts: Iterable[Fact]) -> Fact | None:
    """Which of the files that these are about are one; None if there are not two."""
    about = [fact for fact in facts if may_be_one(fact.kind, fact.path, fact.value)]
    files = [_file(execution, fact) for fact in about]
    unknown = {fact.path for fact, file in zip(about, files, strict=True) if file is None}
    first: dict[File, bytes] = {}
    known, linked = 0, False
    for fact, file in zip(about, files, strict=True):
        if file is not None and fact.path not in unknown:
            known += 1
            linked |= first.setdefault(file, fact.path) != fact.path
    if known < 2:
        return None
    # Most often none has two names, which is found out faster here than where this is not compiled.
    pairs = [
        (fact.path, file)
        for fact, file in zip(about, files, strict=True)
        if linked and file is not None and fact.path not in unknown
    ]
    return Fact(Kind.ONE, one_path(unknown), one_value(pairs))


def _file(execution: Execution, fact: Fact) -> File | None:
    """The file that a fact is about; None if that is not known any more."""
    observation = execution.inputs.get((fact.kind, fact.path))
    if observation is None and fact.kind in _AS_CONTENT:
        observation = execution.inputs.get((_AS_CONTENT[fact.kind], fact.path))
    if observation is None:
        return None
    if observation.stamp is not None:
        return observation.stamp.st_dev, observation.stamp.st_ino
    if observation.name in execution.changes or observation.place != observation.name:
        return None
    try:
        status = os.stat(fact.path, follow_symlinks=fact.kind in FOLLOWING)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _own_streams(execution: Execution) -> dict[Key, int]:
    """Inputs that are its output or its errors as well, and which of them: programs that find that
    out say so, and do something else.  Raises Unknowable where one was not empty at the start."""
    found: dict[Key, int] = {}
    for (kind, path), observation in execution.inputs.items() if execution.streams else ():
        stamp = observation.stamp
        if stamp is None or not S_ISREG(stamp.st_mode) or kind == Kind.INPUT:
            continue
        same = execution.streams.get(stamp.st_ino)
        if same is None:
            continue
        numbers = [one.fd for one in same if one.fd in (1, 2)]
        if not numbers or same[0].stamp.st_size:
            raise Unknowable(Reason.UNSUPPORTED, path + b", which it also writes to")
        found[kind, path] = numbers[0]
    return found


def _was_seen(execution: Execution, name: bytes) -> bool:
    """Whether the mode is known that it had before; or is another one now, whatever it was."""
    change = execution.changes[name]
    for (kind, _), observation in execution.inputs.items():
        if observation.name != name:
            continue
        given = kind == Kind.NOT_LINK and (
            change.times == UNTOUCHED or observation.ts == change.first
        )
        if given or kind in _STATES:
            return True
    return execution.determined(name, change.last + 1)
