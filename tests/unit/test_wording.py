"""What people are shown is one line, and says the same wherever they meet it."""

from __future__ import annotations

import pytest

from pcache.model import Kind
from pcache.values import order_path
from pcache.wording import aspect, changed_text, counted, fact_name, subject, text


def test_one_is_no_plural() -> None:
    assert [counted(number, "record") for number in (0, 1, 2)] == [
        *("0 records", "1 record", "2 records")
    ]


def test_text_is_one_line() -> None:
    assert text("a\nb\xff\n".encode("latin-1")) == "a\\nb\\xff\\n"
    assert text("é".encode()) == "é"


@pytest.mark.parametrize(
    ("kind", "path", "words"),
    [
        (Kind.CONTENT, b"/a\nb", "/a\\nb"),
        (Kind.REPLACEABLE, b"644:/a:b", "/a:b"),
        (Kind.INPUT, b"0", "descriptor 0"),
        (Kind.LISTING, b"/d", "/d, its entries"),
        (Kind.LTIMES, b"/d", "/d, its modification time"),
        (Kind.LOADER, b"libc.so.6:/etc/ld.so.cache", "libraries in /etc/ld.so.cache"),
        (Kind.BASE, b"user", "who the user is"),
        (
            Kind.ORDER,
            order_path([(b"/a", True), (b"/b", False)]),
            "which of 2 files are newer than which",
        ),
        (Kind.TRAIT, b"limits", "the process's limits"),
    ],
)
def test_names_of_facts(kind: bytes, path: bytes, words: str) -> None:
    assert fact_name(kind, path) == words
    assert words.startswith(subject(kind, path))
    assert words.endswith(aspect(kind))
    what = f" ({aspect(kind)})" if aspect(kind) else ""
    assert changed_text([(kind, path)]) == f"input changed: {subject(kind, path)}{what}"


def test_what_has_changed_in_several_ways_is_named_once() -> None:
    keys = [(Kind.CONTENT, b"/a"), (Kind.TIMES, b"/a"), (Kind.LISTING, b"/d")]
    assert changed_text(keys) == "input changed: /a and 1 more"
    assert changed_text(keys[2:]) == "input changed: /d (its entries)"
    assert changed_text([]) == "input changed"
