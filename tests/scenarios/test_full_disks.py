"""Stores on disks that are full or read-only."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.conftest import SUDO
from tests.lib.differential import Bench
from tests.lib.launch import Stdio
from tests.lib.scenario import ROOT_HIT
from tests.lib.small import COMMAND, PRINTED, objects, replay, trace

pytestmark = [pytest.mark.root, pytest.mark.system_files]


@pytest.fixture
def full_disk(prepared: Bench) -> Iterator[Bench]:
    """A store on a file system of 1 MiB."""
    mount = [*SUDO, "mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "none"]
    subprocess.run([*mount, str(prepared.store)], check=True)
    try:
        yield prepared
    finally:
        subprocess.run([*SUDO, "umount", "-l", str(prepared.store)], check=True)


def test_full_store(full_disk: Bench) -> None:
    (full_disk.store / "filler").write_bytes(b"x" * 900_000)
    done = trace(full_disk)
    assert done.ended == PRINTED
    assert done.own.count("\n") <= 4
    assert replay(full_disk).ended == PRINTED


def fill(bench: Bench) -> None:
    """Leaves no byte free."""
    with suppress(OSError), (bench.store / "filler").open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass


def test_what_a_full_disk_holds_is_used(full_disk: Bench) -> None:
    trace(full_disk)
    fill(full_disk)
    hit = replay(full_disk, "-v")
    assert hit.ended == PRINTED
    assert ROOT_HIT.faults(hit) == []
    (full_disk.directory / "out").unlink()
    hit = full_disk.launcher.run(COMMAND, full_disk.directory, full_disk.env, Stdio(), ("-v",))
    assert hit.ended == PRINTED
    assert ROOT_HIT.faults(hit) == []


@pytest.mark.parametrize("verb", [("gc", "--max-size", "0"), ("clear", "--yes")])
def test_room_is_made_on_a_full_disk(full_disk: Bench, verb: tuple[str, ...]) -> None:
    trace(full_disk)
    assert objects(full_disk)
    time.sleep(2.1)  # what was put just now is spared
    fill(full_disk)
    command = (full_disk.launcher.pcache, *verb)
    done = full_disk.launcher.plain(command, full_disk.directory, full_disk.env, Stdio())
    assert (done.status, done.stderr) == (0, b"")
    assert not objects(full_disk)
    missed = replay(full_disk)
    assert (missed.ended, missed.counters["hits"]) == (PRINTED, 0)
    assert missed.counters["miss: damaged"] == 0


def test_what_a_read_only_disk_holds_is_used(full_disk: Bench) -> None:
    trace(full_disk)
    subprocess.run([*SUDO, "mount", "-o", "remount,ro", str(full_disk.store)], check=True)
    hit = replay(full_disk, "-v")
    assert hit.ended == PRINTED
    assert ROOT_HIT.faults(hit) == []
    command = (full_disk.launcher.pcache, "gc", "--max-size", "0")
    done = full_disk.launcher.plain(command, full_disk.directory, full_disk.env, Stdio())
    assert done.status == 125
    assert done.stderr.startswith(b"pcache: the store cannot be tidied up: ")


def test_store_fills_up_while_recording(full_disk: Bench) -> None:
    command = ("sh", "-c", "seq 400000 >out; echo done")
    words = (command, full_disk.directory, full_disk.env, Stdio())
    done = full_disk.launcher.trace(*words, ())
    assert done.ended == (0, b"done\n", b"")
    assert done.counters["records stored"] == 0 or "stored" in done.own
    again = full_disk.launcher.replay(*words, ())
    assert again.ended == (0, b"done\n", b"")
    assert (full_disk.directory / "out").stat().st_size == 2688895


def test_spool_fills_up(full_disk: Bench) -> None:
    """What the command prints does not fit where events are kept: the recording ends, it does
    not."""
    command = ("sh", "-c", "seq 400000; echo done >&2; exit 5")
    words = (command, full_disk.directory, full_disk.env, Stdio())
    printed = "".join(f"{n}\n" for n in range(1, 400001)).encode()
    done = full_disk.launcher.trace(*words, ())
    assert done.ended == (5, printed, b"done\n")
    assert "nothing of this run is stored: cannot write the spool: No space left" in done.own
    assert done.counters["records stored"] == done.counters["records known"] == 0
    assert done.counters["uncacheable: left a process running"] == 0
    again = full_disk.launcher.replay(*words, ())
    assert again.ended == (5, printed, b"done\n")
    assert again.counters["hits"] == 0
