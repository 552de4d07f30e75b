"""The micro benchmarks themselves."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from bench.measure import Measured
from bench.micro import scale
from bench.micro.lab import Lab, row
from bench.results import Micro, Spread
from bench.tools import Pcache

_EXECS = 300
_FACTS = (1, 50, 200)
_VERSIONS = (1, 100, 10_000)
_CALLS = 20_000
_KINDS = ("getppid", "access", "stat", "readlink", "open", "read", "create")
_READERS = 100
_HASHED_MIB = 256
_INPUTS = 1000
_TRIES = 3
_DISTINCT = (1000, 20_000)
_GOAL_RATE = 250_000


def run(work: Path, pcache: Pcache, reps: int, step: Callable[[], None]) -> Iterator[Micro]:
    """Every result, as it is taken; `step` is called STEPS times.

    Raises RuntimeError if a command fails.
    """
    lab = Lab(work, pcache, reps)
    for part in _PARTS:
        yield from part(lab)
        step()


def _per_exec(lab: Lab, run: Callable[[str], Measured]) -> Callable[[], float]:
    """Seconds of CPU for one execution: the slope between few and many, free of start-up."""

    def slope() -> float:
        few, many = run("1"), run(str(_EXECS + 1))
        return (many.cpu - few.cpu) / _EXECS * 1e6

    return slope


def _supervising(lab: Lab, run: Callable[[str], Measured]) -> Callable[[], float]:
    """The same of the supervisor alone."""

    def spent(count: int) -> float:
        run(str(count))
        return lab.counter("microseconds", "supervisor")

    return lambda: (spent(_EXECS + 1) - spent(1)) / _EXECS


def _decisions(lab: Lab) -> Iterator[Micro]:
    """What deciding an execution costs, in units of running /bin/true."""
    spawn, reader = lab.probe("spawn"), lab.probe("reader")
    inputs = lab.folder / "inputs"
    inputs.mkdir()
    for number in range(max(_FACTS)):
        (inputs / str(number)).write_text(f"input {number}\n")
    time.sleep(0.05)  # else they are too young for their digests to be remembered
    lab.forget()
    for facts in _FACTS:
        lab.trace(reader, str(inputs), str(facts))

    # And the fresh argument: with one alone, GNU true sets a locale to see whether it is --help,
    # which is a fifth of its time.
    true = ("/bin/true", "-")
    fresh = {"FRESH": "1"}

    def hits(facts: int, *options: str) -> Callable[[str], Measured]:
        def replay(count: str) -> Measured:
            done = lab.replay(spawn, count, reader, str(inputs), str(facts), options=options)
            if lab.counter("hits") != int(count):
                raise RuntimeError(f"{lab.counter('hits'):g} hits instead of {count}")
            return done

        return replay

    def missed(count: str) -> Measured:
        return lab.replay(spawn, count, *true, env=fresh)

    plain, plain_reader, miss, *rest, own_miss, own_hit = lab.interleaved(
        _per_exec(lab, lambda count: lab.plain(spawn, count, *true, env=fresh)),
        _per_exec(lab, lambda count: lab.plain(spawn, count, reader, str(inputs), "50")),
        _per_exec(lab, missed),
        *(_per_exec(lab, hits(facts)) for facts in _FACTS),
        _per_exec(lab, hits(50, "--intercept=execve")),
        _supervising(lab, missed),
        _supervising(lab, hits(50)),
    )
    base = ("fork, exec, exit of /bin/true", plain)
    name, unit = "exec decision", "us CPU"
    yield row(name, "none: /bin/true", plain, unit)
    yield row(name, "none: program that reads 50 files", plain_reader, unit, relative_to=base)
    yield row(name, "miss, unknown call", miss, unit, relative_to=base)
    for facts, spread in zip(_FACTS, rest, strict=False):
        what = f"hit, {facts} input files"
        yield row(name, what, spread, unit, relative_to=base)
    yield row(name, "hit, 50 input files, --intercept=execve", rest[-1], unit, relative_to=base)
    yield row(name, "of it the supervisor, miss", own_miss, unit, relative_to=base)
    yield row(name, "of it the supervisor, hit, 50 input files", own_hit, unit, relative_to=base)


def _versions(lab: Lab) -> Iterator[Micro]:
    """What a hit costs when many versions of its inputs are on record."""
    reader, spawn = lab.probe("reader"), lab.probe("spawn")
    inputs = lab.folder / "versions"
    inputs.mkdir()
    changing = inputs / "0"
    changing.write_text("present\n")
    time.sleep(0.05)  # else it is too young for its digest to be remembered
    lab.forget()
    lab.trace(reader, str(inputs), "1")
    present = 1
    base: tuple[str, Spread] | None = None
    for count in _VERSIONS:
        _add_versions(lab.store, os.fsencode(changing), range(present, count))
        present = count

        def hits(number: str) -> Measured:
            done = lab.replay(spawn, number, reader, str(inputs), "1")
            if lab.counter("hits") != int(number):
                raise RuntimeError(f"{lab.counter('hits'):g} hits instead of {number}")
            return done

        (value,) = lab.interleaved(_per_exec(lab, hits))
        what = f"hit, {count:,} version{'s' if count > 1 else ''} on record"
        yield row("versions", what, value, "us CPU", relative_to=base)
        base = base or ("one version", value)


def _add_versions(directory: Path, changing: bytes, numbers: range) -> None:
    """Adds what would be on record if the one execution that read `changing` had been recorded with
    other contents of it, too."""
    from pcache.model import Fact, Kind, Record
    from pcache.store.index import Store
    from pcache.store.inspect import stored

    with Store.open(os.fsencode(directory), create=False) as store:
        (one, *_) = stored(store)
        call, facts, outcome = one.parts(store)
        (place,) = (n for n, f in enumerate(facts) if (f.kind, f.path) == (Kind.CONTENT, changing))
        with store.batch():
            for number in numbers:
                other = Fact(Kind.CONTENT, changing, b"f644:%016d" % number)
                versions = (*facts[:place], other, *facts[place + 1 :])
                store.add(Record(call, one.weak, versions, outcome))


def _recording(lab: Lab) -> Iterator[Micro]:
    """What being recorded costs the traced program, per system call."""
    probe = lab.probe("syscalls")
    folder = lab.folder / "calls"

    def took(run: Callable[..., Measured], kind: str) -> float:
        found = []
        for _ in range(_TRIES):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            lab.forget()
            done = run("sh", "-c", f"cd calls && exec {probe} {kind} {_CALLS}")
            found.append(float(done.stdout))
        return min(found)  # what disturbs a loop only ever adds to its time

    for kind in _KINDS:
        plain, traced = lab.interleaved(
            lambda kind=kind: took(lab.plain, kind),  # type: ignore[misc]
            lambda kind=kind: took(lab.trace, kind),  # type: ignore[misc]
        )
        yield row("recording", kind, traced, "ns", relative_to=("the call itself", plain))


def _analysis(lab: Lab) -> Iterator[Micro]:
    """What is left to do when the traced command has ended, and what all of it costs."""
    few, many = "1", str(_READERS)
    inputs = lab.folder / "analysed"
    inputs.mkdir()
    for number in range(max(_FACTS)):
        (inputs / str(number)).write_text(f"input {number}\n")

    def script(count: str) -> tuple[str, ...]:
        reader = f"{lab.probe('reader')} {inputs} {max(_FACTS)}"
        return ("sh", "-c", f"i=0; while [ $i -lt {count} ]; do i=$((i+1)); {reader}; done")

    def after() -> float:
        lab.forget()
        lab.trace(*script(many))
        return lab.counter("milliseconds after")

    def by_event() -> float:
        """Microseconds of CPU, from the slope between few and many, free of start-up."""
        extra, events = [], []
        for count in (few, many):
            lab.forget()
            plain = lab.plain(*script(count))
            extra.append(lab.trace(*script(count)).cpu - plain.cpu)
            events.append(lab.counter("events"))
        return (extra[1] - extra[0]) / (events[1] - events[0]) * 1e6

    name = "analysis"
    (value,) = lab.interleaved(after)
    what = f"after the command, {_READERS} programs that read {max(_FACTS)} files"
    yield row(name, what, value, "ms")
    (value,) = lab.interleaved(by_event)
    yield row("recording and analysis", "for each event", value, "us CPU")
    (value,) = lab.interleaved(lambda: _rate(lab, script(many)))
    goal = (f"the goal, {_GOAL_RATE:,}", Spread(_GOAL_RATE, _GOAL_RATE, _GOAL_RATE))
    yield row(name, "on one core", value, "events/s", relative_to=goal)
    yield from _memory(lab)


def _rate(lab: Lab, command: Sequence[str]) -> float:
    """Events by the processor time that was spent on making records of them: the best of some
    tries, as what else the machine does only ever adds to that time."""
    rates = []
    for _ in range(_TRIES):
        lab.forget()
        lab.trace(*command)
        rates.append(lab.counter("events") / lab.counter("microseconds of analysis") * 1e6)
    return max(rates)


def _memory(lab: Lab) -> Iterator[Micro]:
    """Memory for an access unlike all before: as many events, of few files or of many."""
    inputs = lab.folder / "distinct"
    inputs.mkdir()
    few, many = _DISTINCT
    for number in range(many):
        (inputs / str(number)).write_text(f"input {number}\n")
    reader = f"{lab.probe('reader')} {inputs}"
    again = f"i=0; while [ $i -lt {many // few} ]; do i=$((i+1)); {reader} {few}; done"

    def slope() -> float:
        peaks = []
        for script in (again, f"{reader} {many}; true"):
            lab.forget()
            peaks.append(lab.trace("sh", "-c", script).peak)
        return (peaks[1] - peaks[0]) * 1024 / (many - few)

    (value,) = lab.interleaved(slope)
    yield row("memory", "for each distinct access", value, "bytes")


def _hashing(lab: Lab) -> Iterator[Micro]:
    """Digests of a large file in the page cache."""
    import xxhash

    path = lab.folder / "large"
    with path.open("wb") as file:
        for _ in range(_HASHED_MIB):
            file.write(os.urandom(1 << 20))

    def ours() -> float:
        from pcache.counters import Counters
        from pcache.store.digests import DigestCache

        start = time.monotonic()
        with closing(DigestCache(None, Counters())) as cache:
            digest = cache.file_digest(os.fsencode(path), path.stat())
        seconds = time.monotonic() - start
        if digest != xxhash.xxh3_128_digest(path.read_bytes()):
            raise RuntimeError("wrong digest")
        return _HASHED_MIB / 1024 / seconds

    def theirs() -> float:
        start = time.monotonic()
        subprocess.run(["xxhsum", "-H2", str(path)], check=True, capture_output=True)
        return _HASHED_MIB / 1024 / (time.monotonic() - start)

    if shutil.which("xxhsum"):
        our, their = lab.interleaved(ours, theirs)
        yield row("hashing", "xxhsum -H2", their, "GiB/s")
        yield row("hashing", "pcache", our, "GiB/s", relative_to=("xxhsum", their))
    else:
        (our,) = lab.interleaved(ours)
        yield row("hashing", "pcache", our, "GiB/s")
    path.unlink()


def _start_up(lab: Lab) -> Iterator[Micro]:
    """Whole runs of almost nothing, by verb."""
    inputs = lab.folder / "many"
    inputs.mkdir()
    for number in range(_INPUTS):
        (inputs / str(number)).write_text(f"input {number}\n")
    time.sleep(0.05)  # else they are too young for their digests to be remembered
    lab.forget()
    lab.trace("/bin/true")
    reader = (lab.probe("reader"), str(inputs), str(_INPUTS))
    lab.trace(*reader)
    fresh = itertools.count()
    actions: dict[str, Callable[[], Measured]] = {
        "python3 -c pass": lambda: lab.plain("/usr/bin/python3", "-c", "pass"),
        "--version": lambda: lab.verb("--version"),
        "replay /bin/true, a hit": lambda: lab.replay("/bin/true"),
        f"replay, a hit with {_INPUTS} input files": lambda: lab.replay(*reader),
        "replay /bin/echo, a miss": lambda: lab.replay("/bin/echo"),
        "trace /bin/true": lambda: lab.trace("/bin/true"),
        "run /bin/true, a hit": lambda: lab.run("/bin/true"),
        "run /bin/echo, a miss": lambda: lab.run("/bin/echo", str(next(fresh))),
        "explain /bin/true": lambda: lab.verb("explain", "/bin/true"),
        "stats": lambda: lab.verb("stats"),
        "gc --dry-run": lambda: lab.verb("gc", "--dry-run"),
        "config show": lambda: lab.verb("config", "show"),
        "help": lambda: lab.verb("help"),
    }

    def best_of(action: Callable[[], Measured]) -> Callable[[], float]:
        return lambda: min(action().wall for _ in range(_TRIES)) * 1e3

    spreads = lab.interleaved(*(best_of(action) for action in actions.values()))
    base = ("python3 -c pass", spreads[0])
    for what, spread in zip(actions, spreads, strict=True):
        yield row("start-up", what, spread, "ms", relative_to=base)


_PARTS = (
    _decisions,
    _versions,
    _recording,
    _analysis,
    _hashing,
    _start_up,
    scale.inputs,
    scale.executions,
)
STEPS = len(_PARTS)
