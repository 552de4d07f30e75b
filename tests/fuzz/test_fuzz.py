"""Random projects under `run`, `trace`, `replay` and plainly: same trees, streams, statuses."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.conftest import SUDO, open_directory
from tests.fuzz.machine import History, Project, Tally, histories
from tests.fuzz.twins import Twins
from tests.lib.launch import Launcher
from tests.scenarios.conftest import PLAIN_ENV

pytestmark = [pytest.mark.root, pytest.mark.system_files]

EVENTS = 8
RATE = 0.9
"""Of what a perfect oracle would skip, at least so much has to be skipped."""


def fuzz(pcache: str, number: int, examples: int) -> Tally:
    """So many projects with EVENTS events each; always the same ones for a seed."""
    with open_directory() as base:
        launcher = Launcher(pcache, base, as_root=SUDO)
        tally, twins = Tally(), Twins(base, launcher)
        env = {
            **PLAIN_ENV,
            "XDG_CACHE_HOME": str(twins.store),
            "PATH": f"{twins.here}/bin1:{twins.here}/bin2:{PLAIN_ENV['PATH']}",
        }
        limits = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )

        @seed(number)
        @limits
        @given(histories(EVENTS))
        def live(history: History) -> None:
            Project(twins, launcher, tally, env).live(history)

        live()
    print(tally)
    return tally


def seed_of(default: int) -> int:
    """The seed of a test; another one can be tried with PCACHE_FUZZ_SEED."""
    return int(os.environ.get("PCACHE_FUZZ_SEED", default))


def check(tally: Tally, steps: int) -> None:
    assert tally.steps.total() >= steps
    assert tally.oracle.known >= steps // 2
    assert tally.oracle.rate >= RATE, str(tally)


def test_a_hundred_steps(pcache: str) -> None:
    check(fuzz(pcache, seed_of(16), 10), 100)


@pytest.mark.slow
def test_two_thousand_steps(pcache: str) -> None:
    check(fuzz(pcache, seed_of(1), 200), 2000)
