"""The long run: `make test-fuzz`, or `python -m tests.fuzz`.

Seeds are tried one after the other, in several processes, each with a directory and a cache of its
own, until there are enough steps or the time is over.  The first result that is not that of the
plain run ends it: its seed and the history of its project are printed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count
from multiprocessing.managers import SyncManager
from threading import Event

from tests.conftest import made_command
from tests.fuzz.fuzzing import Wrong, fuzz
from tests.fuzz.machine import Tally

PROJECTS = 50
"""Of one seed, with some 600 steps."""


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__.split("\n")[0])
    options.add_argument("--steps", type=int, default=100_000, help="default: %(default)s")
    options.add_argument("--jobs", type=int, default=os.cpu_count(), help="default: %(default)s")
    options.add_argument("--seed", type=int, default=1, help="the first one; default: %(default)s")
    options.add_argument("--minutes", type=float, help="begin no project after that time")
    options.add_argument(
        "--directory", default="/var/tmp", help="where projects are made; default: %(default)s"
    )
    options.add_argument("--pcache", help="a command to be tried instead of the checkout's")
    return options


def one(pcache: str, number: int, directory: str, ended: Event, deadline: float) -> Tally:
    """What one seed's projects did; not all of them if it ended meanwhile."""

    def stopped() -> bool:
        return ended.is_set() or time.time() > deadline

    return fuzz(pcache, number, PROJECTS, directory=directory, stopped=stopped)


class Campaign:
    """Seeds in several processes, and what they add up to.

    begin: starts a seed.  ended: is set when no project shall begin any more.
    """

    def __init__(self, begin: Callable[[int], Future[Tally]], ended: Event, steps: int) -> None:
        self.sum = Tally()
        self.wrong = 0
        self.interrupted = False
        self._begin = begin
        self._ended = ended
        self._steps = steps
        self._began = time.monotonic()

    def run(self, first: int, jobs: int, deadline: float) -> None:
        running: dict[Future[Tally], int] = {}
        seeds = self._seeds(first, deadline)
        while True:
            while len(running) < jobs and (number := next(seeds, None)) is not None:
                running[self._begin(number)] = number
            if not running:
                return
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                self._count(running.pop(done), done)

    def _seeds(self, first: int, deadline: float) -> Iterator[int]:
        for number in count(first):
            if self._ended.is_set() or time.time() > deadline:
                return
            yield number

    def _count(self, number: int, done: Future[Tally]) -> None:
        try:
            tally = done.result()
        except Wrong as wrong:
            self.wrong += 1
            self._ended.set()
            print(f"\nseed {number}: WRONG\n{wrong}\n", flush=True)
            return
        self.sum.add(tally)
        steps = self.sum.steps.total()
        print(
            f"seed {number}: {tally.steps.total()} steps; in all {steps}, "
            f"{self.sum.root_hits} root hits, {self.sum.oracle.rate:.1%} of known hit, "
            f"{self.minutes:.1f} min",
            flush=True,
        )
        if steps >= self._steps:
            self._ended.set()

    @property
    def minutes(self) -> float:
        """Since it began."""
        return (time.monotonic() - self._began) / 60


def main() -> int:
    options = parser().parse_args()
    deadline = time.time() + options.minutes * 60 if options.minutes else float("inf")
    manager: SyncManager
    with (
        multiprocessing.Manager() as manager,
        ProcessPoolExecutor(options.jobs) as pool,
        made_command() as made,
    ):
        ended, pcache = manager.Event(), options.pcache or made

        def begin(number: int) -> Future[Tally]:
            return pool.submit(one, pcache, number, options.directory, ended, deadline)

        campaign = Campaign(begin, ended, options.steps)
        try:
            campaign.run(options.seed, options.jobs, deadline)
        except KeyboardInterrupt:
            campaign.interrupted = True
        finally:
            ended.set()
            print(
                f"{campaign.minutes:.1f} min, {options.jobs} processes, seeds from {options.seed}"
            )
            print(campaign.sum, flush=True)
    return 130 if campaign.interrupted else 1 if campaign.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
