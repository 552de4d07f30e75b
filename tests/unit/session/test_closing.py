"""The closing line, word by word."""

from __future__ import annotations

import pytest

from pcache.history.entries import HIT, KNOWN, NONDETERMINISTIC, RAN, REFUSED, STORED, Entry
from pcache.history.log import Summary
from pcache.session.steps.closing import closing_line, seconds


def entries(*made: tuple[str, str]) -> list[Entry]:
    found = []
    for number, (verdict, reason) in enumerate(made):
        entry = Entry(verdict, b"", (b"cc",), b"/", 0 if number else -1)
        entry.reasons = ((reason, "evidence"),) if reason else ()
        found.append(entry)
    return found


def line(verb: str, found: list[Entry], **numbers: int | str) -> str:
    summary = Summary(verb, (b"make",), b"/", b"")
    summary.programs, summary.elapsed_ns = len(found), 700_000_000
    for name, number in numbers.items():
        setattr(summary, name, number)
    return closing_line(summary, found)


def test_as_it_is_promised() -> None:
    found = entries((REFUSED, "network"), *[(HIT, "")] * 41, (STORED, ""), (STORED, ""))
    told = line(
        "run",
        found,
        hits=41,
        ran=2,
        refused=1,
        saved_ns=12_400_000_000,
        why="input changed: main.c",
    )
    assert told == (
        "pcache: 41 of 44 programs brought back, saved 12.4 s of 13.1 s; "
        "2 ran (input changed: main.c), 1 not cacheable (network); it cannot come back as a whole"
    )


@pytest.mark.parametrize(
    ("verb", "found", "numbers", "told"),
    [
        ("run", [], {"programs": 1, "hits": 1, "saved_ns": 4 * 10**9},
         "brought back as a whole, saved 4.00 s of 4.70 s"),
        ("run", entries((STORED, "")), {"ran": 1, "why": "unknown call"},
         "0 of 1 program brought back; 1 ran (unknown call); recorded as a whole"),
        ("trace", entries((KNOWN, ""), (STORED, "")), {"ran": 2},
         "2 programs ran in 0.70 s; recorded as a whole"),
        ("trace", entries((NONDETERMINISTIC, "")), {"refused": 1},
         "1 program ran in 0.70 s; 1 not cacheable (non-deterministic);"
         " it cannot come back as a whole"),
        ("replay", entries((RAN, ""), (HIT, "")), {"hits": 1, "ran": 1, "saved_ns": 10**8},
         "1 of 2 programs brought back, saved 0.10 s of 0.80 s; 1 ran"),
    ],
)  # fmt: skip
def test_other_ends(verb: str, found: list[Entry], numbers: dict[str, int], told: str) -> None:
    assert line(verb, found, **numbers) == f"pcache: {told}"


def test_what_recording_took_is_told_where_it_took_more_than_the_command() -> None:
    found = entries((STORED, ""))
    found[0].start_ns, found[0].end_ns = 10**8, 2 * 10**8
    assert line("trace", found).endswith("; recorded as a whole, which took 0.60 s more")
    found[0].end_ns = 4 * 10**8 + 1
    assert line("trace", found).endswith("; recorded as a whole, which took 0.40 s more")
    found[0].end_ns = 6 * 10**8
    assert line("trace", found).endswith("; recorded as a whole")
    known = entries((KNOWN, ""))
    assert line("trace", known).endswith("; recorded as a whole")


def test_what_a_record_contains_is_not_counted_as_refused() -> None:
    """The halves of gcc are no reason to worry, as gcc as a whole is recorded."""
    found = entries((STORED, ""), (REFUSED, "works on a temporary file of its caller"))
    assert "not cacheable" not in line("run", found, ran=2)


def test_many_reasons_are_cut() -> None:
    found = entries((REFUSED, "a"), (REFUSED, "b"), (REFUSED, "b"), (REFUSED, "c"), (REFUSED, "d"))
    assert "(b, a, c, ...)" in line("run", found, refused=5)


def test_durations() -> None:
    assert [seconds(n) for n in (4_000_000, 1_240_000_000, 75 * 10**9, 7200 * 10**9)] == [
        "4 ms", "1.24 s", "75.0 s", "2.0 h",
    ]  # fmt: skip
