"""What works on temporary files that others of the tree have made, and named at random.

It is recorded with stand-ins for such names (`pcache.settings.stand_ins`), where those are in its
arguments or its directory, and in nothing that it printed, wrote or, of what the tree made, read.
"""

from __future__ import annotations

import os
import posixpath

from xxhash import xxh3_128

from pcache.errors import DamagedBlob
from pcache.model import Digest, Kind, Outcome, Reason, Record
from pcache.observe.accesses.context import Context
from pcache.observe.changes import CREATED
from pcache.observe.conditions.unknowable import Unknowable
from pcache.observe.executions import Execution
from pcache.pattern import Pattern
from pcache.settings.defaults import PARALLEL
from pcache.settings.stand_ins import (
    TEMPORARY_DIRECTORIES,
    StandIns,
    given_names,
    is_blind,
    is_driver,
    stand_ins,
)
from pcache.store.blobs import Blobs
from pcache.store.objects import pieces
from pcache.values import content_of
from pcache.wording import text

_CONTENTS = (Kind.CONTENT, Kind.LCONTENT)
_REGULAR = b"f"
_UNNAMED = (Kind.PIPE, Kind.INPUT, Kind.ORDER, Kind.NOT_NEWER, Kind.BASE)
"""Kinds of facts in which a name may be that is not found there."""
_SOURCES = (b".c", b".cc", b".cpp", b".cxx", b".C", b".m", b".f", b".f90", b".s", b".S")
_SEVERAL = 2
_COMPRESSING = (b"-flto", b"-gz", b"--compress-debug", b"-Wa,", b"@")
"""Options by which a name could be in an output, or be one of the arguments, and not show."""
_CALLER = tuple([name + b"=" for name in PARALLEL])
_DIGITS = b"0123456789"
_LONGEST_NUMBER = 20


class PrivateNames:
    """Those of one recording."""

    def __init__(self, context: Context, blobs: Blobs) -> None:
        self._context = context
        self._blobs = blobs
        self._given = given_names()

    def judge(self, execution: Execution) -> StandIns | None:
        """What is to stand for the names in the call of an execution that has ended.  It is noted
        as a problem where it works on temporary files of its caller and nothing can."""
        context = self._context
        if not context.made_up_names and not context.temporaries:
            return None
        found = stand_ins(tuple(execution.argv()), execution.cwd or b"", self._given)
        if found is not None and not self._are_known(execution, found):
            found = None
        touched = self._touched(execution)
        if found is not None and touched:
            found = found if _is_asked_again(execution) else None
        for name in touched:
            if found is None or found.hide(name) == name:
                execution.problem(Reason.PRIVATE_TEMPORARY, text(name))
        return found

    def _are_known(self, execution: Execution, found: StandIns) -> bool:
        """Whether all were made up by what contains the execution, before it began."""
        for one in found.stems:
            made = self._context.made_up_names.maker(one)
            if made is None or made[1] > execution.image or _is_its_own(execution, made[0]):
                return False
        return True

    def _touched(self, execution: Execution) -> list[bytes]:
        """Temporary files of others that the execution used."""
        temporaries = self._context.temporaries
        if not temporaries:
            return []
        names = {observation.name for observation in execution.inputs.values()}
        return [
            name
            for name in sorted(temporaries & (names | execution.changes.keys()))
            if posixpath.dirname(name) in TEMPORARY_DIRECTORIES and not _is_its_own(execution, name)
        ]

    def refuse_shown(self, record: Record, found: StandIns) -> None:
        """Raises Unknowable if a name is where nothing can stand for it."""
        where = self._shown(record, found)
        if where:
            raise Unknowable(Reason.PRIVATE_TEMPORARY, f"{text(found.stems[0])} shows in {where}")

    def _shown(self, record: Record, found: StandIns) -> str:
        """Where a name is that nothing can stand for; empty if nowhere."""
        names = found.stems
        for fact in record.facts:
            if fact.kind in _UNNAMED:
                return "an input"
            hidden = found.hide_value(fact.kind, fact.value)
            if any(name in hidden for name in names):
                return text(fact.path)
            digest = content_of(fact.value) if fact.kind in _CONTENTS else b""
            if (
                digest
                and fact.value.startswith(_REGULAR)
                and self._context.history.knows(fact.path)
                and self._in_file(fact.path, digest, names)
            ):
                return text(fact.path)
        return self._in_outcome(record.outcome, names)

    def refuse_printed(self, record: Record, names: tuple[bytes, ...]) -> None:
        """Raises Unknowable if one of these is in something that was printed or written, or the
        number that one ends with by itself in something that was printed."""
        outcome = record.outcome
        where = self._in_outcome(outcome, names, links=False)
        if not where and outcome.data and self._is_number_in(outcome.data, names):
            where = "what it printed"
        if where:
            raise Unknowable(Reason.PRIVATE_TEMPORARY, f"{text(names[0])} shows in {where}")

    def refuse_caller(self, record: Record) -> None:
        """Raises Unknowable if something shows that GNU parallel has made up for the environment,
        where it is no part of the call."""
        told = [one for one in record.call.env if one.startswith(_CALLER)]
        if not told:
            return
        alone = _alone(*(posixpath.basename(one.partition(b"=")[2]) for one in told))
        outcome = record.outcome
        names = [one for fact in record.facts for one in (fact.path, fact.value)]
        names += [one for output in outcome.outputs for one in (output.path, output.content)]
        digests = [one.content for one in outcome.outputs if one.kind in (b"f", b"w")]
        if any(map(alone.search, names)) or any(
            self._matches(one, alone) for one in (*digests, outcome.data) if one
        ):
            raise Unknowable(Reason.UNSUPPORTED, f"it shows {text(b' or '.join(told))}")

    def _is_number_in(self, digest: Digest, names: tuple[bytes, ...]) -> bool:
        """Whether the number of one of them is there by itself; also if that cannot be told."""
        return self._matches(digest, _alone(*(name[len(name.rstrip(_DIGITS)) :] for name in names)))

    def _matches(self, digest: Digest, alone: Pattern) -> bool:
        try:
            fd = self._blobs.open(digest)
        except (OSError, DamagedBlob):
            return True
        try:
            end = b""
            for piece in pieces(fd):
                if alone.search(end + piece):
                    return True
                end = bytes(piece[-_LONGEST_NUMBER:])
        finally:
            os.close(fd)
        return False

    def _in_outcome(self, outcome: Outcome, names: tuple[bytes, ...], links: bool = True) -> str:
        for output in outcome.outputs:
            if links and output.kind == b"l" and any(name in output.content for name in names):
                return text(output.path)
            if output.kind in (b"f", b"w") and self._in_blob(output.content, names):
                return text(output.path)
        return "what it printed" if outcome.data and self._in_blob(outcome.data, names) else ""

    def _in_file(self, path: bytes, digest: Digest, names: tuple[bytes, ...]) -> bool:
        """Whether a name is in an input; also if that cannot be told."""
        if self._blobs.has(digest):
            return self._in_blob(digest, names)
        captured = self._context.captured.at(path)
        try:
            fd = os.dup(captured.fd) if captured is not None else os.open(path, os.O_RDONLY)
        except OSError:
            return True
        try:
            state = xxh3_128()
            return _holds(fd, names, state) or state.digest() != digest
        except OSError:
            return True
        finally:
            os.close(fd)

    def _in_blob(self, digest: Digest, names: tuple[bytes, ...]) -> bool:
        try:
            fd = self._blobs.open(digest)
        except (OSError, DamagedBlob):
            return True
        try:
            return _holds(fd, names, xxh3_128())
        finally:
            os.close(fd)


def _alone(*numbers: bytes) -> Pattern:
    """One of these, and not as a part of another number."""
    from re import escape

    either = b"|".join(map(escape, numbers))
    return Pattern(rb"(?<![0-9])(?<![0-9]\.)(?:" + either + rb")(?![0-9])(?!\.[0-9])")


def is_sure(execution: Execution) -> bool:
    """Whether the names make no difference to a program, as far as they do not show; of others that
    is believed once it was seen to do the same under different ones."""
    program = execution.executable
    if not (is_blind(program) or is_driver(program)):
        return False
    return not any(word.startswith(_COMPRESSING) for word in execution.argv())


def _is_its_own(execution: Execution, name: bytes) -> bool:
    change = execution.changes.get(name)
    return change is not None and change.first_how == CREATED


def _is_asked_again(execution: Execution) -> bool:
    """Whether a program may run again although its caller's inputs have changed: what a compiler
    driver starts for its only source is in vain to be kept."""
    if not is_blind(execution.executable) or execution.parent is None:
        return True
    sources = [word for word in execution.parent.argv() if word.endswith(_SOURCES)]
    return len(sources) >= _SEVERAL


def _holds(fd: int, names: tuple[bytes, ...], state: xxh3_128) -> bool:
    """Whether a name is in a file; `state` is fed with what was searched."""
    overlap = max(map(len, names)) - 1
    end = b""
    for piece in pieces(fd):
        state.update(piece)
        searched = end + piece
        if any(name in searched for name in names):
            return True
        end = searched[-overlap:]
    return False
