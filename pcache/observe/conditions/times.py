"""Modification times that outputs have taken or hold: those of inputs are facts, those of other
outputs must come back with them.

What was done with a time is told by its result alone: a file that was given the time of another
one, or a content that has it in it.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from pcache.memo import git_index
from pcache.model import FRESH, NOW, Key, Kind, Outcome, Output, Reason
from pcache.observe import pseudo
from pcache.observe.accesses.context import Context
from pcache.observe.accesses.present import seen_status
from pcache.observe.changes import leads_through
from pcache.observe.chunks import Chunk
from pcache.observe.conditions.clock import Clock
from pcache.observe.conditions.embedded import LARGEST, EmbeddedTimes
from pcache.observe.conditions.unknowable import Unknowable, gone
from pcache.observe.events import Stamp
from pcache.observe.executions import Execution
from pcache.observe.observations import TIMES_OF, Observation
from pcache.store.blobs import Blobs
from pcache.times import UNITS_NS, shared_time
from pcache.values import ABSENT, not_newer_path, not_newer_value, times_value
from pcache.wording import text

_SECOND_NS = 1_000_000_000
_MICROSECOND_NS = 1_000


class _Found:
    """Times that are in contents: to the second at least, and also going by day or hour alone."""

    def __init__(self, exact: set[int], loose: set[int], everything: bool = False) -> None:
        self.exact = exact
        self.loose = loose
        self.everything = everything
        """It is too large to be searched."""

    def add(self, other: _Found) -> None:
        self.exact |= other.exact
        self.loose |= other.loose
        self.everything |= other.everything


class KeptTimes:
    """Those of one recording; each content is searched once."""

    def __init__(self, blobs: Blobs, context: Context, clock: Clock) -> None:
        self._clock = clock
        self._blobs = blobs
        self._context = context
        self._embedded = EmbeddedTimes()
        self._searched: dict[bytes, tuple[int, _Found]] = {}
        """Digest -> when what it was looked for in was last changed, and what was found."""

    def apply(self, execution: Execution, outcome: Outcome, mtimes: dict[bytes, int]) -> Outcome:
        """The outcome with the times that its outputs have to have, and the facts that go with it
        noted down.  `mtimes`: what the outputs' times were.  Raises Unknowable."""
        outcome = self._without_status(execution, outcome)
        self._prepare(execution, set(mtimes.values()))
        found = _Found(set(), set())
        holder = b""
        fresh = {
            output.path: mtimes[output.path]
            for output in outcome.outputs
            if output.path in mtimes and _is_fresh(output)
        }
        times = set(fresh.values())
        for output in outcome.outputs:
            if output.kind in (b"f", b"w"):
                last = execution.changes[output.path].content_last
                held = self._find(output.content, last, output.path)
                found.add(held)
                if held.everything or (held.exact & times) - {mtimes[output.path]}:
                    holder = holder or output.path
        if outcome.data and execution.end is not None:
            held = self._find(outcome.data, execution.end)
            found.add(held)
            if held.everything or held.exact & times:
                holder = holder or b"its output"
        given = {output.mtime_ns for output in outcome.outputs if output.mtime_ns >= 0}
        # Directories that are moved keep their own, often that of what was made in them last.
        copied = {
            output.mtime_ns
            for output in outcome.outputs
            if output.mtime_ns >= 0 and output.kind != b"d"
        }
        self._depend(execution, found, given, copied, {ns // _SECOND_NS for ns in times})
        if holder:
            if fresh:
                self._guard(execution, min(fresh.values()), holder)
            return _timed(outcome, fresh)
        if not given:
            return outcome
        inputs = self._input_times(execution)
        return self._renewed(execution, _shared(outcome, fresh, inputs), inputs)

    def _without_status(self, execution: Execution, outcome: Outcome) -> Outcome:
        """With git's index as it is stored."""
        outputs = list(outcome.outputs)
        for number, output in enumerate(outputs):
            if output.kind not in (b"f", b"w") or not output.path.endswith(git_index.PLACE):
                continue
            data = self._content(output.content)
            if data is None or not git_index.is_index(output.path, data):
                continue
            try:
                stored = git_index.without_status(data, _GitFiles(execution, output.path).status)
            except (ValueError, OSError) as error:
                raise Unknowable(Reason.UNSUPPORTED, f"git's index: {error}") from error
            outputs[number] = Output(
                *(output.kind, output.path, output.mode, self._blobs.put_bytes(stored)),
                *(output.mtime_ns, output.extents),
            )
        return outcome.with_outputs(tuple(outputs))

    def note(self, execution: Execution) -> None:
        """The same for one without a record, whose caller may use what it has written."""
        data = _written(execution.chunks)
        if data is None or data:
            self._prepare(execution, set())
            found = _Found(set(), set(), data is None)
            if data is not None:
                found.exact, found.loose = self._embedded.find(data)
            self._depend(execution, found, set(), set(), set())

    def _prepare(self, execution: Execution, more: set[int]) -> None:
        self._embedded.add(self._context.mtimes)
        self._context.mtimes.clear()
        self._embedded.add(more)
        self._embedded.add(set(_moved_times(execution).values()))
        environment = bytes(execution.arguments[execution.argv_size :])
        at = (b"\0" + environment).find(b"\0TZ=")
        if at >= 0:
            self._embedded.add_zone(environment[at + 3 :].partition(b"\0")[0])

    def _find(self, digest: bytes, changed: int, place: bytes = b"") -> _Found:
        """Times in a content that was last changed then (CLOCK_MONOTONIC ns): only what had been
        looked at before can be in it.  `place`: the path of a file that has it."""
        known = self._searched.get(digest)
        if known is not None and known[0] >= changed:
            return known[1]
        data = self._content(digest)
        if data is None:
            return _Found(set(), set(), True)
        if not place.endswith(git_index.PLACE) and git_index.is_index(git_index.PLACE, data):
            evidence = "git's index, which holds inode numbers, elsewhere than in a work tree"
            raise Unknowable(Reason.UNSUPPORTED, evidence)
        found = _Found(*self._embedded.find(data))
        self._searched[digest] = (changed, found)
        return found

    def _content(self, digest: bytes) -> bytes | None:
        """None if it is too large to be searched."""
        data = self._blobs.small(digest)
        if data is None and self._blobs.objects.size(digest) <= LARGEST:
            data = self._blobs.objects.read(digest)
        return data

    def _depend(
        self,
        execution: Execution,
        found: _Found,
        given_ns: set[int],
        copied_ns: set[int],
        made: set[int],
    ) -> None:
        """Of the inputs whose times were found or given, these are facts.

        `copied_ns`: those given that may be times of what was moved and that nobody looked at.
        `made`: the seconds in which outputs were changed.  Directories such as /tmp often are in
        the same ones.
        """
        if not (found.loose or given_ns or found.everything):
            return
        observed: list[tuple[Key, Observation]] = []
        for (kind, path), observation in execution.inputs.items():
            times = TIMES_OF.get(kind)
            stamp = None if times is None else _status_before(execution, observation)
            if stamp is None or times is None:
                continue
            ns = stamp.st_mtime_ns
            if S_ISREG(stamp.st_mode):
                held = found.everything or (
                    ns in found.loose and (ns in found.exact or not self._is_now(execution, ns))
                )
            else:
                held = ns in found.exact and ns // _SECOND_NS not in made
            if held or any(_is_copy(one, ns) for one in given_ns):
                noted = Observation(observation.ts, observation.name, times_value(stamp))
                observed.append(((times, path), noted))
        for name, ns in _moved_times(execution).items():
            if found.everything or ns in found.exact or any(_is_copy(one, ns) for one in copied_ns):
                value = execution.moved_times[name]
                observed.append(((Kind.TIMES, name), Observation(execution.image, name, value)))
        if observed:
            execution.observe_times(observed)

    def _is_now(self, execution: Execution, ns: int) -> bool:
        """Whether a time found in whole seconds may as well be that of the run, which is no input:
        a program that prints the date, of a file that has just been made."""
        began = self._clock.realtime(execution.image) // _SECOND_NS
        ended = self._clock.realtime(execution.end or execution.image) // _SECOND_NS
        return began <= ns // _SECOND_NS <= ended

    def _input_times(self, execution: Execution) -> set[int]:
        """Those from before the execution: not of directories in which it had made something."""
        entered = execution.entered()
        found = {
            stamp.st_mtime_ns
            for (kind, _), observation in execution.inputs.items()
            if kind in TIMES_OF
            and not entered.get(observation.name, observation.ts) < observation.ts
            and (stamp := _status_before(execution, observation)) is not None
        }
        return found.union(_moved_times(execution).values())

    def _renewed(self, execution: Execution, outcome: Outcome, inputs: set[int]) -> Outcome:
        """With a time of its own for what was given one of the present, such as that of a directory
        in which the execution had made something."""
        times = {
            output.path: NOW if output.kind == b"m" else FRESH
            for output in outcome.outputs
            if output.mtime_ns >= 0
            and self._is_now(execution, output.mtime_ns)
            and not any(_is_copy(output.mtime_ns, ns) for ns in inputs)
        }
        return _timed(outcome, times) if times else outcome

    def _guard(self, execution: Execution, earliest: int, holder: bytes) -> None:
        """What is older than the outputs must be so when they get the times they had: else who
        compares them would do something else than after a plain run."""
        times: dict[bytes, int] = {}
        for (kind, path), observation in execution.inputs.items():
            if kind not in (Kind.CONTENT, Kind.LCONTENT) or pseudo.is_pseudo(observation.name):
                continue
            mtime = _mtime_of(path, observation)
            if mtime is not None and not execution.times_are_ours(observation.name, observation.ts):
                own = path != observation.name and leads_through(path, execution.changes)
                times[observation.name if own else path] = mtime
                if mtime > earliest:
                    evidence = f"{text(holder)} holds times of outputs, and {text(path)} is newer"
                    raise Unknowable(Reason.UNSUPPORTED, evidence)
        if times:
            key = Kind.NOT_NEWER, not_newer_path(earliest, sorted(times))
            value = not_newer_value(earliest, times.values())
            execution.inputs[key] = Observation(execution.image, b"", value)


def _status_before(execution: Execution, observation: Observation) -> Stamp | os.stat_result | None:
    """What was seen of an input, or is there now if the execution has not changed that."""
    if observation.stamp is None and observation.name in execution.changes:
        return None
    return seen_status(observation)


def _moved_times(execution: Execution) -> dict[bytes, int]:
    """Those of files that were moved, and which nobody may have looked at, by former names."""
    return {
        name: int(value[1:].partition(b" ")[0]) for name, value in execution.moved_times.items()
    }


class _GitFiles:
    """Those that an execution has looked at, of the work tree whose index it has made."""

    def __init__(self, execution: Execution, index: bytes) -> None:
        """Raises ValueError if there was an index before, which may have told of others."""
        observed = [
            (observation.name, observation.value)
            for (kind, _), observation in execution.inputs.items()
            if kind in (Kind.CONTENT, Kind.LCONTENT)
        ]
        if any(name == index and value != ABSENT for name, value in observed):
            raise ValueError("it was there before")
        self._tree = index.removesuffix(git_index.PLACE) + b"/"
        self._known = {name for name, _ in observed} | execution.changes.keys()

    def status(self, name: bytes) -> os.stat_result:
        """lstat(2) of a file by its name in the index."""
        if self._tree + name not in self._known:
            raise ValueError(f"{name!r} was not looked at")
        return os.lstat(self._tree + name)


def _is_copy(given_ns: int, ns: int) -> bool:
    """Whether a time may have been made of another one, in the precision that it has."""
    near = _SECOND_NS if given_ns % _SECOND_NS == 0 else _MICROSECOND_NS
    return abs(given_ns - ns) <= near


def _is_fresh(output: Output) -> bool:
    if output.kind == b"m":
        return output.mtime_ns == NOW
    """Whether it has a time of its own that nobody has given it: a name has none."""
    return output.mtime_ns == FRESH and output.kind != b"h"


def _shared(outcome: Outcome, fresh: dict[bytes, int], inputs: set[int]) -> Outcome:
    """With one time for an output and those that were given the time of it."""
    sources = [
        {ns // unit * unit: path for path, ns in reversed(fresh.items())} for unit in UNITS_NS
    ]
    groups: dict[bytes, int] = {}
    times: dict[bytes, int] = {}
    for output in outcome.outputs:
        if output.mtime_ns < 0 or output.mtime_ns in inputs:
            continue
        for unit, paths in enumerate(sources):
            source = paths.get(output.mtime_ns)
            if source is not None and unit and any(_is_copy(output.mtime_ns, ns) for ns in inputs):
                break  # of the same second as an input's, which is a fact then
            if source is not None:
                group = groups.setdefault(source, len(groups))
                times[source] = shared_time(group, 0)
                times[output.path] = shared_time(group, unit)
                break
    return _timed(outcome, times) if times else outcome


def _timed(outcome: Outcome, times: dict[bytes, int]) -> Outcome:
    outputs = [
        Output(
            output.kind,
            output.path,
            output.mode,
            output.content,
            times.get(output.path, output.mtime_ns),
            output.extents,
        )
        for output in outcome.outputs
    ]
    return outcome.with_outputs(tuple(outputs))


def _mtime_of(path: bytes, observation: Observation) -> int | None:
    """When an input was last changed; None of what is no regular file.  Raises Unknowable."""
    stamp, value = observation.stamp, observation.value
    if stamp is not None:
        return stamp.st_mtime_ns if S_ISREG(stamp.st_mode) else None
    if value is not None and not value.startswith(b"f"):
        return None
    try:
        status = os.stat(path)
    except OSError as error:
        raise gone(error, path) from error
    return status.st_mtime_ns if S_ISREG(status.st_mode) else None


def _written(chunks: list[Chunk]) -> bytes | None:
    """All bytes of the streams; None if they are too many."""
    if sum(chunk.length for chunk in chunks) > LARGEST:
        return None
    return b"".join([os.pread(chunk.source, chunk.length, chunk.offset) for chunk in chunks])
