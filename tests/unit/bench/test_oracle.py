"""What an oracle would run, and what pcache is said to have told."""

from __future__ import annotations

import json
from pathlib import Path

from bench.oracle import Program, Told, last_session, needed


def program(
    number: int,
    parent: int | None,
    record: str | None,
    *,
    verdict: str = "stored",
    command: str = "prog",
    refused: str = "",
    start: float = 0.0,
    end: float = 1.0,
) -> Program:
    call = (command, "/work")
    return Program(number, parent, verdict, "", refused, record, call, start, end)


def test_what_is_known_is_skipped_with_all_below() -> None:
    first = Told([program(0, None, "root"), program(1, 0, "a"), program(2, 1, None)])
    edited = Told([program(0, None, "other"), program(1, 0, "a"), program(2, 1, None)])
    assert needed(edited, first, edited) == (3, 1)


def test_a_reader_of_a_pipe_depends_on_what_runs_beside_it() -> None:
    def run(writer: str) -> Told:
        return Told(
            [
                program(0, None, writer, command="sh"),
                program(1, 0, writer, command="cat a", end=2.0),
                program(2, 0, None, command="sort", refused="read from a pipe", start=1.0, end=3.0),
                program(3, 0, None, command="uniq", refused="read from a pipe", start=5.0, end=6.0),
            ]
        )

    assert needed(run("new"), run("old"), run("new")) == (4, 3)


def test_what_always_runs_is_needed() -> None:
    refused = "never cached: /usr/bin/date, by default: its purpose is to differ each time"
    first = Told([program(0, None, "a"), program(1, 0, None, command="date", refused=refused)])
    edited = Told([program(0, None, "b"), program(1, 0, None, command="date", refused=refused)])
    assert needed(edited, first, edited) == (2, 2)


def test_an_oracle_skips_what_was_skipped() -> None:
    first = Told([program(0, None, "a"), program(1, 0, "one", command="x")])
    again = Told([program(0, None, "b"), program(1, 0, "two", command="x")])
    hit = Told([program(0, None, "b"), program(1, 0, "one", command="x", verdict="hit")])
    assert needed(again, first, again) == (2, 2)
    assert needed(again, first, hit) == (2, 1)


def test_verdicts() -> None:
    hit = Told([program(0, None, "a", verdict="hit")])
    ran = Told([program(0, None, "a", refused="network: 10.0.0.1")])
    assert hit.verdict(ran) == ("hit", "")
    assert ran.verdict(ran) == ("ran", "network: 10.0.0.1")
    assert (hit.ran, ran.ran) == (0, 1)


def test_last_session(tmp_path: Path) -> None:
    told = {
        "executions": [
            {
                "execution": 0,
                "parent": None,
                "verdict": "not cacheable",
                "command": ["as", "/tmp/ccAbCdEf.s"],
                "directory": "/",
                "miss": None,
                "reasons": [{"reason": "network", "evidence": "x"}],
                "record": None,
                "start_seconds": 1.0,
                "seconds": 0.5,
            }
        ]
    }
    said = tmp_path / "said"
    said.write_text(json.dumps(told))
    fake = ["sh", "-c", f'[ "$*" = "show --all --json last" ] && cat {said}', "pcache"]
    expected = program(0, None, None, verdict="not cacheable", refused="network: x", start=1.0)
    found = last_session(fake, {"PATH": "/usr/bin:/bin"})
    assert found is not None
    (only,) = found.programs
    assert (only.verdict, only.refused, only.start, only.end) == (
        expected.verdict,
        expected.refused,
        1.0,
        1.5,
    )
    assert only.call == ("as /tmp/*", "/")
    assert last_session(["false"], {"PATH": "/usr/bin:/bin"}) is None
