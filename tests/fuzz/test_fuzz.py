"""Random projects under `run`, `trace`, `replay` and plainly: same trees, streams, statuses."""

from __future__ import annotations

import os

import pytest

from tests.fuzz.fuzzing import fuzz
from tests.fuzz.machine import Tally

pytestmark = [pytest.mark.root, pytest.mark.system_files]

RATE = 0.95
"""Of what a perfect oracle would skip, at least so much has to be skipped."""


def seed_of(default: int) -> int:
    """The seed of a test; another one can be tried with PCACHE_FUZZ_SEED."""
    return int(os.environ.get("PCACHE_FUZZ_SEED", default))


def check(tally: Tally, steps: int) -> None:
    print(tally)
    assert tally.steps.total() >= steps
    assert tally.oracle.known >= steps // 5
    assert tally.oracle.rate >= RATE, str(tally)


def test_three_hundred_steps(pcache: str) -> None:
    check(fuzz(pcache, seed_of(16), 27, lines=2), 300)


@pytest.mark.slow
def test_two_thousand_steps(pcache: str) -> None:
    check(fuzz(pcache, seed_of(1), 200), 2000)
