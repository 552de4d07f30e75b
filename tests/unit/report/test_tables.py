"""Tables and trees on terminals of any width: a line for each, and none that breaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pcache.history.entries import HIT, REFUSED, STORED
from pcache.history.sessions import Session
from pcache.model import Reason
from pcache.report import over_time, recorded, tree, why
from pcache.report.style import Style
from pcache.store.index import Store
from tests.unit.report.sessions import Made, open_store

LONG = "cc -O2 -Wall -I/some/where/include -DNAME=value -c -o out/main.o src/main.c"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def session(store: Store) -> Session:
    made = Made(store, tuple(LONG.encode().split()))
    made.add(REFUSED, LONG, 0, 90, changed=("src/main.c",), reason=Reason.NETWORK)
    made.add(HIT, LONG, 1, 20)
    made.add(STORED, LONG, 20, 50, changed=("src/a-name-that-is-rather-long-for-a-source.c",))
    return made.keep()


@pytest.mark.parametrize("columns", [60, 72, 80, 100, 200])
def test_lines_fit(store: Store, session: Session, columns: int) -> None:
    style = Style()
    style.columns = columns
    for lines in (
        tree.table([session], style),
        tree.tree(session, style, False),
        recorded.lines(recorded.recorded(store, (), 0), style),
        over_time.chart(over_time.by_day([session]), style),
    ):
        assert max(len(line) for line in lines) <= columns
    told = "\n".join((*tree.head(session, style), *why.lines(why.Why(session, ()), style)))
    broken = [line for line in told.split("\n") if len(line) > columns]
    assert all(LONG in line for line in broken)


def test_the_command_keeps_its_room(session: Session) -> None:
    style = Style()
    whole = next(tree.table([session], style))
    assert whole.split() == [
        "SESSION", "WHEN", "VERB", "STATUS", "HITS/ALL", "TIME", "SAVED", "COMMAND",
    ]  # fmt: skip
    style.columns = 80
    titles, line = tree.table([session], style)
    assert titles.split() == ["SESSION", "WHEN", "HITS/ALL", "TIME", "SAVED", "COMMAND"]
    assert len(line) - titles.index("COMMAND") >= 20
