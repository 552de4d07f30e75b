"""Does it stay linear?  The same again with twice as much, and what one of them costs then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from bench.measure import Measured
from bench.micro.lab import Lab, row
from bench.results import Micro, Spread

_INPUTS = tuple(1000 << doubling for doubling in range(8))
_EXECUTIONS = tuple(1000 << doubling for doubling in range(5))


def inputs(lab: Lab) -> Iterator[Micro]:
    """One command with more and more inputs."""
    folder = lab.folder / "scale"
    folder.mkdir()
    for number in range(max(_INPUTS)):
        (folder / str(number)).write_text(f"input {number}\n")
    time.sleep(0.05)  # else they are too young for their digests to be remembered
    commands = [(lab.probe("reader"), str(folder), str(count)) for count in _INPUTS]
    yield from _doubled(lab, "inputs", "input", _INPUTS, commands)


def executions(lab: Lab) -> Iterator[Micro]:
    """One command that runs more and more programs, all of them different calls."""
    program = ("env", "FRESH=1", lab.probe("spawn"))
    rest = (lab.probe("reader"), str(lab.folder), "0")
    commands = [(*program, str(count), *rest) for count in _EXECUTIONS]
    yield from _doubled(lab, "executions", "program", _EXECUTIONS, commands)


def _doubled(
    lab: Lab, name: str, one: str, counts: Sequence[int], commands: Sequence[tuple[str, ...]]
) -> Iterator[Micro]:
    """Processor time of a first run and of a hit beyond that of the plain command, by each of what
    there are more and more of; and the memory of the first run."""
    measured: dict[str, list[Spread]] = {"first run": [], "hit": [], "memory": []}
    for count, command in zip(counts, commands, strict=True):
        found = lab.interleaved(*_actions(lab, count, command))
        for what, spread in zip(measured, found, strict=True):
            measured[what].append(spread)
    for what, spreads in measured.items():
        unit = f"bytes a {one}" if what == "memory" else f"us CPU a {one}"
        base = (f"{counts[0]:,}", spreads[0])
        for count, spread in zip(counts, spreads, strict=True):
            title = f"scale, {name}: {what}"
            yield row(title, f"{count:,}", spread, unit, relative_to=base)


def _actions(lab: Lab, count: int, command: tuple[str, ...]) -> list[Callable[[], float]]:
    recorded: list[Measured] = []

    def first() -> float:
        lab.forget()
        plain = lab.plain(*command)
        recorded.append(lab.trace(*command))
        return (recorded[-1].cpu - plain.cpu) / count * 1e6

    def hit() -> float:
        done = lab.replay(*command)
        if lab.counter("hits") != 1:
            raise RuntimeError(f"{' '.join(command)}: no hit")
        return done.cpu / count * 1e6

    return [first, hit, lambda: recorded[-1].peak * 1024 / count]
