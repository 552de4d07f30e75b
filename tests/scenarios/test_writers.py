"""Inputs that somebody outside has open for writing, which may change without their times."""

from __future__ import annotations

import mmap
import time

import pytest

from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Stdio

pytestmark = pytest.mark.root


def test_mapped(bench: Bench) -> None:
    """Of what is stored into a mapping only the first store changes the times (mmap(2))."""
    arguments = (("cat", "a"), bench.directory, bench.env, Stdio())
    file = bench.directory / "a"
    file.write_bytes(b"one\n")
    time.sleep(SETTLE_SECONDS)
    bench.launcher.trace(*arguments)
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as mapped:
        mapped[:] = b"one\n"
        time.sleep(SETTLE_SECONDS)
        done = bench.launcher.replay(*arguments)
        assert (done.stdout, done.counters["hits"]) == (b"one\n", 1)
        mapped[:] = b"two\n"
        done = bench.launcher.replay(*arguments)
        assert (done.stdout, done.counters["hits"]) == (b"two\n", 0)
