"""The totals: lines added up, whatever else is in the file."""

from __future__ import annotations

from pathlib import Path

from pcache.counters import Counters
from pcache.store.index import Store
from pcache.store.totals import COLUMNS, LONG, Totals, counted


def test_sessions_are_added_up(tmp_path: Path) -> None:
    directory = bytes(tmp_path / "store")
    for _ in range(3):
        counters = Counters()
        counters.inc("hits", 7)  # before the store was opened
        with Store.open(directory, counters=counters):
            counters.inc("hits", 2)
            counters.inc("bytes stored", 100)
    total = Totals(directory).total()
    assert total == dict(zip(COLUMNS, (6, 0, 0, 300), strict=True))


def test_a_session_that_did_nothing_writes_nothing(tmp_path: Path) -> None:
    with Store.open(bytes(tmp_path / "store")):
        pass
    assert Totals(bytes(tmp_path / "store")).total() is None


def test_damage_and_replacement(tmp_path: Path) -> None:
    totals = Totals(bytes(tmp_path))
    assert not totals.is_long()
    (tmp_path / "tally").write_bytes(b"1 2 3 4\ngarbage\n1 2\n-1 0 0 0\n1 1 1 1\n")
    sums = totals.total()
    assert sums == dict(zip(COLUMNS, (2, 3, 4, 5), strict=True))
    totals.replace(sums)
    assert (tmp_path / "tally").read_bytes() == b"2 3 4 5\n"
    assert (tmp_path / "tally").stat().st_mode & 0o777 == 0o600
    (tmp_path / "tally").write_bytes(b"1 1 1 1\n" * LONG)
    assert totals.is_long()


def test_failing_is_silent(tmp_path: Path) -> None:
    totals = Totals(bytes(tmp_path / "missing"))
    counters = Counters()
    before = counted(counters)
    counters.inc("hits")
    totals.add(before, counters)
    assert totals.total() is None
