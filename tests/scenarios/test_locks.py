"""Locks: whether somebody holds one, and that one is left on a descriptor of the caller's."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Callable

import pytest

from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Stdio

pytestmark = pytest.mark.root

PYTHON = "/usr/bin/python3 -ISc"
OFD_SETLK = 37


def python(call: str, mode: str = "w") -> str:
    """A command that says whether it got a lock of `lk`, open as `f`."""
    return (
        f'{PYTHON} \'import fcntl\nf = open("lk", "{mode}")\ntry:\n    {call}\n    print("got")\n'
        'except OSError:\n    print("busy")\''
    )


EXCLUSIVE = python("fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)")
SHARED = python("fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)", "r")
RECORD = python("fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)")
RECORD_SHARED = python("fcntl.lockf(f, fcntl.LOCK_SH | fcntl.LOCK_NB)", "r")
DESCRIPTION = python('import struct; fcntl.fcntl(f, 37, struct.pack("hhqqi", 1, 0, 0, 0, 0))')
ASKED = python(
    'import struct; r = fcntl.fcntl(f, 5, struct.pack("hhqqi", 1, 0, 0, 0, 0));'
    ' print(struct.unpack("hhqqi", r)[0])'
)


def by_flock(fd: int) -> None:
    fcntl.flock(fd, fcntl.LOCK_EX)


def by_shared_flock(fd: int) -> None:
    fcntl.flock(fd, fcntl.LOCK_SH)


def by_record(fd: int) -> None:
    fcntl.lockf(fd, fcntl.LOCK_EX)


def by_description(fd: int) -> None:
    fcntl.fcntl(fd, OFD_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))


CASES: list[tuple[str, Callable[[int], None]]] = [
    ("flock -n lk echo got || echo busy", by_flock),
    (EXCLUSIVE, by_flock),
    (EXCLUSIVE, by_shared_flock),
    (SHARED, by_flock),
    (RECORD, by_record),
    (RECORD_SHARED, by_record),
    (RECORD, by_description),
    (DESCRIPTION, by_record),
    (DESCRIPTION, by_description),
    (ASKED, by_record),
    ("exec 9>lk; flock -n 9 || echo busy", by_flock),
    (f"{EXCLUSIVE}; mv lk other", by_flock),
]


@pytest.mark.parametrize("script, lock", CASES)
@pytest.mark.parametrize("below", [False, True], ids=["root", "child"])
def test_a_lock_that_somebody_holds(
    bench: Bench, script: str, lock: Callable[[int], None], below: bool
) -> None:
    arguments = (bench.directory, bench.env, Stdio())
    inner = ("sh", "-c", script)
    command = ("sh", "-c", 'sh -c "$1"; exit 0', "sh", script) if below else inner
    place = bench.directory / "lk"
    place.touch()
    time.sleep(SETTLE_SECONDS)
    bench.launcher.trace(inner, *arguments)
    place.touch()
    assert bench.launcher.replay(inner, *arguments).counters["hits"] > 0
    for name in ("other", "lk"):
        (bench.directory / name).unlink(missing_ok=True)
    fd = os.open(place, os.O_RDWR | os.O_CREAT, 0o644)
    lock(fd)
    expected = bench.launcher.plain(command, *arguments).stdout
    (bench.directory / "other").unlink(missing_ok=True)
    os.close(fd)
    fd = os.open(place, os.O_RDWR | os.O_CREAT, 0o644)
    lock(fd)
    try:
        assert bench.launcher.replay(command, *arguments).stdout == expected
    finally:
        os.close(fd)


def test_readers_do_not_keep_out_each_other(bench: Bench) -> None:
    arguments = (bench.directory, bench.env, Stdio())
    (bench.directory / "lk").touch()
    time.sleep(SETTLE_SECONDS)
    bench.launcher.trace(("sh", "-c", SHARED), *arguments)
    fd = os.open(bench.directory / "lk", os.O_RDONLY)
    by_shared_flock(fd)
    try:
        done = bench.launcher.replay(("sh", "-c", SHARED), *arguments)
    finally:
        os.close(fd)
    assert (done.stdout, done.counters["hits"]) == (b"got\n", 1)


@pytest.mark.parametrize("lock", ["flock -n 9", f"{PYTHON} 'import fcntl; fcntl.flock(9, 2)'"])
def test_a_lock_that_is_left(bench: Bench, lock: str) -> None:
    """On a descriptor that the caller goes on with."""
    arguments = (bench.directory, bench.env, Stdio())
    script = f"exec 9>lk; {lock}; flock -n lk echo free || echo held"
    bench.launcher.trace(("sh", "-c", script), *arguments)
    assert bench.launcher.replay(("sh", "-c", f"{script}; :"), *arguments).stdout == b"held\n"
