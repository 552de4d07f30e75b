"""`pcache replay` with records made by hand: root hits, child hits, bad use."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest

from tests.unit.enforce.lab import Lab
from tests.unit.enforce.records import Records

DATA = b"recorded\n"


@pytest.fixture
def bench(tmp_path: Path, lab: Lab, pcache: str) -> Records:
    return Records(tmp_path, lab, pcache)


def test_root_hit(bench: Records) -> None:
    chunks = ((1, b"out\n"), (2, b"err\n"), (1, b"more\n"))
    bench.record(["real", "a"], 7 << 8, {"made": DATA}, chunks)
    done = bench.replay("-q", "--json", "counters", "real", "a")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\nmore\n", "err\n")
    made = bench.directory / "made"
    assert (made.read_bytes(), made.stat().st_mode & 0o7777, bench.ran) == (DATA, 0o640, False)
    report = json.loads((bench.directory / "counters").read_text())
    assert (report["counters"]["hits"], report["counters"]["misses"]) == (1, 0)
    assert report["counters"]["files restored"] == 1
    assert report["supervisor"] == {}


def test_changed_input_runs(bench: Records) -> None:
    bench.record(["real", "a"])
    assert bench.replay("-q", "real", "a").returncode == 0
    bench.input.write_text("2")
    done = bench.replay("-v", "real", "a")
    assert (done.returncode, bench.ran) == (99, True)
    miss, summary = done.stderr.splitlines()
    assert miss == f"pcache: miss  real a   input changed: {bench.input}"
    assert summary == "pcache: 0 of 1 program brought back; 1 ran (input changed: input)"


def test_root_hit_dies_by_the_signal(bench: Records) -> None:
    for signal in (2, 9, 11, 15):
        bench.record(["real", str(signal)], signal, chunks=((1, DATA),))
        done = bench.replay("-q", "real", str(signal))
        assert (done.returncode, done.stdout) == (-signal, DATA.decode())
    assert not list(bench.directory.glob("core*"))


def test_what_is_told_does_not_cut_into_what_the_command_prints(bench: Records) -> None:
    """Such as progress bars: they end when the command does."""
    script = "printf '12%%' >&2; real a; printf '..100%%\\n' >&2"
    done = bench.replay("-v", "dash", "-c", script)
    first, *told, _ = done.stderr.splitlines()
    assert first == "12%..100%"
    assert told[-1] == "pcache: miss  real a   unknown call"


def test_child_hit(bench: Records, intercept: str) -> None:
    bench.record(["real", "a"], 7 << 8, {"made": DATA}, ((1, b"out\n"), (2, b"err\n")))
    script = "real a; echo $?; real b; echo $?"
    done = bench.replay("--intercept", intercept, "-v", "dash", "-c", script)
    assert (done.stdout, (bench.directory / "ran").read_text()) == ("out\n7\n99\n", "real\n")
    assert (bench.directory / "made").read_bytes() == DATA
    *told, summary = done.stderr.splitlines()
    assert told == [
        "err",
        f"pcache: miss  dash -c {script}   unknown call",
        "pcache: hit   real a",
        "pcache: miss  real b   unknown call",
    ]
    assert re.fullmatch(
        r"pcache: 1 of 3 programs brought back, saved .* of .*; 2 ran \(unknown call\)", summary
    )


def test_output_that_nobody_reads(bench: Records) -> None:
    """The command meets its broken pipe itself, before anything was restored."""
    bench.record(["real", "a"], 0, {"made": DATA}, ((1, DATA),))
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [bench.pcache, "replay", "-q", "real", "a"],
        cwd=bench.directory,
        env=bench.env,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, bench.ran) == (99, True)
    assert not (bench.directory / "made").exists()


def test_damaged_index(bench: Records) -> None:
    store = bench.directory / "cache/pcache"
    store.mkdir(parents=True, mode=0o700)
    (store / "index.db").write_bytes(b"no database at all, but long enough" * 100)
    done = bench.replay("real", "a")
    assert (done.returncode, bench.ran) == (99, True)
    assert done.stderr.splitlines()[-1] == "pcache: the command runs without pcache"


def test_store_that_cannot_be_made(bench: Records) -> None:
    bench.env["XDG_CACHE_HOME"] = str(bench.input)
    done = bench.replay("sh", "-c", "real a; exit 5")
    assert (done.returncode, bench.ran) == (5, True)
    assert "pcache: cannot open the store" in done.stderr


def test_bad_use(bench: Records) -> None:
    (bench.directory / "plain").write_text("")
    for words, status, message in (
        ([], 2, "no command to replay"),
        (["--intercept", "nowhere", "true"], 2, "--intercept nowhere"),
        (["no-such-command"], 127, "no-such-command: no such command"),
        (["./plain"], 126, "./plain: cannot be executed"),
        (["."], 126, ".: cannot be executed"),
    ):
        done = bench.replay(*words)
        assert (done.returncode, done.stdout) == (status, "")
        assert done.stderr.startswith(f"pcache: {message}")


def test_file_of_no_format(bench: Records) -> None:
    """As execvp(3) has it: a shell script."""
    script = bench.directory / "script"
    script.write_text("exit 6\n")
    script.chmod(0o755)
    assert bench.replay("-q", "./script").returncode == 6


def test_environment_is_passed_raw(bench: Records) -> None:
    """Python's own os.environ drops duplicates and entries without `=`, and adds LC_CTYPE."""
    command = [bench.pcache, "replay", "-q", "cat", "/proc/self/environ"]
    entries = [b"A=1", b"A=2", b"odd", b"XDG_CACHE_HOME=" + bytes(bench.directory), b"PATH=/bin"]
    code = (
        "import sys; from pcache.enforce import syscalls\n"
        f"syscalls.execve({os.fsencode(command[0])!r}, "
        f"{tuple(map(os.fsencode, command))!r}, {tuple(entries)!r})\n"
    )
    library = str(Path(bench.pcache).parent / "lib")
    done = subprocess.run(
        ["/usr/bin/python3", "-c", f"import sys; sys.path.insert(0, {library!r}); {code}"],
        capture_output=True,
        check=True,
    )
    assert done.stdout.split(b"\0")[:-1] == entries


def test_closed_descriptors_stay_closed(bench: Records) -> None:
    """And the store's files do not end up there."""
    command = f"{bench.pcache} replay -q ls /proc/self/fd"
    done = subprocess.run(
        ["bash", "-c", f"{command} <&- 2>&-"],
        env=bench.env,
        capture_output=True,
        text=True,
        check=True,
    )
    # ls opens the directory as the lowest free one.
    assert done.stdout.split() == ["0", "1"]


def test_interrupt_while_the_command_is_looked_up_leaves_nothing(bench: Records) -> None:
    """Ctrl-C ends a root hit that waits for its reader, by the signal."""
    bench.record(["real", "a"], 0, {}, ((1, DATA * 30000),))
    with subprocess.Popen(
        [bench.pcache, "replay", "-q", "real", "a"],
        cwd=bench.directory,
        env=bench.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        time.sleep(0.5)
        process.send_signal(2)
        assert process.wait(60) == -2


def test_nothing_heavy_before_the_first_decision(bench: Records) -> None:
    bench.record(["real", "a"], 0, {"made": DATA}, ((1, DATA),))
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(bench.pcache).parent / 'lib')!r})\n"
        f"sys.path += [{sysconfig.get_path('platlib')!r}, '/usr/lib/python3/dist-packages']\n"
        "before = set(sys.modules)\n"
        "from pcache.cli.main import main\n"
        "assert main(['replay', '-q', 'real', 'a']) == 0\n"
        "print(*sorted(set(sys.modules) - before), sep='\\n', file=sys.stderr)\n"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-IS", "-c", code],
        cwd=bench.directory,
        env=bench.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stderr.split())
    heavy = (
        "dataclasses typing enum argparse json pathlib signal subprocess socket pydantic rich bcc "
        "pyseccomp re ctypes contextlib functools collections pcache.enforce.supervisor"
    )
    assert not loaded & set(heavy.split())
    assert "pcache.memo.decide" in loaded
