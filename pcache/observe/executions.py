"""What one execution did: its observations, its changes, its streams, and why it cannot be kept.

An execution answers for its whole subtree.  Changes are told to every ancestor at once, because
they decide what later observations mean; observations are handed up when the execution ends, and
the times they carry let the ancestor see which of them it had itself brought about before.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from pcache.model import Key, Kind, Reason, Uncacheable
from pcache.observe.captured import Snapshot
from pcache.observe.changes import ATTRIBUTES, CREATED, MODIFIED, REMOVED, UNTOUCHED, Change
from pcache.observe.chunks import Chunk, PipeInput
from pcache.observe.events import Descriptor, Stamp
from pcache.observe.observations import Look, Observation
from pcache.values import narrowed_order, not_newer_files, not_newer_path
from pcache.wording import text

TIMED = (
    *(Kind.TIMES, Kind.LTIMES, Kind.VERSION, Kind.LVERSION),
    *(Kind.ORDER, Kind.NOT_NEWER),
)
_OF_ITSELF = (Kind.FD, Kind.PIPE, Kind.INPUT, Kind.INPUT_TIMES, Kind.STREAM, Kind.TRAIT)

PartOfListing = tuple[int, bytes]
"""Open file description and name of a directory."""


class Execution:
    """One program from its execve to its end."""

    def __init__(self, image: int, tgid: int, parent: Execution | None) -> None:
        self.image = image
        """Its start: CLOCK_MONOTONIC ns of the execve."""
        self.tgid = tgid
        self.parent = parent
        self.is_tail = False
        """It replaced its parent in the same process, and gives it its end and status."""
        self.replayed = False
        """It was a hit: its record is in the store, and stands here for what it would have done."""
        self.end: int | None = None
        self.status = 0
        """Wait status."""
        self.cpu_ns = 0
        self.executable = b""
        self.filename = b""
        """What execve was given, absolute."""
        self.told_filename = b""
        """The same as it was given."""
        self.cwd: bytes | None = None
        self.umask = 0
        self.uid = self.gid = 0
        self.signals_ignored = self.signals_blocked = 0
        """Signals that it was started with, as masks."""
        self.leads = b""
        """Value of the trait `pcache.linux.traits.LEADER`."""
        self.has_children = False
        """It was started in a process that had some already, ended or not."""
        self.arguments = bytearray()
        """argv, then the environment, each string ended by NUL."""
        self.argv_size = 0
        self.descriptors: dict[int, list[Descriptor]] = {}
        """Those inherited, by address of the open file description, in the order of numbers."""
        self.streams: dict[int, list[Descriptor]] = {}
        """Those of `descriptors` that are regular files open for writing, by inode."""
        self.absent: set[int] = set()
        """Numbers of descriptors that it found were not there."""
        self.offsets_asked: dict[int, int] = {}
        """How often it has asked where 1 or 2 stands."""
        self.flags_changed: set[int] = set()
        """Descriptors whose flags are other ones than when it was handed them, and no hit sets."""
        self.touched: dict[bytes, int] = {}
        """Directories in which it made and removed something of a random name, and when last."""
        self.appending: set[int] = set()
        """Descriptors to which it left O_APPEND set."""
        self.told: dict[int, bool] = {}
        """See `descriptors.tell_status`: descriptor -> whether nobody else had written to it."""
        self.adopted: set[int] = set()
        """Those keys of `descriptors` that it was not handed: `descriptors.adopt`."""
        self.jobserver: frozenset[int] = frozenset()
        self.is_make_job = False
        """See `pcache.linux.descriptors.is_make_job`."""
        self.starts_jvm = False
        """See `pcache.observe.accesses.jvm`."""
        self.alive = 0
        """Processes of its subtree that have not ended, its own included."""
        self.inputs: dict[Key, Observation] = {}
        self.covering: list[Observation] = []
        """Inputs of its parent to which some of its own, left out here, would add nothing."""
        self.listing: dict[PartOfListing, tuple[int, Stamp | None]] = {}
        """What was listed in part so far -> since when, and the directory as it was then."""
        self.listed_again: list[tuple[Observation, Observation]] = []
        """Pairs of listings of one directory, to be the same but for its own changes."""
        self.opened_inputs: list[Observation] = []
        """Of versions of files that were read, to be there still when the recording ends."""
        self.changes: dict[bytes, Change] = {}
        self.directories: set[bytes] = set()
        """Those of `changes` that are or were directories."""
        self.chunks: list[Chunk] = []
        self.asked_for_messages: list[Callable[[], None]] = []
        """What notes what it was told of its terminal, should that have mattered."""
        self.pipes: dict[int, PipeInput] = {}
        """Those it was handed and has read, by address of the open file description."""
        self.offsets: dict[int, int] = {}
        self.input_checks: list[tuple[bytes, int, int]] = []
        """What was read after the fact, to be judged when all events are known: the tree must not
        have changed the content of that name after the first and up to the second time."""
        self.version_checks: list[tuple[bytes, int, int]] = []
        """The same, where the version would be another if it had: to be opened for it is no
        change."""
        self.append_checks: list[tuple[bytes, int, int]] = []
        """The same, where it must only have been appended to."""
        self.output_checks: list[tuple[bytes, int, int]] = []
        """The same for outputs, where mode and times count too."""
        self.touched_checks: list[tuple[bytes, int]] = []
        """Inputs, and when they were seen: of what the tree did to them since, it must have been to
        mode, times or number of names alone."""
        self.counted_names: list[tuple[Key, bytes, int]] = []
        """Values that hold a number of names of later: key, canonical name, and when that was."""
        self.moved_checks: list[tuple[bytes, bytes, int, int]] = []
        """What was looked at where it had been moved to: the place, its earlier name, and times as
        above; it must have been there, and mode and times count too."""
        self.captured_inputs: list[tuple[Snapshot, bytes, int]] = []
        """What was read from a captured file: how, the name and when it was seen there."""
        self.captured_outputs: list[tuple[Snapshot, bytes, int]] = []
        """The same for outputs, with the time of the last change."""
        self.prefix_checks: list[tuple[bytes, int, int]] = []
        """The same for everything below a directory, given with its final slash."""
        self.made_up: dict[int, bytes] = {}
        """Magic of file systems that make up their files -> one of them that was read."""
        self.looks: dict[Key, tuple[int, bytes, Stamp | os.stat_result]] | None = None
        """First look at each path, if its time may matter: when, canonical name, version."""
        self.weighed: set[Key] = set()
        """Inputs whose status was asked for by a program that may go by their sizes."""
        self.moved_times: dict[bytes, bytes] = {}
        """Former names of files that were moved -> value of TIMES."""
        self.owned: set[bytes] = set()
        """Files and directories that may have been there before and must then have had nothing that
        new ones have not (PLAIN): their group was set to its own, say."""
        self.born_in: set[bytes] = set()
        """Directories in which it made what is elsewhere now (`pcache.observe.births`)."""
        self.ignored: set[bytes] = set()
        """Those of `changes` that are configured not to matter."""
        self.problems: dict[str, Uncacheable] = {}
        self.children: list[Execution] = []
        """Those that have ended."""

    def chain(self) -> Iterator[Execution]:
        """Itself, then its ancestors."""
        at: Execution | None = self
        while at is not None:
            yield at
            at = at.parent

    def contains(self, other: Execution | None) -> bool:
        """Whether `other` is this execution or in its subtree."""
        return other is not None and any(at is self for at in other.chain())

    def inherited(self, fd: int) -> list[Descriptor]:
        """The descriptor of that number as it was handed in: one or none."""
        found = [one for same in self.descriptors.values() for one in same if one.fd == fd]
        return found[:1]

    def same(self, fd: int) -> list[Descriptor]:
        """All that are one open file with the descriptor of that number as it was handed in, it
        among them."""
        for same in self.descriptors.values():
            if any(one.fd == fd for one in same):
                return same
        return []

    def writes_to(self, stamp: Stamp | None) -> bool:
        """Whether a file is one that it was handed down to write to."""
        return bool(self.streams) and stamp is not None and stamp.st_ino in self.streams

    def written_to(self, stamp: Stamp) -> int:
        """How many bytes its subtree has written to such a file so far."""
        numbers = {one.fd for one in self.streams[stamp.st_ino]}
        return sum(chunk.length for chunk in self.chunks if chunk.fd in numbers)

    def argv(self) -> list[bytes]:
        return bytes(self.arguments[: self.argv_size]).split(b"\0")[:-1]

    def environment(self) -> list[bytes]:
        return bytes(self.arguments[self.argv_size :]).split(b"\0")[:-1]

    def label(self) -> str:
        """Its command line, for people."""
        return text(b" ".join(self.argv())).replace("\n", "\\n")

    # ---- why not ----

    def problem(self, reason: str, evidence: str) -> None:
        """Makes this execution uncacheable; the first evidence for a reason is kept."""
        self.problems.setdefault(reason, Uncacheable(reason, evidence))

    def problem_throughout(self, reason: str, evidence: str) -> None:
        """The same for its ancestors too."""
        for execution in self.chain():
            execution.problem(reason, evidence)

    # ---- observations ----

    def observe(self, key: Key, observation: Observation) -> None:
        """Notes a dependency, unless this subtree had itself determined it."""
        known = self.inputs.get(key)
        if known is None:
            self._first(key, observation)
        elif not known.covers(observation):
            self._again(key, known, observation)

    def look_again(self, ts: int, look: Look) -> None:
        """Notes an observation like one that some execution made before."""
        key, name, value, stamp, opened = look
        self.observe(key, Observation(ts, name, value, stamp, opened))

    def _first(self, key: Key, observation: Observation) -> None:
        change = self.changes.get(observation.name)
        if change is None and not self.directories:
            self.inputs[key] = observation
            return
        if self.determined(observation.name, observation.ts):
            return
        if change is not None and change.first < observation.ts:
            # Its mode is ours already: what it was before must have been seen before.
            earlier = self._earlier(key[1], observation.name)
            if earlier is not None:
                earlier.opened |= observation.opened
                return
        self.inputs[key] = observation

    def _earlier(self, path: bytes, name: bytes) -> Observation | None:
        """A look at the whole state of a file."""
        for kind in (Kind.CONTENT, Kind.LCONTENT):
            for place in (path, name):
                known = self.inputs.get((kind, place))
                if known is not None:
                    return known
        return None

    def _again(self, key: Key, known: Observation, observation: Observation) -> None:
        """Another observation of a known key: it adds nothing if it is of our own doing."""
        if self.determined(observation.name, observation.ts):
            return
        if observation.ts < known.ts:
            observation.opened |= known.opened
            self.inputs[key] = observation
        else:
            known.opened |= observation.opened
        # Somebody else must not have changed it in between.
        listing = key[0] in (Kind.LISTING, Kind.OTHERS, Kind.NUMBERED)
        if listing:
            self.listed_again.append((known, observation))
        ours = listing or observation.name in self.changes or self.writes_to(observation.stamp)
        if not ours and known.differs(observation):
            self.problem(Reason.INPUT_CHANGED, text(key[1]))

    def determined(self, name: bytes, ts: int) -> bool:
        """Whether this subtree had changed `name`, or made or removed a directory above it."""
        change = self.changes.get(name)
        if change is not None and change.first < ts and change.first_how != ATTRIBUTES:
            return True
        if self.directories:
            # By rfind: dirname takes five times as long, and this is the recorder's inner loop.
            directory = name
            while (slash := directory.rfind(b"/")) > 0:
                directory = directory[:slash]
                if directory in self.directories:
                    change = self.changes[directory]
                    if change.first < ts and change.first_how in (CREATED, REMOVED):
                        return True
        return False

    def observe_times(self, observed: Iterable[tuple[Key, Observation]]) -> None:
        """Notes observations of kinds TIMED, unless this subtree had itself set the times."""
        entered = self.entered()
        for (kind, path), observation in observed:
            ts = observation.ts
            key, noted = (kind, path), observation
            if kind == Kind.ORDER:
                theirs = partial(self._time_is_theirs, ts, entered)
                left = narrowed_order(path, observation.value or b"", theirs)
                if left is None:
                    continue
                key, noted = (kind, left[0]), Observation(ts, b"", left[1])
            elif kind == Kind.NOT_NEWER:
                latest, files = not_newer_files(path)
                kept = [file for file in files if self._time_is_theirs(ts, entered, file)]
                if not kept:
                    continue
                key = (kind, not_newer_path(latest, kept))
            elif self.times_are_ours(noted.name, ts) or entered.get(noted.name, ts) < ts:
                continue
            known = self.inputs.get(key)
            if known is None or ts < known.ts:
                self.inputs[key] = noted

    def _time_is_theirs(self, ts: int, entered: dict[bytes, int], name: bytes) -> bool:
        return not self.times_are_ours(name, ts) and entered.get(name, ts) >= ts

    def entered(self) -> dict[bytes, int]:
        """Directories in which it made or removed something, and since when: their times are its
        own from then on."""
        entered: dict[bytes, int] = {}
        for name, change in self.changes.items():
            if change.first_how != ATTRIBUTES or change.content_last:
                directory = posixpath.dirname(name)
                entered[directory] = min(change.first, entered.get(directory, change.first))
        return entered

    def made_and_removed(self, name: bytes) -> bool:
        """Whether it made something of that name where nothing was, and removed it."""
        change = self.changes.get(name)
        return change is not None and (change.first_how, change.last_how) == (CREATED, REMOVED)

    def made_below(self, directory: bytes, ts: int) -> bool:
        """Whether it had made or removed this directory, or one above it, by `ts`: what a hit makes
        it makes at one time."""
        return self.determined(posixpath.join(directory, b"."), ts + 1)

    def origin(self, name: bytes, ts: int) -> tuple[bytes, bool]:
        """Where the file of this name was before the execution, empty if it is a new one, and
        whether it is as it was."""
        change = self.changes.get(name)
        if change is not None:
            return change.origin, change.only_moved
        return (b"", False) if self.determined(name, ts) else (name, True)

    def assume(self, kind: bytes, name: bytes, ts: int, value: bytes, prefix: bytes = b"") -> None:
        """Notes what must be true of the file itself that has this name: for those before whose
        start it may have been there, under the name that it had then.

        `prefix`: for one of `PREFIXED`, what comes before the path."""
        for execution in self.chain():
            origin, _ = execution.origin(name, ts)
            if origin:
                key = (kind, prefix + origin)
                execution.inputs.setdefault(key, Observation(ts, origin, value))

    def times_are_ours(self, name: bytes, ts: int) -> bool:
        """Whether this subtree had written the file, or set its times, before `ts`."""
        change = self.changes.get(name)
        if change is not None and change.first < ts and change.times != UNTOUCHED:
            return True
        return self.determined(name, ts)

    def merge_into_parent(self) -> None:
        """Hands the observations up; called when the execution has ended."""
        parent = self.parent
        if parent is None:
            return
        inputs, first = parent.inputs, parent._first
        timed = []
        for key, observation in self.inputs.items():
            if key[0] in _OF_ITSELF:
                continue  # about descriptors and the like: each execution has its own
            if key[0] in TIMED:
                timed.append((key, observation))
                continue
            known = inputs.get(key)
            if known is None:
                first(key, observation)
            elif not known.covers(observation):
                parent._again(key, known, observation)
        if timed:
            parent.observe_times(timed)
        parent.ignored |= self.ignored
        parent.weighed |= self.weighed
        parent.children.append(self)

    def release(self) -> None:
        """Gives up what only its own record and its parent needed."""
        self.inputs, self.changes, self.children = {}, {}, []
        self.covering, self.listed_again = [], []
        self.directories, self.chunks, self.pipes = set(), [], {}

    # ---- changes ----

    def change(
        self, name: bytes, ts: int, how: str, *, directory: bool = False, in_place: bool = False
    ) -> None:
        """Tells this execution and its ancestors of a change to a canonical name.

        `in_place`: of a file created or replaced, that one which was there would be the same file.
        """
        kept = in_place or how in (MODIFIED, ATTRIBUTES)
        for execution in self.chain():
            known = execution.changes.get(name)
            if known is None:
                execution.changes[name] = Change(ts, how, name if kept else b"")
            else:
                known.again(ts, how, in_place=in_place)
            if directory:
                execution.directories.add(name)
