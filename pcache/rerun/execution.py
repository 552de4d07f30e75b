"""One stored call executed again, where that is possible."""

from __future__ import annotations

import os
import signal

from pcache.counters import Counters
from pcache.enforce import spawn, syscalls
from pcache.linux import signal_sets
from pcache.linux.descriptors import ONE, OwnFds, descriptor_trait_of
from pcache.memo.facts import Facts
from pcache.model import APPENDING, SERIES, Call, Fact, Kind, Outcome
from pcache.rerun.comparison import files_difference, streams_difference
from pcache.rerun.descriptors import CannotMake, Descriptors
from pcache.rerun.scratch import Scratch
from pcache.store.blobs import Blobs
from pcache.store.digests import DigestCache
from pcache.values import ABSENT
from pcache.wording import text

_LEAST_SECONDS = 60.0
_TIMES_AS_LONG = 20


class Why:
    """Why an outcome cannot be had again: the closed list.  The values are what users read."""

    CHANGED = "its inputs are not as they were"
    SETTINGS = "it was recorded under other settings or in a sandbox"
    SECRET = "a secret of its environment is not kept"
    USER = "it was recorded for another user or group"
    DESCRIPTOR = "it uses a descriptor that cannot be made again"
    READS = "it reads from a descriptor, and what came from it is not kept"
    PLACE = "it changes a place that cannot be copied"
    DIRECTORY = "it renames a directory, which an overlay cannot"
    SCRATCH = "no scratch copy can be made here"
    SLOW = "it took too long"


class CannotRerun(Exception):
    """`reason` is one of `Why`; `evidence` says what of it."""

    def __init__(self, reason: str, evidence: str = "") -> None:
        super().__init__(f"{reason}: {evidence}" if evidence else reason)
        self.reason = reason
        self.evidence = evidence


def rerun(call: Call, facts: list[Fact], outcome: Outcome, folder: bytes, blobs: Blobs) -> str:
    """Executes a call in a scratch copy; what it did otherwise than recorded, else empty.

    Of its inputs, `facts`, those that are `in_copy` are still to be looked at there.
    `folder` is a directory to work in.  Raises CannotRerun, OSError and StoreError.
    """
    kinds = _descriptor_kinds(call, facts)
    _check_outcome(outcome)
    try:
        scratch = Scratch(folder)
    except OSError as error:
        raise CannotRerun(Why.SCRATCH, str(error)) from error
    with scratch:
        for output in outcome.outputs:
            if not scratch.covers(output.path):
                raise CannotRerun(Why.PLACE, text(output.path))
            scratch.prepare(output.path)
        try:
            descriptors = Descriptors(kinds, _statuses(facts))
        except CannotMake as error:
            raise CannotRerun(Why.DESCRIPTOR, str(error)) from error
        try:
            seconds = max(_LEAST_SECONDS, _TIMES_AS_LONG * outcome.wall_ns / 1e9)
            status, written = _run(_Child(call, facts, outcome, scratch, descriptors), seconds)
        finally:
            descriptors.close()
        if status & ~0x80 != outcome.status:
            return f"exit status ({outcome.status:#x}, {status:#x})"
        return files_difference(outcome, scratch) or streams_difference(outcome, written, blobs)


def in_copy(fact: Fact, outcome: Outcome) -> bool:
    """Whether a fact has to hold in the copy only: it is about what that is handed down, such as
    descriptors, which are made for it, or about what its own outputs may have changed, which are
    not there."""
    if fact.kind in (Kind.FD, Kind.PIPE, Kind.INPUT, Kind.INPUT_TIMES, Kind.TRAIT):
        return True
    if fact.kind in (Kind.LISTING, Kind.NAMES, Kind.OTHERS):
        path = fact.path.partition(b":")[2] if fact.kind == Kind.OTHERS else fact.path
        return any(os.path.dirname(output.path) == path for output in outcome.outputs)
    return fact.value == ABSENT and any(output.path == fact.path for output in outcome.outputs)


def _statuses(facts: list[Fact]) -> dict[int, bytes]:
    """What files to write to were, by number, where that was looked at."""
    traits = [fact for fact in facts if fact.kind == Kind.TRAIT]
    found = [(descriptor_trait_of(fact.path), fact.value) for fact in traits]
    return {about[1]: value for about, value in found if about and about[0] == b"status"}


def _descriptor_kinds(call: Call, facts: list[Fact]) -> tuple[bytes, ...]:
    """Kinds of descriptors 0-2: what these were is among the facts, if it made a difference; else
    they may be as in another record of the call."""
    kinds = [b"null", *call.fds[1:]]
    one = kinds[2] == b"=1"
    if one:
        kinds[2] = kinds[1]
    for fact in facts:
        if fact.kind in (Kind.PIPE, Kind.INPUT):
            raise CannotRerun(Why.READS, f"descriptor {os.fsdecode(fact.path)}")
        if fact.kind == Kind.STREAM:
            raise CannotRerun(Why.DESCRIPTOR, os.fsdecode(fact.path.partition(b":")[0]))
        about = descriptor_trait_of(fact.path) if fact.kind == Kind.TRAIT else None
        if about is not None and about[0] == b"one":
            one = fact.value == ONE
        elif about is not None and about[0] == b"tty" and kinds[about[1]] == b"tty":
            kinds[about[1]] = b"pipe"
        elif fact.kind == Kind.FD and fact.path in (b"0", b"1", b"2"):
            kinds[int(fact.path)] = fact.value
        elif fact.kind == Kind.FD and fact.value != b"closed":
            raise CannotRerun(Why.DESCRIPTOR, os.fsdecode(fact.path))
    if one:
        if any((fact.kind, fact.path) == (Kind.FD, b"2") for fact in facts):
            kinds[1] = kinds[2]
        kinds[2] = b"=1"
    return tuple(kinds)


def _check_outcome(outcome: Outcome) -> None:
    if any(offset != APPENDING for _, offset in outcome.offsets):
        raise CannotRerun(Why.READS)
    for number, _ in outcome.chunks:
        if number not in (1, 2):
            raise CannotRerun(Why.DESCRIPTOR, str(number))
    if any(output.kind == SERIES for output in outcome.outputs):
        raise CannotRerun(Why.DIRECTORY)
    made = any(output.kind == b"d" for output in outcome.outputs)
    for output in outcome.outputs:
        if made and output.kind == b"-" and os.path.isdir(output.path):
            raise CannotRerun(Why.DIRECTORY)


def _run(child: _Child, seconds: float) -> tuple[int, dict[int, bytes]]:
    """Starts the child and waits for it: its wait status, and what it wrote."""
    report, reporter = os.pipe()
    pid = os.fork()
    if pid == 0:
        child.become(reporter)
    os.close(reporter)
    try:
        os.setpgid(pid, pid)
    except (PermissionError, ProcessLookupError):
        pass  # it has done so itself by now
    with open(report, "rb", buffering=0) as file:
        told = file.readall()
    if told:
        os.waitpid(pid, 0)
        reason, _, evidence = told.decode(errors="backslashreplace").partition("\n")
        raise CannotRerun(reason, evidence)
    done = child.descriptors.collect(pid, seconds)
    if done is None:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise CannotRerun(Why.SLOW, f"more than {seconds:.0f} s")
    return done


class _Child:
    """What the forked process does: enter the copy, look whether the inputs hold there, execute."""

    def __init__(
        self,
        call: Call,
        facts: list[Fact],
        outcome: Outcome,
        scratch: Scratch,
        descriptors: Descriptors,
    ) -> None:
        self.descriptors = descriptors
        self._call = call
        self._facts = facts
        self._outcome = outcome
        self._scratch = scratch

    def become(self, reporter: int) -> None:
        """Never returns."""
        try:
            os.setpgid(0, 0)
            syscalls.die_with_parent()
            try:
                self._scratch.enter()
            except OSError as error:
                raise CannotRerun(Why.SCRATCH, str(error)) from error
            self.descriptors.install()
            self._make_absent()
            self._check_facts()
            os.chdir(self._call.cwd)
            os.umask(self._call.umask)
            for number in signal_sets.numbers(self._call.ignored):
                signal.signal(number, signal.SIG_IGN)
            syscalls.forbid_core(0)
            call = self._call
            # What interprets a script learns its own arguments only.
            is_script = call.filename in call.argv[1:]
            program = call.executable if is_script else call.filename
            spawn.execute(spawn.Command(program, call.argv, call.env))
        except CannotRerun as error:
            told = str(error).replace(": ", "\n", 1)
        except Exception as error:
            told = f"{Why.CHANGED}\n{error}"
        os.write(reporter, os.fsencode(told))
        os._exit(126)

    def _make_absent(self) -> None:
        """Takes away outputs that were not there before, and are now because it ran."""
        absent = {fact.path for fact in self._facts if fact.value == ABSENT}
        for output in self._outcome.outputs:
            if output.path in absent and output.kind != b"d" and os.path.lexists(output.path):
                os.unlink(output.path)

    def _check_facts(self) -> None:
        facts = Facts(
            DigestCache(None, Counters()), OwnFds(self._call.env), Counters(), self._call.uid
        )
        for fact in self._facts:
            if in_copy(fact, self._outcome) and facts.evaluate(fact.kind, fact.path) != fact.value:
                raise CannotRerun(Why.CHANGED, text(fact.path))
