"""Inputs that somebody outside has open for writing, which may change without their times."""

from __future__ import annotations

import mmap
import threading
import time

import pytest

from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Stdio

pytestmark = [pytest.mark.root, pytest.mark.system_files]

_LARGE = 65 << 20
"""Above `_EAGER_BYTES` of pcache/observe/conditions/versions.py."""


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


def test_mapped_while_it_is_read(bench: Bench) -> None:
    """It is so large that its digest is taken when its reader has ended."""
    file = bench.directory / "a"
    with file.open("w+b") as opened:
        opened.truncate(_LARGE)
        with mmap.mmap(opened.fileno(), 0) as mapped:
            mapped[-4:] = b"one\n"
            time.sleep(SETTLE_SECONDS)
            script = "tail -c 4 a; : >read; sleep 1"
            arguments = (("sh", "-c", script), bench.directory, bench.env, Stdio())

            def store() -> None:
                while not (bench.directory / "read").exists():
                    time.sleep(0.01)
                mapped[-4:] = b"two\n"

            storing = threading.Thread(target=store)
            storing.start()
            assert bench.launcher.trace(*arguments).stdout == b"one\n"
            storing.join()
            assert bench.launcher.replay(*arguments).stdout == b"two\n"
