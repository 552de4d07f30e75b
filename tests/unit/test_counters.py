"""Counters: a closed table of names."""

from __future__ import annotations

import pytest

from pcache.counters import NAMES, Counters
from pcache.model import Reason


def test_counts_and_keeps_the_order_of_the_table() -> None:
    counters = Counters()
    counters.inc("misses")
    counters.inc("facts checked", 41)
    counters.inc("facts checked")
    assert list(counters.as_dict()) == list(NAMES)
    assert counters.nonzero() == {"misses": 1, "facts checked": 42}
    assert counters["hits"] == 0


def test_an_unknown_name_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Counters().inc("facts chekced")


def test_every_reason_has_a_counter() -> None:
    reasons = [value for name, value in vars(Reason).items() if name.isupper()]
    assert len(reasons) > 10
    for reason in reasons:
        assert f"uncacheable: {reason}" in NAMES
