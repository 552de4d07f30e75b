"""An execution that was replayed while its caller was being recorded.

The probes see it start and end and nothing in between.  What it depended on and what it did stand
in the record that was replayed: they enter the executions that contain it as if it had run.
"""

from __future__ import annotations

import posixpath

from pcache.linux.descriptors import descriptor_trait_of, is_of_environment
from pcache.model import (
    APPENDING,
    FRESH,
    PATHLESS,
    PREFIXED,
    SERIES,
    Key,
    Kind,
    Outcome,
    Output,
    Reason,
)
from pcache.model import NOW as TOUCHED
from pcache.observe import births, pseudo
from pcache.observe.accesses.context import Context
from pcache.observe.accesses.descriptors import depend_on_end
from pcache.observe.accesses.event import Process
from pcache.observe.accesses.numbers import (
    depend_on_absent,
    depend_on_numbers,
    depend_on_one,
    depend_on_open,
    depend_on_trait,
)
from pcache.observe.accesses.start import depend_on_start, observe_trait
from pcache.observe.changes import (
    ATTRIBUTES,
    CREATED,
    DT_DIR,
    DT_LNK,
    DT_REG,
    GIVEN,
    NOW,
    REMOVED,
    REPLACED,
    UNTOUCHED,
)
from pcache.observe.chunks import Chunk, PipeInput
from pcache.observe.executions import TIMED, Execution
from pcache.observe.names import Names
from pcache.observe.observations import Observation
from pcache.observe.shells import depend_on_variable
from pcache.settings.numbered import number_of, numbers_in, series_of
from pcache.wording import text

_HOW = {b"-": REMOVED, b"m": ATTRIBUTES}
_TIMES = {FRESH: UNTOUCHED, TOUCHED: NOW}
_OF_DESCRIPTORS = (Kind.FD, Kind.PIPE, Kind.INPUT, Kind.INPUT_TIMES)
_FOLLOWING = frozenset(
    (
        *(Kind.CONTENT, Kind.EXISTS, Kind.SIZE, Kind.NOT_DIRECTORY, Kind.XATTRS, Kind.LOADER),
        *(Kind.READABLE, Kind.WRITABLE, Kind.EXECUTABLE),
    )
)
_OF_ENTRIES = (Kind.LISTING, Kind.NAMES, Kind.OTHERS)
_OF_THE_FILE = (Kind.PLAIN, Kind.UNLOCKED)
_NOT_BY_KEY = frozenset(
    (
        *(*_OF_DESCRIPTORS, *TIMED, *_OF_ENTRIES, *_OF_THE_FILE),
        *(Kind.TRAIT, Kind.STREAM, Kind.ONE, Kind.NUMBERED),
    )
)
"""Kinds that concern each of the executions that contain a hit in a way of its own."""


class Replayed:
    """A hit: what held when it was decided, and what it put in place; times in CLOCK_MONOTONIC ns.

    `data` and `offset`: an open file and where in it the bytes of the outcome's streams lie.
    """

    def __init__(
        self,
        keys: tuple[Key, ...],
        values: list[bytes],
        outcome: Outcome,
        existed: dict[bytes, int],
        listed: dict[bytes, frozenset[tuple[bytes, int]]],
        began: int,
        ended: int,
        data: int,
        offset: int,
    ) -> None:
        self.keys = keys
        self.values = values
        """What held: one value for each of `keys`."""
        self.outcome = outcome
        self.existed = existed
        """Those of the outcome's paths that were there before it was applied -> d_type."""
        self.listed = listed
        """Directories that the facts are about -> their entries (name, d_type)."""
        self.began = began
        self.ended = ended
        self.data = data
        self.offset = offset

    def enter(self, execution: Execution, process: Process, context: Context) -> None:
        """Puts the record in the place of the observations the execution did not make."""
        execution.replayed = True
        parent, names, began = execution.parent, context.names, self.began
        inputs = {} if parent is None else parent.inputs
        covering = execution.covering
        for key, value in zip(self.keys, self.values, strict=True):
            if key[0] in _OF_ENTRIES:
                context.numbered.list(execution, key[1].rpartition(b":")[2])
            # Most of what a program depends on, such as the C library, others beside it did too.
            known = inputs.get(key)
            if (
                known is not None
                and known.value == value
                and known.opened
                and known.ts <= began
                and key[0] not in _NOT_BY_KEY
                and known.name == self._name(key, names)
            ):
                covering.append(known)
            else:
                self._depend(execution, process, key, value, names)
        moved = {
            output.path: {at: at.origin(output.content, self.ended) for at in execution.chain()}
            for output in self.outcome.outputs
            if output.kind == b"r"
        }
        for output in sorted(self.outcome.outputs, key=_path):
            if output.kind == b"d" and output.path not in self.existed:
                context.grown.put(output.path, DT_DIR)
                context.grown.made(output.path)
                context.numbered.make(execution, output.path)
        for output in self.outcome.outputs:
            if output.kind in (b"r", b"h"):
                births.moved(execution, self.ended, output.content, output.path)
            if output.kind == b"t":
                for at in execution.chain():
                    at.touched[output.path] = self.ended
                continue
            if output.kind == SERIES:
                self._remove_numbered(execution, output, context)
                continue
            how = REPLACED if output.path in self.existed else CREATED
            if output.kind in _HOW:
                how = _HOW[output.kind]
            in_place = output.kind == b"w"
            if how == REMOVED and output.path not in self.existed:
                execution.change(output.path, self.ended, CREATED, in_place=True)
            execution.change(
                output.path, self.ended, how, directory=output.kind == b"d", in_place=in_place
            )
            self._change(output, context)
            for at in execution.chain():
                change = at.changes[output.path]
                change.times = _TIMES.get(output.mtime_ns, GIVEN)
                if change.first == self.ended:
                    change.was = self.existed.get(output.path, 0)
                if output.kind == b"r":
                    change.times = GIVEN
                    change.origin, as_it_was = moved[output.path][at]
                    change.moved = self.ended if as_it_was else 0
        for output in self.outcome.outputs:
            for at in execution.chain() if output.kind == b"h" else ():
                at.changes[output.path].origin = at.origin(output.content, self.ended)[0]
        for fd, offset in self.outcome.offsets:
            if offset == APPENDING:
                self._left_appending(execution, fd)
        at_byte = self.offset
        for fd, length in self.outcome.chunks:
            self._write(execution, fd, at_byte, length)
            at_byte += length

    def _remove_numbered(self, execution: Execution, output: Output, context: Context) -> None:
        """Enters which of the directories of a series were removed."""
        upto = numbers_in(output)[2]
        beginning = posixpath.basename(output.path)
        listed = [
            self.listed.get(path, ()) for kind, path in self.keys if _is_of(output, kind, path)
        ]
        for leaf in sorted({leaf for entries in listed for leaf, _ in entries}):
            number = number_of(leaf, beginning)
            if number is not None and number <= upto:
                name = posixpath.join(posixpath.dirname(output.path), leaf)
                execution.change(name, self.ended, REMOVED, directory=True)
                context.history.add(name, self.ended, attributes=False)
                context.history.removed(name, self.ended)
                context.names.forget(name, self.ended, free=False)
                context.grown.gone(name)

    @staticmethod
    def _name(key: Key, names: Names) -> bytes:
        """Canonical name of what a key is about."""
        kind, path = key
        if kind in PATHLESS:
            return b""
        if kind in PREFIXED:
            path = path.partition(b":")[2]
        return names.canonical_again(path, follow=kind in _FOLLOWING)

    def _depend(
        self, execution: Execution, process: Process, key: Key, value: bytes, names: Names
    ) -> None:
        """Enters one fact."""
        kind, path = key
        if kind == Kind.ONE:
            return  # each execution finds that out of all its own files
        if kind == Kind.NUMBERED:
            place = series_of(path).place
            directory = posixpath.dirname(place)
            entries = self.listed.get(path)
            if entries is None:
                execution.problem_throughout(Reason.INPUT_CHANGED, text(place))
            execution.observe((kind, place), Observation(self.began, directory, entries=entries))
            return
        if kind in _OF_DESCRIPTORS:
            self._depend_on_descriptor(execution, kind, int(path), value)
        elif kind == Kind.STREAM:
            _refuse_stream(execution, path)
        elif kind in TIMED:
            self._depend_on_times(execution, key, value, names)
        elif kind == Kind.TRAIT and (about := descriptor_trait_of(path)) is not None:
            self._depend_on_descriptor_trait(execution, value, *about)
        elif kind == Kind.TRAIT and is_of_environment(path):
            depend_on_variable(self.began, execution, path)
        elif kind == Kind.TRAIT and not depend_on_start(self.began, execution, path):
            setter, _ = process.set_by.get(path, (None, None))
            observe_trait(execution, self.began, path, value, setter)
        elif kind != Kind.TRAIT:
            name = self._name(key, names)
            if kind in _OF_THE_FILE:
                prefix = path.partition(b":")[0] + b":" if kind in PREFIXED else b""
                execution.assume(kind, name, self.began, value, prefix)
            observation = Observation(self.began, name, value, opened=True)
            if kind in _OF_ENTRIES and value.startswith(b"L"):
                # Of those some may be of the caller's making, which the value does not tell.
                observation.value = None
                observation.entries = self.listed.get(path)
                if observation.entries is None:
                    execution.problem_throughout(
                        Reason.INPUT_CHANGED,
                        f"{text(path)}, listed by a hit",
                    )
            execution.observe(key, observation)

    def _change(self, output: Output, context: Context) -> None:
        """What is known of an output's path is that of another file now."""
        path, only_attributes = output.path, output.kind == b"m"
        context.history.add(path, self.ended, attributes=only_attributes)
        if only_attributes:
            return
        context.history.removed(path, self.ended)
        context.captured.gone(path)
        context.hard_links.remove(self.ended, path)
        context.names.forget(path, self.ended, free=False)
        if output.kind == b"-":
            context.grown.gone(path)
        elif output.kind != b"d":
            context.grown.put(path, DT_LNK if output.kind == b"l" else DT_REG)
        if output.kind == b"l":
            context.names.link(path, output.content, self.ended)
        elif output.kind == b"h":
            context.hard_links.add(self.ended, path, output.content)

    def _write(self, execution: Execution, fd: int, offset: int, length: int) -> None:
        """Bytes written to a descriptor are part of the streams of all who inherited it."""
        file = _description(execution, fd)
        for at in execution.chain():
            same = at.descriptors.get(file, [])
            numbers = [descriptor.fd for descriptor in same]
            if numbers and not pseudo.is_null(same[0].stamp):
                # As in accesses/streams.py: not stdin, if there is another one.
                number = numbers[1] if numbers[0] == 0 and len(numbers) > 1 else numbers[0]
                depend_on_one(self.began, at, number, written=True)
                at.chunks.append(Chunk(number, self.data, offset, length))

    def _left_appending(self, execution: Execution, fd: int) -> None:
        """A descriptor of a hit was left with O_APPEND, and so was that of all who handed it on."""
        file = _description(execution, fd)
        for at in execution.chain():
            for one in at.descriptors.get(file, [])[:1]:
                depend_on_end(self.began, at, one.fd)
                at.appending.add(one.fd)

    def _depend_on_times(self, execution: Execution, key: Key, value: bytes, names: Names) -> None:
        kind, path = key
        name = b""
        if kind in (Kind.TIMES, Kind.LTIMES, Kind.VERSION, Kind.LVERSION):
            name = names.canonical(path, follow=kind in (Kind.TIMES, Kind.VERSION))
        execution.observe_times([(key, Observation(self.began, name, value))])

    def _depend_on_descriptor(
        self, execution: Execution, kind: bytes, fd: int, value: bytes
    ) -> None:
        if value == b"closed":
            depend_on_absent(self.began, execution, fd)
            return
        file = _description(execution, fd)
        for at in execution.chain():
            same = at.descriptors.get(file)
            if same is None:
                continue
            if kind in (Kind.INPUT, Kind.INPUT_TIMES):
                at.problem(Reason.FOREIGN_INPUT, f"descriptor {fd}, read by a replayed execution")
            elif kind == Kind.PIPE and at is not execution:
                pipe = at.pipes.get(file)
                if pipe is None:
                    pipe = at.pipes[file] = PipeInput(same[0].fd, self.began, 0)
                pipe.brought_back(value, self.began)
            else:
                depend_on_numbers(self.began, at, same[0].fd, fd)

    def _depend_on_descriptor_trait(
        self, execution: Execution, value: bytes, what: bytes, fd: int
    ) -> None:
        if what == b"open":
            for at in execution.chain():
                depend_on_open(self.began, at)
            return
        if what == b"one":  # who handed them on depends on what is written to them, or asked
            depend_on_one(self.began, execution, fd)
            return
        file = _description(execution, fd)
        for at in execution.chain():
            numbers = [one.fd for one in at.descriptors.get(file, ())]
            if numbers:
                number = fd if fd in numbers else numbers[0]
                depend_on_trait(self.began, at, what, number, value)


def _is_of(output: Output, kind: bytes, path: bytes) -> bool:
    """Whether a key is about the series that an output is of."""
    return kind == Kind.NUMBERED and series_of(path).place == output.path


def _path(output: Output) -> bytes:
    return output.path


def _refuse_stream(execution: Execution, path: bytes) -> None:
    """It has found its output among its inputs: so have those who handed it that."""
    number, _, name = path.partition(b":")
    file = _description(execution, int(number))
    for at in execution.chain():
        if file in at.descriptors:
            at.problem(Reason.UNSUPPORTED, f"{text(name)}, which a hit also wrote to")


def _description(execution: Execution, fd: int) -> int:
    """Which open file description a descriptor of the execution is; 0 for none."""
    for file, same in execution.descriptors.items():
        if any(descriptor.fd == fd for descriptor in same):
            return file
    return 0
