"""Executions of a session as they are kept."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcache.history import entries
from pcache.history.entries import HIT, KNOWN, REFUSED, STORED, Entry
from pcache.history.log import UNKNOWN
from pcache.model import Kind

WORDS = st.lists(st.binary(max_size=20), min_size=1, max_size=5).map(tuple)
TEXTS = st.text(max_size=20)
NUMBERS = st.integers(-1, 2**63)


@st.composite
def entry(draw: st.DrawFn) -> Entry:
    made = Entry(
        draw(st.sampled_from((HIT, STORED, KNOWN, REFUSED))),
        draw(st.binary(max_size=20)),
        draw(WORDS),
        draw(st.binary(max_size=20)),
        draw(st.integers(-1, 100)),
    )
    for name in ("tgid", "start_ns", "end_ns", "cpu_ns", "status", "saved_ns"):
        setattr(made, name, draw(NUMBERS))
    made.strong = draw(st.sampled_from((b"", b"0123456789abcdef")))
    made.miss = draw(TEXTS)
    made.changed = tuple(
        draw(
            st.lists(
                st.tuples(st.sampled_from((Kind.CONTENT, Kind.ORDER)), st.binary()), max_size=3
            )
        )
    )
    made.reasons = tuple(
        draw(st.lists(st.tuples(st.sampled_from(("a b", "c")), TEXTS), max_size=3))
    )
    return made


def fields(found: Entry) -> list[object]:
    return [getattr(found, name) for name in Entry.__slots__]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(entry(), max_size=4))
def test_what_was_written_is_read(made: list[Entry]) -> None:
    with TemporaryDirectory() as directory:
        entries.write(directory.encode(), b"1", made)
        read = entries.read(directory.encode(), b"1")
    assert list(map(fields, read)) == list(map(fields, made))


def test_what_is_damaged_or_gone_is_nothing(tmp_path: Path) -> None:
    made = [Entry(STORED, b"/bin/cc", (b"cc", b"%d" % number), b"/") for number in range(50)]
    entries.write(bytes(tmp_path), b"1", made)
    path = tmp_path / "history/1"
    assert path.stat().st_mode & 0o777 == 0o600
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:10], b"", whole[:20] + bytes([whole[20] ^ 1]) + whole[21:]):
        path.write_bytes(damaged)
        assert entries.read(bytes(tmp_path), b"1") == []
    path.unlink()
    assert entries.read(bytes(tmp_path), b"1") == []


def test_command_lines_are_kept_once(tmp_path: Path) -> None:
    """Ten thousand executions of one compiler take little: 30 bytes each."""
    argv = (b"cc", b"-O2", b"-I/usr/include/a/rather/long/name", b"-DFOO=1", b"-c")
    made = [Entry(STORED, b"/usr/bin/cc", (*argv, b"%d.c" % n), b"/src", 0) for n in range(10_000)]
    entries.write(bytes(tmp_path), b"1", made)
    assert (tmp_path / "history/1").stat().st_size < 300_000
    assert entries.read(bytes(tmp_path), b"1")[-1].argv == (*argv, b"9999.c")


def test_covered() -> None:
    root = Entry(REFUSED, b"", (b"make",), b"/")
    child = Entry(STORED, b"", (b"cc",), b"/", 0)
    half = Entry(REFUSED, b"", (b"cc1",), b"/", 1)
    every = [root, child, half]
    assert [at.covered(every) for at in every] == [False, False, True]
    assert root.parent == UNKNOWN
