"""From what an execution did to what the store keeps: preconditions and postconditions.

This happens as soon as an execution has ended, while others go on: an input counts only if the
file is still the version that was read, an output only if nobody touched it since.  What happened
between the event and our look at the file is judged when all events are known (`settle`).  What
cannot be vouched for makes the execution uncacheable, with the reason.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import time
from stat import S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_ISREG
from typing import NamedTuple

from pcache.linux.stamps import is_coarse, latest_ns
from pcache.memo.facts import Facts
from pcache.model import Call, Fact, Key, Kind, Outcome, Output, Reason, Record, Uncacheable
from pcache.observe import configured, pseudo
from pcache.observe.accesses.context import Context
from pcache.observe.captured import CapturedFile, Snapshot
from pcache.observe.events import Stamp
from pcache.observe.executions import (
    ATTRIBUTES,
    CREATED,
    GIVEN,
    NOW,
    REMOVED,
    Change,
    Chunk,
    Execution,
    Observation,
)
from pcache.observe.relocation import BaseDirSearch
from pcache.settings import base_dir
from pcache.settings.rules import DEFAULT, Policy
from pcache.store import fingerprint
from pcache.store.blobs import Blobs
from pcache.store.digests import DigestCache
from pcache.store.digests import stamp as version_of
from pcache.store.writers import has_writers
from pcache.values import (
    ABSENT,
    content_value,
    exists_value,
    input_value,
    listing_value,
    names_value,
    replaceable_path,
)

_STATES = frozenset(
    {Kind.CONTENT, Kind.LCONTENT, Kind.EXISTS, Kind.LEXISTS, Kind.LINK, Kind.RESOLVES}
)
"""Kinds whose values hold the mode."""
_FMODE_WRITE = 2
_TEMPORARY_DIRECTORIES = (b"/tmp", b"/var/tmp")
_EAGER_BYTES = 64 << 20
_GRAIN_NS = 20_000_000
"""A file whose ctime is younger than this when it is opened may change unseen (FACTS: measured
0 of all changes at 10 ms; kernel ticks are 4 ms)."""


class Clock:
    """Converts the recorder's CLOCK_MONOTONIC to the realtime of file stamps."""

    def __init__(self) -> None:
        self._offset = _realtime_offset()

    def realtime(self, monotonic: int) -> int:
        return monotonic + self._offset

    def stepped(self) -> bool:
        """Whether the system clock was set since: then no stamp can be judged."""
        return abs(_realtime_offset() - self._offset) > _GRAIN_NS // 4


def _realtime_offset() -> int:
    return time.clock_gettime_ns(time.CLOCK_REALTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def _version(stamp: Stamp) -> tuple[int, int, int, int]:
    return stamp.st_ino, stamp.st_size, stamp.st_mtime_ns, stamp.st_ctime_ns


def _device(name: bytes) -> int:
    """As stat(2) gives it, which on some file systems is another number than the kernel's own: a
    file is usually where its directory is.  Raises OSError."""
    return os.stat(posixpath.dirname(name)).st_dev


class _Digested(NamedTuple):
    """A digest, when it was taken (CLOCK_MONOTONIC ns), and how if not by the file's name.

    `touched`: the ctime had moved by then, for which there must turn out to be a reason.
    """

    digest: bytes
    taken: int
    glance: Snapshot | None = None
    touched: bool = False


class _Version:
    """What is known of one version of a regular file; every program of a build asks for it."""

    __slots__ = ("content", "digested", "mode", "name", "still")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.digested: _Digested | None = None
        self.content = b""
        """Value of CONTENT, if it is known and the mode of the file is `mode`."""
        self.mode = 0
        self.still: bool | None = None
        """Whether it was that version at the end of the recording."""

    def learn(self, digested: _Digested) -> None:
        self.digested = digested
        self.content = b""

    def content_value(self, stamp: Stamp, digest: bytes) -> bytes:
        if not self.content or self.mode != stamp.st_mode:
            self.content, self.mode = content_value(stamp, digest), stamp.st_mode
        return self.content


class _Unknowable(Exception):
    """Carries the Uncacheable."""

    def __init__(self, reason: str, evidence: bytes | str) -> None:
        text = evidence if isinstance(evidence, str) else evidence.decode(errors="backslashreplace")
        super().__init__(reason, text)
        self.uncacheable = Uncacheable(reason, text)


class Conditions:
    """Turns ended executions into records: `capture` each one at its end, then `settle` each."""

    def __init__(
        self,
        digests: DigestCache,
        blobs: Blobs,
        facts: Facts,
        context: Context,
        clock: Clock,
        policy: Policy = DEFAULT,
    ) -> None:
        self._digests = digests
        self._blobs = blobs
        self._facts = facts
        self._history = context.history
        self._temporaries = context.temporaries
        self._context = context
        self._clock = clock
        self._policy = policy
        self._base_search = BaseDirSearch(policy.base, blobs) if policy.base is not None else None
        self._kept = context.kept
        self._versions: dict[tuple[bytes, int, int, int, int], _Version] = {}
        """By canonical name and version."""
        self._stamped: dict[Stamp, _Version] = {}
        """The same, so as they were found last."""
        self._facts_made: dict[Key, Fact] = {}
        """The last one of each key."""
        self._values: dict[Key, tuple[bytes, int]] = {}
        """Values looked up after the fact, and when."""
        self._outputs: dict[
            tuple[bytes, int, int, int, bytes], tuple[Output, int, Snapshot | None]
        ] = {}
        """Name, changes, older name -> output, when it was looked at, how if not by its name."""
        self._captured: dict[Execution, Record | Uncacheable] = {}

    def capture(self, execution: Execution) -> None:
        """Takes down the conditions of an execution that has just ended."""
        configured.apply(execution, self._policy, self._facts)
        self._list_rest(execution)
        self._refuse_private(execution)
        if not execution.problems and not execution.replayed:
            try:
                self._captured[execution] = self._record(execution)
            except _Unknowable as unknowable:
                self._captured[execution] = unknowable.uncacheable
        mark_conflicts(execution)
        for child in execution.children:
            child.release()

    def _list_rest(self, execution: Execution) -> None:
        """A directory that was not listed to its end counts as a whole, if it is as it was."""
        for (_, name), (ts, _) in execution.listing.items():
            try:
                status = os.stat(name)
                coarse = is_coarse(status.st_ctime_ns)
                late = coarse or status.st_mtime_ns > self._clock.realtime(ts) - _GRAIN_NS
                with os.scandir(name) as directory:
                    entries = frozenset(
                        (entry.name, S_IFMT(entry.stat(follow_symlinks=False).st_mode) >> 12)
                        for entry in directory
                    )
            except OSError:
                late = True
            if late and not execution.determined(name, ts):
                execution.problem_throughout(Reason.INPUT_CHANGED, f"{_text(name)}, listed in part")
            elif not late:
                execution.observe((Kind.LISTING, name), Observation(ts, name, entries=entries))

    def _refuse_private(self, execution: Execution) -> None:
        """What works on its caller's mkstemp file, as cc1 and as do for gcc, never comes again."""
        if not self._temporaries:
            return
        names = {observation.name for observation in execution.inputs.values()}
        for name in self._temporaries & (names | execution.changes.keys()):
            change = execution.changes.get(name)
            mine = change is not None and change.first_how == CREATED
            if not mine and posixpath.dirname(name) in _TEMPORARY_DIRECTORIES:
                execution.problem(Reason.PRIVATE_TEMPORARY, _text(name))

    def _record(self, execution: Execution) -> Record:
        call = call_of(execution)
        facts = self._preconditions(execution)
        outcome = self._outcome(execution)
        if self._base_search is not None and self._base_search.shows(facts, outcome):
            assert execution.end is not None  # _outcome() has seen to it
            bound = Fact(*base_dir.KEY, self._policy.base_dir)
            # In what contains it, it is so whatever becomes of what it wrote.
            execution.observe(base_dir.KEY, Observation(execution.end, b"", bound.value))
            facts.append(bound)
        return Record(call, fingerprint.weak_fingerprint(call, self._policy), tuple(facts), outcome)

    def settle(self, execution: Execution) -> Record | list[Uncacheable]:
        """The record, or why there is none; when the tree has ended and all events are known."""
        if execution.end is None:
            execution.problem(Reason.LEFT_RUNNING, "it had not ended when the recording did")
        if execution.problems:
            return list(execution.problems.values())
        if self._context.has_served_strangers(execution):
            return [Uncacheable(Reason.NETWORK, "a connection that nobody of the tree made")]
        captured = self._captured.pop(execution)
        if isinstance(captured, Uncacheable):
            return [captured]
        for magic, name in execution.made_up.items():
            if magic in self._context.made_up_written:
                return [Uncacheable(Reason.INPUT_CHANGED, _text(name))]
        changed = self._history.first_changed(execution.input_checks)
        if changed is not None:
            return [Uncacheable(Reason.INPUT_CHANGED, _text(changed))]
        for name, ts in execution.touched_checks:
            if not self._history.only_attributes_since(name, ts):
                return [Uncacheable(Reason.INPUT_CHANGED, _text(name))]
        for place, name, after, until in execution.moved_checks:
            there = self._history.is_at(place, name, after, until)
            if not there or self._history.touched_on_way(name, after, until):
                return [Uncacheable(Reason.INPUT_CHANGED, _text(name))]
        for prefix, after, until in execution.prefix_checks:
            if self._history.changed_below(prefix, after, until):
                return [Uncacheable(Reason.INPUT_CHANGED, _text(prefix))]
        for name, stamp in execution.opened_inputs:
            if not self._is_still(name, stamp):
                return [Uncacheable(Reason.INPUT_CHANGED, _text(name))]
        for glance, name, ts in execution.kept_inputs:
            if not self._was_input(glance, name, ts):
                return [Uncacheable(Reason.INPUT_CHANGED, _text(name))]
        for name, after, until in execution.output_checks:
            if self._history.touched(name, after, until):
                return [Uncacheable(Reason.OUTPUT_OVERWRITTEN, _text(name))]
        for glance, name, ts in execution.kept_outputs:
            assert execution.end is not None  # else it was not captured
            if not self._was_output(glance, name, ts, execution.end):
                return [Uncacheable(Reason.OUTPUT_OVERWRITTEN, _text(name))]
        return captured

    def _was_input(self, glance: Snapshot, name: bytes, ts: int) -> bool:
        """Whether a kept file was still what had this name at the time `ts`."""
        return (
            glance.is_of(self._history, name, ts)
            and not self._history.changed_on_way(name, ts, glance.taken)
            and (
                self._unchanged(glance, ts)
                or self._departed(glance, glance.departures(self._history, name, ts))
            )
        )

    def _was_output(self, glance: Snapshot, name: bytes, ts: int, end: int) -> bool:
        """The same for what was last changed at the time `ts` by an execution that ended later.

        Somebody outside may have changed its mode before it was moved or removed, which hides that:
        either it is as it was made, or there was no time to.
        """
        history = self._history
        if not glance.is_of(history, name, ts) or history.touched_on_way(name, ts, glance.taken):
            return False
        if self._unchanged(glance, end):
            return True
        left = glance.departures(history, name, ts)
        as_made = glance.status.st_mode & 0o7777 == glance.kept.mode
        at_once = bool(left) and left[0] <= end + _GRAIN_NS
        return (as_made or at_once) and self._departed(glance, left)

    def _unchanged(self, glance: Snapshot, seen: int) -> bool:
        """Whether nothing has been done to a file since it was seen, going by its ctime."""
        return latest_ns(glance.status.st_ctime_ns) <= self._clock.realtime(seen) + _GRAIN_NS

    def _departed(self, glance: Snapshot, left: list[int]) -> bool:
        """Whether the last thing done to a file was to move or to remove it, at one of these
        times."""
        ctime = glance.status.st_ctime_ns
        return not is_coarse(ctime) and any(
            abs(ctime - self._clock.realtime(at)) <= _GRAIN_NS for at in left
        )

    def meet(self, name: bytes, stamp: Stamp) -> None:
        """Hashes a file as soon as it is looked at: it may be overwritten before its readers end.

        Large ones wait, so that the recorder is not kept waiting.
        """
        if stamp.st_size <= _EAGER_BYTES:
            found = None
            with contextlib.suppress(OSError):
                now = os.stat(name)
                if stamp.same_version(now, attributes_changed=False):
                    found = _Digested(self._digests.file_digest(name, now), time.monotonic_ns())
            found = found or self._kept_digest(stamp)
            if found is not None:
                self._version(name, stamp).learn(found)

    def _version(self, name: bytes, stamp: Stamp) -> _Version:
        version = self._stamped.get(stamp)
        if version is None or version.name != name:
            key = (name, *_version(stamp))
            version = self._versions.get(key)
            if version is None:
                version = self._versions[key] = _Version(name)
            self._stamped[stamp] = version
        return version

    def _fact(self, key: Key, value: bytes) -> Fact:
        fact = self._facts_made.get(key)
        if fact is None or fact.value != value:
            fact = self._facts_made[key] = Fact(key[0], key[1], value)
        return fact

    def _kept_digest(self, stamp: Stamp) -> _Digested | None:
        """Of a version that may have another name by now, or none."""
        kept = self._kept.numbered(stamp.st_ino)
        if kept is None:
            return None
        try:
            now = os.fstat(kept.fd)
            if (now.st_size, now.st_mtime_ns) != (stamp.st_size, stamp.st_mtime_ns):
                return None
            digest = self._digests.file_digest(kept.fd, now)
        except OSError:
            return None
        taken = time.monotonic_ns()
        return _Digested(digest, taken, Snapshot(kept, now, taken))

    def meet_unseen(self, key: Key, observation: Observation) -> None:
        """Looks up at once what an event does not tell."""
        with contextlib.suppress(_Unknowable):
            observation.value = self._look_up(*key, observation)
            observation.looked = time.monotonic_ns()

    # ---- preconditions ----

    def _preconditions(self, execution: Execution) -> list[Fact]:
        facts: dict[Key, Fact] = {}
        listed = _ListedNames(execution)
        changes, made_up = execution.changes, self._context.made_up
        made = not changes.keys().isdisjoint(self._context.names.made)
        for known, again in execution.listed_again:
            if listed.others(known) != listed.others(again):
                raise _Unknowable(Reason.INPUT_CHANGED, known.name)
        self._refuse_own_stream(execution)
        for (kind, path), observation in execution.inputs.items():
            key = (kind, path)
            magic = made_up.get(observation.name) if made_up else None
            if magic is not None:
                execution.made_up[magic] = observation.name
            change = changes.get(observation.name) if changes else None
            stamp = observation.stamp
            if observation.name in self._temporaries and _is_temporary(execution, observation.name):
                continue  # that a random name was free: the next one will be another
            if (
                change is not None
                and stamp is not None
                and not observation.opened
                and change.first_how not in (ATTRIBUTES, "modified")
                and kind in (Kind.CONTENT, Kind.LCONTENT)
            ):
                # Looked at and then replaced or removed without being read, as compilers do with
                # their old output: existence and mode are all it depended on.
                key = (Kind.EXISTS if kind == Kind.CONTENT else Kind.LEXISTS, path)
                facts[key] = self._fact(key, exists_value(stamp))
                continue
            value = self._value(execution, key, observation, listed)
            mode, used = path.split(b":", 1) if kind == Kind.REPLACEABLE else (b"", path)
            if used != observation.name and observation.name:
                way = self._own_way(execution, used, observation, made)
                if way is not None:
                    # The way there does not exist beforehand.
                    name = observation.name
                    key = (kind, replaceable_path(int(mode, 8), name) if mode else name)
                    facts.update(way)
            facts[key] = self._fact(key, value)
        for name, change in execution.changes.items():
            if name in execution.ignored:
                continue
            if change.first_how == ATTRIBUTES and not self._was_seen(execution, name):
                raise _Unknowable(Reason.UNSUPPORTED, f"mode or times of {name!r} changed unseen")
        # The order of concurrent children's first uses is an accident of scheduling: it must not
        # make another path set.
        return [facts[key] for key in sorted(facts)]

    def _own_way(
        self, execution: Execution, path: bytes, observation: Observation, made: bool
    ) -> dict[Key, Fact] | None:
        """Where the way along `path` was of the execution's own making: the facts about what else
        is on that way.  None where it was there before."""
        if not made and not _leads_through(path, execution.changes):
            return None
        names = self._context.names
        own, facts = False, {}
        for name in names.way(path):
            change = execution.changes.get(name)
            if change is None:
                target = names.link_at(name)
                if target is not None:
                    key = (Kind.LCONTENT, name)
                    facts[key] = Fact(*key, b"l" + target)
            elif change.first < observation.ts and change.first_how != ATTRIBUTES:
                if change.content_last > observation.ts:
                    raise _Unknowable(Reason.UNSUPPORTED, f"{_text(name)}, changed twice")
                own = True
        return facts if own else None

    @staticmethod
    def _refuse_own_stream(execution: Execution) -> None:
        """Programs that find their output among their inputs say so, and do something else."""
        written = {
            same[0].stamp.st_ino
            for same in execution.descriptors.values()
            if S_ISREG(same[0].stamp.st_mode) and same[0].stamp.f_mode & _FMODE_WRITE
        }
        for (kind, path), observation in execution.inputs.items() if written else ():
            stamp = observation.stamp
            if stamp is not None and kind != Kind.INPUT and stamp.st_ino in written:
                raise _Unknowable(Reason.UNSUPPORTED, path + b", which it also writes to")

    @staticmethod
    def _was_seen(execution: Execution, name: bytes) -> bool:
        return any(
            observation.name == name and kind in _STATES
            for (kind, _), observation in execution.inputs.items()
        ) or execution.determined(name, execution.changes[name].last + 1)

    def _value(
        self, execution: Execution, key: Key, observation: Observation, listed: _ListedNames
    ) -> bytes:
        if observation.looked and key[0] in (Kind.EXISTS, Kind.LEXISTS):
            told = self._told_by_stat(execution, key, observation)
            if told is not None:
                return told
        if key[0] == Kind.XATTRS:
            earlier = self._earlier_attributes(execution, key[1], observation)
            if earlier is not None:
                return earlier
        if observation.value is not None:
            if observation.looked:
                checked = (observation.name, observation.ts, observation.looked)
                execution.input_checks.append(checked)
            return observation.value
        if observation.entries is not None:
            entries = listed.before(observation)
            if key[0] == Kind.NAMES:
                return names_value(name for name, _ in entries)
            return listing_value(entries)
        if observation.stamp is not None:
            return self._stamped_value(execution, key, observation, observation.stamp)
        return self._later_value(execution, key, observation)

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
        self._trust(observation, stamp)
        version = self._version(observation.name, stamp)
        cached = version.digested
        if pseudo.is_pseudo(observation.name, stamp.magic):
            execution.made_up[stamp.magic] = observation.name
            cached = None
        if cached is None:
            cached = self._digest(observation, stamp)
            version.learn(cached)
        if cached.touched:
            execution.touched_checks.append((observation.name, observation.ts))
        if cached.glance is None:
            execution.input_checks.append((observation.name, observation.ts, cached.taken))
        else:
            execution.kept_inputs.append((cached.glance, observation.name, observation.ts))
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
        return version.content_value(stamp, cached.digest)

    def _read_throughout(
        self, execution: Execution, observation: Observation, stamp: Stamp
    ) -> None:
        """What was opened may have been read at any time until the end."""
        name = observation.name
        if name in execution.changes or execution.end is None:
            return  # its own changes are no surprise to it
        if stamp.writers:  # writes through an open descriptor are not told, nor are mappings
            text = f"{_text(name)}, which somebody else had open for writing"
            raise _Unknowable(Reason.INPUT_CHANGED, text)
        if self._history.changed(name, observation.ts, execution.end):
            raise _Unknowable(Reason.INPUT_CHANGED, name)
        execution.opened_inputs.append((name, stamp))

    def _is_still(self, name: bytes, stamp: Stamp) -> bool:
        """Whether nobody outside the tree has changed a file since it was looked at."""
        if self._history.knows(name):
            return True  # the tree did, which has been judged
        version = self._version(name, stamp)
        if version.still is None:
            try:
                version.still = stamp.same_version(os.stat(name), attributes_changed=False)
            except OSError:
                version.still = False
        return version.still

    def _digest(self, observation: Observation, stamp: Stamp) -> _Digested:
        """Digest of the file if it still is the version that was seen, and when it was taken.

        The digest cache checks the same again around its own reading.
        """
        place = observation.place
        try:
            now = os.stat(place)
            ours = self._history.only_attributes_since(observation.name, observation.ts)
            if stamp.same_version(now, attributes_changed=ours):
                return _Digested(self._digests.file_digest(place, now), time.monotonic_ns())
        except OSError as error:
            if not isinstance(error, FileNotFoundError) and error.errno != errno.ESTALE:
                raise _Unknowable(Reason.INPUT_CHANGED, place) from error
        kept = self._kept_digest(stamp)
        if kept is not None:
            return kept
        digest = self._earlier_digest(observation.name, stamp)
        if digest is not None:
            return _Digested(digest, observation.ts)
        with contextlib.suppress(OSError):
            now = os.stat(place)
            if stamp.same_version(now, attributes_changed=True):
                # The event that tells of its new mode or name may be still to come.
                digest = self._digests.file_digest(place, now)
                return _Digested(digest, time.monotonic_ns(), touched=True)
        raise _Unknowable(Reason.INPUT_CHANGED, observation.name)

    def _earlier_digest(self, name: bytes, stamp: Stamp) -> bytes | None:
        """Digest of a version that is gone, if it was taken while it was there: in an earlier
        recording, or when a replay looked at it."""
        with contextlib.suppress(OSError):
            return self._digests.remembered_version((_device(name), *_version(stamp)))
        return None

    def _earlier_attributes(
        self, execution: Execution, path: bytes, observation: Observation
    ) -> bytes | None:
        """Value of XATTRS of a version that is gone, in the same way: that whose content was read
        before or after, if nobody touched it in between."""
        read = execution.inputs.get((Kind.CONTENT, path))
        if read is None or read.stamp is None or read.name != observation.name:
            return None
        first, last = sorted((observation.ts, read.ts))
        if self._history.touched(read.name, first, last):
            return None
        with contextlib.suppress(OSError):
            identity = (read.stamp.st_mode, _device(read.name), *_version(read.stamp))
            return self._digests.values.get((Kind.XATTRS, *identity))
        return None

    def _trust(self, observation: Observation, stamp: Stamp) -> None:
        """A version is told apart from its successor only if the clock has moved on in between."""
        if self._tells_changes(stamp, observation.ts):
            return
        name, ts = observation.name, observation.ts
        ours = self._history.touched(name, 0, ts) or self._history.was_linked(name, ts)
        if ours and not stamp.writers:
            return  # by the recorded tree, whose later changes would be seen
        raise _Unknowable(Reason.INPUT_CHANGED, observation.place)

    def _tells_changes(self, stamp: Stamp, ts: int) -> bool:
        """Whether any change after `ts` gives the file another version than it had then."""
        if stamp.queried and not is_coarse(stamp.st_ctime_ns):
            return True
        return self._clock.realtime(ts) - latest_ns(stamp.st_ctime_ns) > _GRAIN_NS

    def _later_value(self, execution: Execution, key: Key, observation: Observation) -> bytes:
        """Something whose version was not seen: it must not have changed since."""
        kind, path = key
        cached = self._values.get(key)
        if cached is None or cached[1] < observation.ts:
            cached = self._look_up(kind, path, observation), time.monotonic_ns()
            self._values[key] = cached
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
                changed = latest_ns(now.st_ctime_ns)
                late = changed > self._clock.realtime(observation.ts) + _GRAIN_NS
                moved = observation.place != observation.name
                if late and not moved and S_IFMT(now.st_mode) != S_IFDIR:
                    raise _Unknowable(Reason.INPUT_CHANGED, observation.name)
            value = self._facts.evaluate(kind, where)
        except OSError as error:
            raise _Unknowable(Reason.INPUT_CHANGED, observation.name) from error
        if value == ABSENT:
            raise _Unknowable(Reason.INPUT_CHANGED, observation.name)
        return value

    # ---- postconditions ----

    def _outcome(self, execution: Execution) -> Outcome:
        outputs = []
        for name, change in execution.changes.items():
            if name in execution.ignored:
                continue
            output = self._output(execution, name, change)
            if output is not None:
                outputs.append((change.last, len(name), output))
        # Of equal times (a moved tree) the shorter name is the directory.
        outputs.sort(key=lambda item: item[:2])
        chunks, data = self._streams(execution.chunks)
        assert execution.end is not None  # record() has seen to it
        return Outcome(
            execution.status,
            tuple(output for _, _, output in outputs),
            chunks,
            data,
            tuple(execution.offsets.items()),
            execution.end - execution.image,
            execution.cpu_ns,
        )

    def _output(self, execution: Execution, name: bytes, change: Change) -> Output | None:
        if pseudo.ignored(name):
            return None
        if change.last_how == REMOVED:
            # Made and removed again is nobody's business.
            return None if change.first_how == CREATED else Output(b"-", name)
        if change.before is not None and self._is_as_before(name, change.before, change.first):
            return None
        older = self._context.hard_links.get(name, b"")
        if _is_temporary(execution, older):
            older = b""
        key = (name, change.last, change.content_last, change.times, older)
        if key not in self._outputs:
            if self._history.last(name) > change.last:
                raise _Unknowable(Reason.OUTPUT_OVERWRITTEN, name)
            output, glance = self._capture(execution, name, change, older)
            self._outputs[key] = output, time.monotonic_ns(), glance
        output, captured, glance = self._outputs[key]
        if glance is None:
            execution.output_checks.append((name, change.last, captured))
        else:
            execution.kept_outputs.append((glance, name, change.last))
        return output

    def _is_as_before(self, name: bytes, before: Stamp, opened: int) -> bool:
        """Whether a file that was opened to be modified was not: its time must stay, then."""
        try:
            if not before.same_version(os.lstat(name), attributes_changed=False):
                return False
        except OSError as error:
            raise _Unknowable(Reason.OUTPUT_OVERWRITTEN, name) from error
        if not self._tells_changes(before, opened):
            raise _Unknowable(Reason.INPUT_CHANGED, name)
        return True

    def _capture(
        self, execution: Execution, name: bytes, change: Change, older: bytes
    ) -> tuple[Output, Snapshot | None]:
        """What was left at a name, and how it was looked at if not there; `older`: another name of
        the same file, which was there before it."""
        kept = self._kept.at(name)
        if kept is not None and change.content_last and name not in self._context.hard_links:
            return self._capture_kept(execution, name, change, kept)
        try:
            now = os.lstat(name)
        except OSError as error:
            raise _Unknowable(Reason.OUTPUT_OVERWRITTEN, name) from error
        return self._capture_here(execution, name, change, now, older), None

    def _capture_kept(
        self, execution: Execution, name: bytes, change: Change, kept: CapturedFile
    ) -> tuple[Output, Snapshot]:
        """A plain file whose content was written, whether it is still there or not."""
        assert execution.end is not None
        latest = self._clock.realtime(execution.end) + _GRAIN_NS
        self._refuse_acl(name, kept.fd)
        try:
            now = os.fstat(kept.fd)
            _refuse_coarse(name, now)
            if now.st_uid != execution.uid:
                raise _Unknowable(Reason.UNSUPPORTED, f"owner of {name!r}")
            writers, began = has_writers(kept.fd), time.time_ns()
            digest = self._blobs.put_file(kept.fd)
            taken, after = time.monotonic_ns(), os.fstat(kept.fd)
        except OSError as error:
            raise _Unknowable(Reason.OUTPUT_OVERWRITTEN, name) from error
        if _written(after) != _written(now) or after.st_mtime_ns > latest:
            raise _Unknowable(Reason.OUTPUT_OVERWRITTEN, name)
        self._digests.remember(after, digest, began, writers)
        mtime = now.st_mtime_ns if change.times == GIVEN else -1
        output = Output(b"f", name, now.st_mode & 0o7777, digest, mtime)
        return output, Snapshot(kept, after, taken)

    def _capture_here(
        self,
        execution: Execution,
        name: bytes,
        change: Change,
        now: os.stat_result,
        older: bytes,
    ) -> Output:
        form, mode = S_IFMT(now.st_mode), now.st_mode & 0o7777
        mtime = now.st_mtime_ns if change.times == GIVEN else -1
        if form == S_IFDIR:
            return Output(b"d" if change.content_last else b"m", name, mode, b"", mtime)
        assert execution.end is not None
        _refuse_coarse(name, now)
        if now.st_ctime_ns > self._clock.realtime(execution.end) + _GRAIN_NS:
            raise _Unknowable(Reason.OUTPUT_OVERWRITTEN, name)
        self._refuse_acl(name, name)
        if not change.content_last and change.times != NOW:
            return Output(b"m", name, mode, b"", mtime)
        if older:
            if not _same_file(older, now):
                raise _Unknowable(Reason.OUTPUT_OVERWRITTEN, older)
            return Output(b"h", name, mode, older)
        try:
            if form == S_IFREG:
                if name in self._context.hard_links and now.st_nlink != 1:
                    raise _Unknowable(Reason.UNSUPPORTED, f"{_text(name)} has other names")
                if now.st_uid != execution.uid:
                    raise _Unknowable(Reason.UNSUPPORTED, f"owner of {name!r}")
                return Output(b"f", name, mode, self._stored(name, now), mtime)
            if form == S_IFLNK:
                return Output(b"l", name, 0o777, os.readlink(name), mtime)
        except OSError as error:
            raise _Unknowable(Reason.OUTPUT_OVERWRITTEN, name) from error
        if form == S_IFIFO:
            return Output(b"p", name, mode)
        raise _Unknowable(Reason.UNSUPPORTED, f"{name!r} is a socket or device")

    def _stored(self, name: bytes, now: os.stat_result) -> bytes:
        """Digest of a regular file that is as in `now`, once it is stored.  Raises OSError."""
        file = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            writers, began = has_writers(file), time.time_ns()
            digest = self._blobs.put_file(file)
            if version_of(os.fstat(file)) != version_of(now):
                raise _Unknowable(Reason.OUTPUT_OVERWRITTEN, name)
        finally:
            os.close(file)
        self._digests.remember(now, digest, began, writers)
        return digest

    def _refuse_acl(self, name: bytes, file: bytes | int) -> None:
        if name in self._context.with_acl and b"system.posix_acl_access" in _xattrs(file):
            raise _Unknowable(Reason.UNSUPPORTED, f"access control list of {name!r}")

    def _streams(self, chunks: list[Chunk]) -> tuple[tuple[tuple[int, int], ...], bytes]:
        """(descriptor, length) runs and the blob with all their bytes."""
        if not chunks:
            return (), b""
        merged: list[tuple[int, int]] = []
        data = bytearray()
        for chunk in chunks:
            piece = os.pread(chunk.source, chunk.length, chunk.offset)
            if len(piece) != chunk.length:
                raise _Unknowable(Reason.EVENTS_LOST, f"bytes written to descriptor {chunk.fd}")
            data += piece
            if merged and merged[-1][0] == chunk.fd:
                merged[-1] = (chunk.fd, merged[-1][1] + chunk.length)
            else:
                merged.append((chunk.fd, chunk.length))
        return tuple(merged), self._blobs.put_bytes(bytes(data))


_environments: dict[bytes, tuple[bytes, ...]] = {}
"""The last environments: what a build starts has few different ones."""
_ENVIRONMENTS_LIMIT = 64


def _environment(data: bytes) -> tuple[bytes, ...]:
    """The entries of an environment, each of which ends with NUL; equal ones are one object."""
    entries = _environments.get(data)
    if entries is None:
        if len(_environments) >= _ENVIRONMENTS_LIMIT:
            _environments.clear()
        entries = _environments[data] = tuple(data.split(b"\0")[:-1])
    return entries


def call_of(execution: Execution) -> Call:
    """What the execution was asked to do."""
    kinds = [b"closed", b"closed", b"closed"]
    for same in execution.descriptors.values():
        for descriptor in same:
            if descriptor.fd < len(kinds):
                kinds[descriptor.fd] = pseudo.kind_of(descriptor.stamp)
        if {1, 2} <= {descriptor.fd for descriptor in same}:
            kinds[2] = b"=1"
    return Call(
        execution.executable,
        tuple(execution.argv()),
        _environment(bytes(execution.arguments[execution.argv_size :])),
        execution.cwd or b"",
        execution.umask,
        execution.uid,
        execution.gid,
        tuple(kinds),
    )


class _ListedNames:
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


def mark_conflicts(execution: Execution) -> None:
    """Marks children that ran at the same time and touched the same path, one of them writing."""
    children = execution.children
    if len(children) < 2 or not execution.changes:
        return
    writers: dict[bytes, list[Execution]] = {}
    for child in children:
        for name in child.changes:
            writers.setdefault(name, []).append(child)
    for child in children:
        names = {observation.name for observation in child.inputs.values()} | child.changes.keys()
        for name in names & writers.keys():
            for writer in writers[name]:
                if writer is not child and _overlap(writer, child):
                    text = _text(name)
                    child.problem(Reason.CONFLICT, f"{text}, with {writer.label()}")
                    writer.problem(Reason.CONFLICT, f"{text}, with {child.label()}")


def _overlap(one: Execution, other: Execution) -> bool:
    return (
        one.end is not None
        and other.end is not None
        and one.image < other.end
        and other.image < one.end
    )


def _text(path: bytes) -> str:
    return path.decode(errors="backslashreplace")


def _leads_through(path: bytes, changes: dict[bytes, Change]) -> bool:
    """Whether a path or a directory on it is among the changed names."""
    if not changes:
        return False
    while path:
        if path in changes:
            return True
        path = path[: max(path.rfind(b"/"), 0)]
    return False


def _is_temporary(execution: Execution, name: bytes) -> bool:
    """Whether the execution made something of that name and removed it."""
    change = execution.changes.get(name)
    return change is not None and (change.first_how, change.last_how) == (CREATED, REMOVED)


def _written(status: os.stat_result) -> tuple[int, int, int]:
    """What changes when a file is written to, or its mode is changed."""
    return status.st_size, status.st_mtime_ns, status.st_mode


def _refuse_coarse(name: bytes, status: os.stat_result) -> None:
    """What somebody does to an output right after the program's end would not be noticed."""
    if is_coarse(status.st_ctime_ns):
        text = f"{_text(name)}, where times have no fractions of a second"
        raise _Unknowable(Reason.UNSUPPORTED, text)


def _xattrs(file: bytes | int) -> list[bytes]:
    """Of what is at a path itself, or open."""
    try:
        names = os.listxattr(file, follow_symlinks=isinstance(file, int))
        return [os.fsencode(name) for name in names]
    except OSError:
        return []


def _same_file(path: bytes, one: os.stat_result) -> bool:
    try:
        other = os.lstat(path)
    except OSError:
        return False
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
