"""A hit that takes long to put in place delays nobody but whoever waits for that program."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.enforce.lab import PYTHON, Lab, wait_for
from tests.unit.enforce.records import Records

pytestmark = pytest.mark.alone  # how long it takes is asserted

SLOW_MS = 600
MEGABYTES = 300


@pytest.fixture
def slow(lab: Lab) -> str:
    return lab.program(f"hitslow-3-{SLOW_MS}")


@pytest.fixture(params=["killable", "stop first"])
def order(request: pytest.FixtureRequest) -> dict[str, str]:
    """Both orders of effects and stop."""
    return {} if request.param == "killable" else {"PCACHE_TEST_STOP_FIRST": "1"}


def of(report: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [d for d in report["decisions"] if name in d["executable"]]


def test_others_are_decided_meanwhile(
    lab: Lab, intercept: str, order: dict[str, str], slow: str
) -> None:
    loop = "for i in 1 2 3 4 5 6 7 8; do bin/hit-0; bin/real; done"
    result = lab.run(["sh", "-c", f"{{ {slow}; echo $?; }} & {loop}; wait"], intercept, order)
    assert result.out == "0123456789abcde\n3\n"
    [it] = of(result.report, "hitslow")
    assert it["ended"] - it["began"] >= SLOW_MS * 1e6
    between = [d for d in result.report["decisions"] if it["began"] < d["ended"] < it["ended"]]
    assert len(between) >= 8


def test_several_at_once(lab: Lab, intercept: str, order: dict[str, str], slow: str) -> None:
    """They do not wait for each other either."""
    started = time.monotonic()
    script = f"for i in 1 2 3 4 5 6; do {slow} & done; wait"
    result = lab.run(["sh", "-c", script], intercept, order)
    assert (result.out, result.report["applied"]) == ("0123456789abcde\n" * 6, 6)
    assert time.monotonic() - started < 6 * SLOW_MS / 1000


@pytest.mark.parametrize(
    ("signal", "order"),
    # One that is stopped first takes other signals than SIGKILL when it is released.
    [("KILL", {}), ("KILL", {"PCACHE_TEST_STOP_FIRST": "1"}), ("TERM", {})],
    ids=["KILL", "KILL, stop first", "TERM"],
)
def test_killed_meanwhile(
    lab: Lab, intercept: str, order: dict[str, str], slow: str, signal: str
) -> None:
    """The death shows at once, and nothing of the outcome does."""
    script = f"{slow} & sleep 0.2; kill -{signal} $!; wait $!; echo $?; bin/hit-7; echo $?"
    result = lab.run(["bash", "-c", script], intercept, order)
    assert result.out.split() == [str(128 + {"KILL": 9, "TERM": 15}[signal]), "7"]
    assert result.report["failures"] == 0
    [it] = of(result.report, "hitslow")
    assert it["verdict"] == "run"


def test_the_command_ends_meanwhile(lab: Lab, intercept: str) -> None:
    """We do not wait for it: its program runs, without us."""
    slow = lab.program("hitslow-3-20000")
    ended = lab.directory / f"ended-{intercept}"
    started = time.monotonic()
    script = f"{{ {slow}; echo $? >{ended}; }} >/dev/null 2>&1 & sleep 0.3; exit 6"
    assert lab.run(["sh", "-c", script], intercept).status == 6
    assert time.monotonic() - started < 15
    assert wait_for(ended) == "99\n"


def test_the_supervisor_is_killed_meanwhile(lab: Lab, intercept: str, slow: str) -> None:
    """The guardian knows of it."""
    begun, ended = (lab.directory / f"{when}-killed-{intercept}" for when in ("begun", "ended"))
    process = lab.start(["sh", "-c", f"echo >{begun}; {slow}; echo $? >{ended}"], intercept)
    wait_for(begun)
    time.sleep(0.4)
    process.kill()
    process.wait()
    assert wait_for(ended) == "99\n"


TINY_MEANWHILE = """
import os, signal, time
for number in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_DFL)  # as what is on record: Python ignores them
big = os.fork()
if big == 0:
    os.execvp("real", ["real", "big"])
taken = []
while not (ended := os.waitpid(big, os.WNOHANG))[0]:
    began = time.monotonic()
    status = os.spawnvp(os.P_WAIT, "real", ["real", "tiny"])
    taken.append(time.monotonic() - began)
    assert status == 4, status
print(ended[1] >> 8, *taken)
"""
"""By fork: who starts programs by vfork, as subprocess does, waits for the execve."""


def test_a_large_file(lab: Lab, pcache: str, tmp_path: Path, intercept: str) -> None:
    """Real bytes, really copied: programs that hit go on being decided in a few milliseconds."""
    records = Records(tmp_path, lab, pcache)
    block = os.urandom(1 << 20)
    content = block * MEGABYTES
    records.record(["real", "big"], 5 << 8, {"large": content})
    records.record(["real", "tiny"], 4 << 8)
    command = ["-q", "--intercept", intercept, PYTHON, "-c", TINY_MEANWHILE]
    done = records.replay(*command)
    assert (done.returncode, done.stderr, records.ran) == (0, "", False)
    status, *words = done.stdout.split()
    taken = sorted(map(float, words))
    assert status == "5"
    assert (tmp_path / "large").stat().st_size == len(content)
    with open(tmp_path / "large", "rb") as file:
        while piece := file.read(1 << 20):
            assert piece == block
    print(f"{len(taken)} tiny hits: median {statistics.median(taken):.4f} s, worst {taken[-1]:.4f}")
    assert len(taken) >= 10
    assert statistics.median(taken) < 0.1


def test_a_large_file_that_is_right_stays(lab: Lab, pcache: str, tmp_path: Path) -> None:
    records = Records(tmp_path, lab, pcache)
    content = os.urandom(1 << 20) * 3
    records.record(["real", "big"], 5 << 8, {"large": content})
    large = tmp_path / "large"
    large.write_bytes(content)
    large.chmod(0o640)
    inode = large.stat().st_ino
    assert records.replay("-q", "sh", "-c", "real big; :").returncode == 0
    assert (large.stat().st_ino, records.ran) == (inode, False)
    large.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert records.replay("-q", "sh", "-c", "real big; :").returncode == 0
    assert (large.read_bytes() == content, records.ran) == (True, False)


@pytest.mark.parametrize("damage", [b"x", b""], ids=["changed", "short"])
def test_a_large_content_that_is_damaged(
    lab: Lab, pcache: str, tmp_path: Path, intercept: str, damage: bytes
) -> None:
    """Found only by the thread: the program runs, and nothing has changed before."""
    records = Records(tmp_path, lab, pcache)
    records.record(["real", "big"], 5 << 8, {"large": os.urandom(3 << 20), "small": b"s"})
    [stored] = [p for p in tmp_path.glob("cache/pcache/objects/*/*") if p.stat().st_size > 1 << 20]
    stored.chmod(0o600)
    stored.write_bytes(stored.read_bytes()[:-1] + damage)
    done = records.replay("-v", "--intercept", intercept, "sh", "-c", "real big; echo $?")
    assert (done.stdout, records.ran) == ("99\n", True)
    assert "pcache: run   real big   a stored content is damaged" in done.stderr
    assert not (tmp_path / "large").exists() and not (tmp_path / "small").exists()


def test_large_output(lab: Lab, pcache: str, tmp_path: Path, intercept: str) -> None:
    """Streams of that size are read by the thread, too."""
    records = Records(tmp_path, lab, pcache)
    data = os.urandom(1 << 20) * 5
    records.record(["real", "says"], 5 << 8, chunks=((1, data),), fds=(b"null", b"file", b"pipe"))
    script = "real says >out; echo $?"
    done = records.replay("-q", "--intercept", intercept, "sh", "-c", script)
    assert (done.stdout, records.ran) == ("5\n", False)
    assert (tmp_path / "out").read_bytes() == data


def test_many_small_files(lab: Lab, pcache: str, tmp_path: Path, intercept: str) -> None:
    records = Records(tmp_path, lab, pcache)
    outputs = {f"file{n}": b"%d\n" % n for n in range(500)}
    records.record(["real", "many"], 0, outputs)
    done = records.replay("-q", "--intercept", intercept, "sh", "-c", "real many; :")
    assert (done.returncode, records.ran) == (0, False)
    assert all((tmp_path / name).read_bytes() == data for name, data in outputs.items())


def test_no_room_for_a_large_file(lab: Lab, pcache: str, tmp_path: Path, intercept: str) -> None:
    """The program meets the full disk itself, and nothing is left of our attempt."""
    place = tmp_path / "full"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=777", "none", str(place)]
    subprocess.run(mount, check=True)
    try:
        records = Records(tmp_path, lab, pcache)
        records.record(["real", "big"], 0, {"full/small": b"s", "full/large": os.urandom(3 << 20)})
        done = records.replay("-v", "--intercept", intercept, "sh", "-c", "real big; echo $?")
        assert (done.stdout, records.ran) == ("99\n", True)
        assert "pcache: run   real big   " in done.stderr
        assert list(place.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
