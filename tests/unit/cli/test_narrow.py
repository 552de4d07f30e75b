"""Help texts on narrow terminals."""

from __future__ import annotations

import os
import re
from importlib import import_module

import pytest

from pcache.cli.main import VERBS
from pcache.cli.narrow import fitted
from tests.lib.terminals import printed_at_one


@pytest.mark.parametrize("columns", [60, 80, 99])
@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_lost_and_lines_fit(verb: str, columns: int) -> None:
    text = import_module(f"pcache.cli.{verb}").HELP
    told = fitted(text, columns)
    assert told.split() == text.split()
    long = [line for line in told.splitlines() if len(line) > columns]
    # Settings as they stand in a file, and usage lines of less than 80 columns, are not broken.
    assert all(" # " in line or ("usage:" in told and columns < 80) for line in long), long


def test_tables_keep_their_columns() -> None:
    text = import_module("pcache.cli.gc").HELP
    told = fitted(text, 80).splitlines()
    at = next(n for n, line in enumerate(told) if line.startswith("      --max-size SIZE  "))
    column = told[at].index("the limit")
    assert re.match(rf" {{{column}}}\S", told[at + 1])


def test_wide_terminals_have_it_as_it_is() -> None:
    text = import_module("pcache.cli.gc").HELP
    assert fitted(text, 100) == text


def test_examples_stay_lines() -> None:
    told = fitted(import_module("pcache.cli.export").HELP, 60).splitlines()
    assert "  pcache export --format in-toto 7" in told


def test_on_a_terminal_and_in_a_pipe(pcache: str) -> None:
    printed = printed_at_one((pcache, "help", "gc"), {"COLUMNS": "70", "PATH": "/usr/bin:/bin"})
    lines = printed.decode().replace("\r\n", "\n").splitlines()
    assert max(map(len, lines)) <= 70
    assert os.popen(f"{pcache} help gc").read() == import_module("pcache.cli.gc").HELP
