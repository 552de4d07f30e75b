"""Every system call of the table is classified, and observed where that says so."""

from __future__ import annotations

from collections import Counter

from pcache.observe import coverage
from pcache.observe.accesses import Accesses
from pcache.probes.calls import CALLS
from pcache.probes.syscall_table import NUMBERS

OBSERVED = coverage.names(coverage.OBSERVED)
UNCACHEABLE = coverage.names(coverage.UNCACHEABLE)
IRRELEVANT = coverage.names(coverage.IRRELEVANT)


def test_each_call_is_classified_once() -> None:
    found = Counter(OBSERVED + UNCACHEABLE + IRRELEVANT)
    assert {name for name, count in found.items() if count > 1} == set()
    assert NUMBERS.keys() - found.keys() == set(), "forgotten"
    assert found.keys() - NUMBERS.keys() == set(), "no such call"


def test_the_recorder_takes_what_counts_and_nothing_else() -> None:
    assert CALLS.keys() == {*OBSERVED, *UNCACHEABLE}


def test_each_observed_call_has_a_handler() -> None:
    accesses = Accesses({}, -1, -1, *[lambda *_: None] * 3)
    assert accesses._handlers.keys() == {NUMBERS[name] for name in CALLS}
