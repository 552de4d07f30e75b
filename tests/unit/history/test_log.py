"""The log of sessions: entries whole or left out, numbers that stay, an end to what is old."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcache.history import log
from pcache.history.log import Summary, append, read, trim


def made(began_ns: int, *argv: bytes, name: bytes = b"") -> Summary:
    summary = Summary("run", argv or (b"make", b"-j2"), b"/src", b"")
    summary.began_ns, summary.name = began_ns, name
    summary.hits, summary.programs, summary.saved_ns = 2, 3, 5_000_000_000
    summary.why = "input changed: a\udcff.c"
    return summary


@pytest.fixture
def directory(tmp_path: Path) -> bytes:
    return bytes(tmp_path)


def test_what_was_appended_is_read(directory: bytes) -> None:
    append(directory, made(7, b"cc", b"-o\n", b"\xff"))
    append(directory, made(8))
    first, second = read(directory)
    assert (first.number, second.number) == (1, 2)
    assert (first.argv, first.cwd, first.verb) == ((b"cc", b"-o\n", b"\xff"), b"/src", "run")
    assert (first.began_ns, first.status, first.hits, first.saved_ns) == (7, -1, 2, 5_000_000_000)
    assert first.why == "input changed: a\udcff.c"


def test_nothing_kept_yet(directory: bytes) -> None:
    assert read(directory) == []
    assert trim(directory, 5) == 0


def test_files_are_private(directory: bytes) -> None:
    append(directory, made(1))
    place = Path(directory.decode()) / "history"
    assert place.stat().st_mode & 0o777 == 0o700
    assert (place / "log").stat().st_mode & 0o777 == 0o600


def test_a_damaged_entry_costs_itself_only(directory: bytes) -> None:
    for began in (1, 2, 3):
        append(directory, made(began))
    path = Path(directory.decode()) / "history/log"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert [summary.began_ns for summary in read(directory)] == [1, 3]
    path.write_bytes(path.read_bytes()[:-5])
    append(directory, made(4))
    assert [summary.began_ns for summary in read(directory)] == [1, 4]


def test_trimming_keeps_numbers_and_removes_files(directory: bytes) -> None:
    for began in range(1, 6):
        append(directory, made(began, name=b"%d" % began))
        (Path(directory.decode()) / f"history/{began}").touch()
    assert trim(directory, 1) == 0
    assert trim(directory, 4) == 3
    assert [(at.number, at.began_ns) for at in read(directory)] == [(4, 4), (5, 5)]
    left = {path.name for path in (Path(directory.decode()) / "history").iterdir()}
    assert left == {"4", "5", "log"}
    append(directory, made(9))
    assert read(directory)[-1].number == 6
    assert trim(directory, 10) == 3
    append(directory, made(10))
    assert [at.number for at in read(directory)] == [7]


def test_a_long_log_loses_its_older_half(directory: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [append(directory, made(began)) for began in range(1, 11)]
    assert sizes[-1] == (Path(directory.decode()) / "history/log").stat().st_size
    monkeypatch.setattr(log, "LONG", sizes[-1] - 1)
    assert trim(directory, 0) == 5
    assert [at.number for at in read(directory)] == [6, 7, 8, 9, 10]


def test_another_layout_is_left_alone(directory: bytes) -> None:
    append(directory, made(1))
    path = Path(directory.decode()) / "history/log"
    path.write_bytes(path.read_bytes().replace(log._MAGIC, b"pcs9"))
    assert read(directory) == []


def test_nothing_left_to_remove(directory: bytes) -> None:
    append(directory, made(7))
    assert [trim(directory, 8), trim(directory, 8)] == [1, 0]
    append(directory, made(9))
    assert [summary.number for summary in read(directory)] == [2]
