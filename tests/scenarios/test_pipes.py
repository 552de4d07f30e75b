"""Programs that read from pipes within a script come back when the script has changed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Result, Stdio

pytestmark = pytest.mark.root

SMALL = "seq 300 | grep 7 | sed s/7/x/ | sort -r | uniq -c | sort -rn >counts\n"
LARGE = "seq 200000 | sort -r | sort -n | sort -r | tail -n 1\n"
CUT_SHORT = "seq 60000 | sort -r | {reader}; seq 60000 | sort -r | {reader}\n"
RECORDED = {"replay": "trace", "run": "run"}


def ran(bench: Bench, verb: str, script: str) -> Result:
    """A run of a script, told decision by decision."""
    (bench.directory / "s.sh").write_text(script)
    time.sleep(SETTLE_SECONDS)
    options = ("-v",) if verb != "trace" else ("-q",)
    start = getattr(bench.launcher, verb)
    result: Result = start(("sh", "s.sh"), bench.directory, bench.env, Stdio(), options)
    return result


def wait_for(path: Path) -> None:
    until = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.01)


def verdicts(result: Result) -> dict[str, str]:
    """Command -> hit, miss or run."""
    return {one.command: one.verdict for one in result.decisions}


@pytest.mark.parametrize("verb", RECORDED)
@pytest.mark.parametrize("script", [SMALL, LARGE], ids=["small", "large"])
def test_filters(bench: Bench, verb: str, script: str) -> None:
    first = ran(bench, RECORDED[verb], script)
    again = ran(bench, verb, script + "# changed\n")
    assert again.ended == first.ended
    found = verdicts(again)
    assert found.pop("sh s.sh") == "miss"
    assert set(found.values()) == {"hit"}, found


def test_what_runs_on_another_pipe_is_not_recorded(bench: Bench) -> None:
    ran(bench, "run", CUT_SHORT.format(reader="cksum"))
    script = CUT_SHORT.format(reader="head -n 1")
    cut = ran(bench, "run", script)
    assert verdicts(cut)["sort -r"] == "run"
    assert cut.stdout == b"9999\n9999\n"
    other = ran(bench, "run", script.replace("60000", "60"))
    assert verdicts(other)["sort -r"] == "miss"
    assert other.stdout == b"9\n9\n"


def test_changed_input(bench: Bench) -> None:
    ran(bench, "trace", SMALL)
    again = ran(bench, "replay", SMALL.replace("300", "301"))
    assert verdicts(again)["grep 7"] == "miss"
    other = ran(bench, "replay", SMALL.replace("300", "370"))
    assert verdicts(other)["grep 7"] == "miss"
    assert (bench.directory / "counts").read_bytes().count(b"\n") > 40


def test_a_conversation_goes_on(bench: Bench) -> None:
    """Who is waited for in vain is let go before long."""
    script = "coproc sed -u 's/$/!/'; echo a >&${COPROC[1]}; read b <&${COPROC[0]}; echo $b\n"
    script = f"bash -c '{script.replace(chr(39), chr(34))}exec {{COPROC[1]}}>&-; wait'\n"
    assert ran(bench, "trace", script).stdout == b"a!\n"
    began = time.monotonic()
    again = ran(bench, "replay", script.replace("echo $b", "echo $b;"))
    assert again.stdout == b"a!\n"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("delay", [0, 0.02, 0.05, 0.1, 0.15, 0.2])
def test_supervisor_killed(bench: Bench, pcache: str, delay: float) -> None:
    """Who is held then runs, and so does who was given another pipe."""
    script = ": >begun; (sleep 0.1; seq 50) | sort -r >a; seq 60000 | sort -r >b; : >done\n"
    ran(bench, "trace", script)
    names = ("begun", "a", "b", "done")
    want = {name: (bench.directory / name).read_bytes() for name in names}
    for name in names:
        (bench.directory / name).unlink()
    (bench.directory / "s.sh").write_text(script + "# changed\n")
    process = subprocess.Popen(
        [pcache, "replay", "sh", "s.sh"], cwd=bench.directory, env=bench.env, process_group=0
    )
    wait_for(bench.directory / "begun")
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(bench.directory / "done")
    assert {name: (bench.directory / name).read_bytes() for name in names} == want


@pytest.mark.parametrize("verb", RECORDED)
def test_shared_pipe(bench: Bench, verb: str) -> None:
    """What the first reader reads is not there for the second one."""
    script = "seq 5 | (sort -r; echo --; wc -l)\n"
    first = ran(bench, RECORDED[verb], script)
    again = ran(bench, verb, script + "# changed\n")
    assert again.ended == first.ended
    found = verdicts(again)
    assert {found["sort -r"], found["wc -l"]} == {"hit"}


def test_pipe_of_the_command(bench: Bench) -> None:
    """What came from outside of what is recorded is nobody's input."""
    command = ("sh", "-c", "sort; true")
    stdio = Stdio(stdin=b"b\na\n")
    told = bench.launcher.trace(command, bench.directory, bench.env, stdio, ("-q", "--explain"))
    assert told.refused["sort"].endswith("descriptor 0, a pipe")
