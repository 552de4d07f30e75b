"""Programs of which nothing is known by their arguments: they run, and nothing else is read."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from threading import Thread

import pytest

from pcache.enforce import startup
from pcache.enforce.intercept import Entry
from pcache.enforce.loader import Loader
from tests.unit.enforce.lab import Lab
from tests.unit.enforce.records import Records

TELL = {"PCACHE_TEST_UNKNOWN": "1"}


@pytest.fixture
def bench(tmp_path: Path, lab: Lab, pcache: str) -> Records:
    return Records(tmp_path, lab, pcache)


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    learnt = startup.learn(bytes(tmp_path), Entry.rules).loader
    assert learnt is not None
    return learnt


def test_unknown_program_runs(lab: Lab) -> None:
    """The same program hits under another name: the arguments alone decide."""
    result = lab.run(["bash", "-c", "(exec -a unknown hit-5); echo $?; hit-5; echo $?"], env=TELL)
    assert result.out == "99\n5\n"
    assert result.report["decided"] == 3  # bash, and both


def test_unknown_program_is_not_decided_later(lab: Lab) -> None:
    """What looks like the start of an image comes from one that has run for a while."""
    lab.compile("again.c", "again")
    lab.program("hit-5-again", "again")
    script = "(exec -a unknown hit-5-again); echo $?; hit-5-again; echo $?"
    result = lab.run(["bash", "-c", script], env=TELL)
    assert result.out == "99\n5\n"


def test_unknown_program_executes_another(lab: Lab) -> None:
    """The image changes, the process stays: what it becomes is decided, whatever its library."""
    for name in ("hit-6", "hit-7-static", "hit-8-musl"):
        script = f"exec -a unknown bash -c 'exec {name}'"
        result = lab.run(["bash", "-c", f"({script}); echo $?"], env=TELL)
        assert result.out == name.split("-")[1] + "\n"


def test_many_arguments(lab: Lab) -> None:
    """More than are looked at in advance: decided like any other call."""
    many = " ".join(map(str, range(500)))
    result = lab.run(["bash", "-c", f"hit-9 {many}; echo $?"], env=TELL)
    assert result.out == "9\n"


@pytest.mark.parametrize("count", [1, 2, 100])
def test_arguments(loader: Loader, count: int) -> None:
    """Of a running process: where its stack began does not change."""
    words = [b"sleep", *(b"%d" % (60 + number) for number in range(count))]
    with subprocess.Popen(words, executable=shutil.which("sleep")) as process:
        try:
            base = 0
            while not base:
                time.sleep(0.01)
                base = _loader_of(process.pid)
            start = loader.start(process.pid, base + loader.stop)
            assert start is not None
            assert start.argv == tuple(words)
            environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")[:-1]
            assert start.rest()[0] == tuple(environment)
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            assert start.stack == int(fields[25])
            assert loader.start(process.pid, base + loader.stop + 16) is None
            assert loader.start(process.pid, base + loader.stop + (1 << 30)) is None
        finally:
            process.kill()
    assert loader.start(process.pid, base + loader.stop) is None


def _loader_of(pid: int) -> int:
    """Where the loader of a process that sleeps is."""
    if Path(f"/proc/{pid}/comm").read_text() != "sleep\n":
        return 0
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if "/ld-linux" in line:
            return int(line.partition("-")[0], 16)
    return 0


def test_records_added_meanwhile_are_found(bench: Records) -> None:
    """What was unknown is not remembered: another session may record it at any time."""

    def record() -> None:
        while not bench.ran:
            time.sleep(0.01)
        bench.record(["real", "a"], 7 << 8)
        (bench.directory / "recorded").touch()

    script = "real a; echo $?; until test -e recorded; do sleep 0.01; done; real a; echo $?"
    thread = Thread(target=record)
    thread.start()
    done = bench.replay("-q", "dash", "-c", script)
    thread.join()
    assert done.stdout == "99\n7\n"


def test_counted_as_misses(bench: Records) -> None:
    done = bench.replay("dash", "-c", "real a; real b; :")
    assert done.stderr.startswith("pcache: 0 of 3 programs brought back; 3 ran (unknown call)")
