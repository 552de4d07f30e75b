"""Compilers and their command lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pcache.export.compilations import compile_commands
from pcache.export.whole import expanded
from pcache.history.entries import HIT, STORED
from tests.unit.report.sessions import Made, open_store


def exported(path: Path, command: str) -> list[tuple[str, str | None]]:
    with open_store(path) as store:
        made = Made(store)
        made.add(STORED, command)
        text = compile_commands(expanded(made.keep(), []))
    return [(entry["file"], entry.get("output")) for entry in json.loads(text)]


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("cc -c a.c", [("a.c", None)]),
        ("/usr/bin/x86_64-linux-gnu-gcc-12 -c -o out.o a.c", [("a.c", "out.o")]),
        ("clang++-16 -oout.o -c x/a.cc", [("x/a.cc", "out.o")]),
        ("gcc a.c b.C -o prog", [("a.c", "prog"), ("b.C", "prog")]),
        ("cc -include c.c -I d.c -MF e.c -c a.c", [("a.c", None)]),
        ("cc -o prog a.o b.o", []),
        ("cc -E a.c", []),
        ("cc1 a.c", []),
        ("ccache a.c", []),
        ("as a.s", []),
        ("gcc-nm a.c", []),
    ],
)
def test_command_lines(tmp_path: Path, command: str, found: list[tuple[str, str | None]]) -> None:
    assert exported(tmp_path, command) == found


def test_what_was_brought_back_is_expanded(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        first = Made(store)
        first.add(STORED, "make", 0, 10)
        inner = first.add(STORED, "make -C sub", 1, 9)
        first.add(STORED, "cc -c a.c", 2, 8, inner)
        earlier = first.keep()
        again = Made(store)
        again.add(STORED, "make", 0, 5)
        again.add(HIT, "make -C sub", 1, 2)
        again.add(STORED, "cc -c b.c", 3, 4)
        found = expanded(again.keep(), [earlier])
    commands = [(of.number, b" ".join(entry.argv)) for of, entry in found]
    assert commands == [
        (2, b"make"), (2, b"make -C sub"), (1, b"cc -c a.c"), (2, b"cc -c b.c"),
    ]  # fmt: skip
