"""`replay --check`: what would be replayed runs for real and is held against the record."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from pathlib import Path

import pytest

from pcache.model import Outcome, Output
from pcache.store.index import Store
from tests.conftest import SUDO, Run
from tests.lib.differential import Bench
from tests.lib.edits import write
from tests.lib.falsify import falsify
from tests.lib.launch import Launcher, Result, Stdio

pytestmark = [pytest.mark.root, pytest.mark.system_files]

MAKEFILE = """\
all: hello
\t./hello >said
hello: main.o text.o
\t$(CC) -o $@ $^
"""
MAIN = """\
extern const char *text;
int puts(const char *);
int main(void) { return puts(text) < 0; }
"""
MAKE = ("make", "-s")
SCRIPT = ("sh", "-c", "cat in >out; sh -c 'echo said; exit 3'")


@pytest.fixture
def checks(bench: Bench, pcache: str) -> Bench:
    """A check needs root, as a trace does."""
    bench.launcher = Launcher(pcache, bench.directory.parent, user=SUDO)
    write("in", "in\n")(bench.directory)
    return bench


def trace(bench: Bench, command: tuple[str, ...]) -> Result:
    done = bench.launcher.trace(command, bench.directory, bench.env, Stdio())
    assert done.counters["records stored"] > 0
    return done


def check(bench: Bench, command: tuple[str, ...]) -> Result:
    return bench.launcher.replay(
        command, bench.directory, bench.env, Stdio(), ("--check", "--verbose")
    )


def verdicts(result: Result) -> dict[str, list[str]]:
    """Commands by what was said about them."""
    found: dict[str, list[str]] = {}
    for line in result.own.splitlines():
        verdict, _, rest = line.removeprefix("pcache: ").partition(" ")
        found.setdefault(verdict, []).append(rest.strip())
    return found


def test_a_build_is_equal_and_really_ran(checks: Bench) -> None:
    for name, text in (("Makefile", MAKEFILE), ("main.c", MAIN)):
        write(name, text)(checks.directory)
    write("text.c", 'const char *text = "hello";\n')(checks.directory)
    trace(checks, MAKE)
    made = checks.directory / "main.o"
    first = made.read_bytes()
    for name in ("hello", "said", "main.o", "text.o"):
        (checks.directory / name).unlink()
    done = check(checks, MAKE)
    assert done.status == 0
    assert done.counters["checks"] >= 6  # make, two compilers, two assemblers or so, hello
    assert done.counters["checks equal"] >= 6
    assert done.counters["checks different"] == 0
    assert done.counters["hits"] == done.counters["files restored"] == 0
    assert done.counters["records stored"] == 0
    assert "make -s" in verdicts(done)["equal"]
    assert (made.read_bytes(), (checks.directory / "said").read_bytes()) == (first, b"hello\n")


def test_nothing_is_wrong_with_what_misses(checks: Bench) -> None:
    trace(checks, SCRIPT)
    write("in", "another\n")(checks.directory)
    done = check(checks, SCRIPT)
    assert (done.status, done.stdout) == (3, b"said\n")
    assert done.counters["misses"] == 2  # the script and cat
    assert done.counters["checks equal"] == done.counters["checks"] == 1
    assert (checks.directory / "out").read_text() == "another\n"


@pytest.mark.parametrize(
    ("outcome", "what"),
    [
        (Outcome(5 << 8), "exit status (0x500, 0x300)"),
        (Outcome(0, data=b"-"), "standard output"),
        (Outcome(0, outputs=(Output(b"-", b"/nowhere"),)), "output /nowhere"),
    ],
)
def test_a_wrong_record_is_found_and_never_used_again(
    checks: Bench, outcome: Outcome, what: str
) -> None:
    trace(checks, SCRIPT)
    if outcome.data:
        with Store.open(os.fsencode(checks.store / "pcache")) as store:
            outcome = Outcome(0, data=store.blobs.put_bytes(b"lied\n"))
            store.blobs.flush()
    inner = (b"sh", b"-c", b"echo said; exit 3")
    falsify(checks.store, inner, outcome)
    done = check(checks, SCRIPT)
    assert (done.status, done.stdout) == (124, b"said\n")
    assert verdicts(done)["different"] == [f"sh -c echo said; exit 3   {what}"]
    assert done.counters["checks different"] == 1
    assert done.counters["checks equal"] == done.counters["checks"] - 1 == 2
    write("in", "so that the script runs\n")(checks.directory)
    again = checks.launcher.replay(SCRIPT, checks.directory, checks.env, Stdio(), ("-v",))
    assert (again.status, again.stdout) == (3, b"said\n")
    assert again.counters["miss: non-deterministic"] == 1


def test_chance_is_found(checks: Bench) -> None:
    """Each run of `od` differs, and with it the script; what is around it does not."""
    command = ("sh", "-c", "sh -c 'od -N8 /dev/urandom >chance'; cat in >out")
    trace(checks, command)
    done = check(checks, command)
    assert done.status == 124
    assert [line.partition("   ")[0] for line in verdicts(done)["different"]] == [
        " ".join(command),
        "sh -c od -N8 /dev/urandom >chance",
    ] + (["od -N8 /dev/urandom"] if done.counters["checks different"] == 3 else [])
    assert verdicts(done)["equal"] == ["cat in"]


def test_what_a_signal_may_have_changed_is_not_compared(checks: Bench) -> None:
    command = ("sh", "-c", "cat in >out; trap '' TERM; echo ready; sleep 1; echo end")
    trace(checks, command)
    report = checks.directory.parent / "report.json"
    process = subprocess.Popen(
        [*SUDO, checks.launcher.pcache, "replay", "--check", "-v", f"--json={report}", *command],
        cwd=checks.directory,
        env=checks.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    subprocess.run([*SUDO, "kill", str(process.pid)], check=True)
    stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (0, b"end\n")
    counters = json.loads(report.read_text())["counters"]
    assert counters["checks without result"] == 1
    assert counters["checks equal"] == counters["checks"] - 1 == 1
    assert b"pcache: not compared sh -c cat" in stderr and b"a signal while it ran" in stderr


def test_without_root(as_user: Run, pcache: str, user_dir: Path) -> None:
    done = as_user([pcache, "replay", "--check", "sh", "-c", "echo ran"], cwd=user_dir)
    assert (done.returncode, done.stdout) == (125, b"")
    assert b"needs root" in done.stderr and b"sudo pcache replay --check" in done.stderr


def test_wrong_use(as_user: Run, pcache: str) -> None:
    done = as_user([pcache, "replay", "--check", "--intercept=execve", "true"])
    assert done.returncode == 2


def test_of_a_user_by_sudo(
    user_bench: Bench, as_user: Run, ordinary_user: pwd.struct_passwd
) -> None:
    write("in", "in\n")(user_bench.directory)
    user_bench.own()
    trace(user_bench, SCRIPT)
    done = as_user(
        ["sudo", user_bench.launcher.pcache, "replay", "--check", *SCRIPT],
        cwd=user_bench.directory,
        env=user_bench.env,
    )
    assert done.returncode == 3, done.stderr
    assert b"check: 3 hits run for real, 3 equal, 0 different" in done.stderr
    assert (user_bench.directory / "out").stat().st_uid == ordinary_user.pw_uid
