"""Bad use and bad luck: one clear message, the command still runs wherever that is possible."""

from __future__ import annotations

import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from tests.conftest import SUDO, Run
from tests.lib.differential import Bench, Differential
from tests.lib.edits import write
from tests.lib.launch import Result, Stdio
from tests.lib.scenario import ROOT_HIT, Expect
from tests.lib.scripts import script
from tests.lib.small import replay, trace

pytestmark = [pytest.mark.root, pytest.mark.system_files]


# ---- overflow ----


def test_overflow_stores_nothing_and_says_so(bench: Bench) -> None:
    body = "python3 -ISc 'import os; any(os.path.exists(str(n)) for n in range(200_000))'\n"
    scenario = script("overflow", body)
    scenario.prepare(bench.directory)
    done = bench.launcher.trace(
        scenario.command, bench.directory, bench.env, Stdio(), ("--ring-size=64K",)
    )
    assert done.ended == (0, b"", b"")
    assert done.counters["events lost"] > 0
    assert done.counters["records stored"] == done.counters["records known"] == 0
    assert done.counters["uncacheable: events lost"] == done.counters["executions"] > 0
    assert "nothing of this run is stored" in done.own and "--ring-size" in done.own
    again = bench.launcher.replay(scenario.command, bench.directory, bench.env, Stdio())
    assert again.counters["hits"] == 0


def test_after_an_overflow_a_full_trace_counts(bench: Bench) -> None:
    scenario = script("after overflow", "cat /etc/passwd >copy\nls -a\n")
    scenario.prepare(bench.directory)
    words = (scenario.command, bench.directory, bench.env, Stdio())
    bench.launcher.trace(*words, ("-q", "--ring-size=4K"))
    subprocess.run(["rm", "-f", str(bench.directory / "copy")], check=True)
    (bench.directory / "run.sh").unlink()
    Differential(scenario, bench).check()


# ---- the store ----


@contextmanager
def locked(bench: Bench) -> Iterator[sqlite3.Connection]:
    """A store that another process has locked, until its transaction ends."""
    trace(bench)
    path = bench.store / "pcache/index.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM uncacheable")
        yield other


@pytest.mark.parametrize("verb", ["trace", "run"])
def test_a_store_that_is_locked_for_a_moment(prepared: Bench, verb: str) -> None:
    """The command does not wait for it, only what is recorded does."""
    command = ("sh", "-c", "cat in; date +%s.%N >ended")
    record = getattr(prepared.launcher, verb)
    with locked(prepared) as other:
        released = []

        def release() -> None:
            released.append(time.time())
            other.execute("ROLLBACK")

        timer = threading.Timer(2, release)
        timer.start()
        done = record(command, prepared.directory, prepared.env, Stdio(), ())
        timer.join()
    assert float((prepared.directory / "ended").read_text()) < released[0]
    assert done.status == 0 and done.counters["records stored"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["trace", "run"])
def test_a_store_that_stays_locked(prepared: Bench, verb: str) -> None:
    record = getattr(prepared.launcher, verb)
    with locked(prepared):
        done = record(("sh", "-c", "exit 3"), prepared.directory, prepared.env, Stdio(), ())
    assert done.status == 3
    assert "another process keeps the store locked" in done.own
    assert done.own.count("\n") == 4


def test_unwritable_store(prepared: Bench, as_user: Run, ordinary_user: object) -> None:
    """Another user's store: the command runs, the message names the place."""
    prepared.store.chmod(0o755)
    env = {"XDG_CACHE_HOME": str(prepared.store)}
    command = [prepared.launcher.pcache, "replay", "sh", "-c", "echo out; exit 5"]
    done = as_user(command, env=env, cwd=prepared.directory)
    assert (done.returncode, done.stdout) == (5, b"out\n")
    assert str(prepared.store).encode() in done.stderr
    assert b"Traceback" not in done.stderr


# ---- the command ----


@pytest.mark.parametrize("verb", ["trace", "replay"])
@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        (["no-such-command"], 127, b"no-such-command"),
        (["./missing"], 127, b"./missing"),
        (["./text"], 126, b"./text"),
        (["."], 126, b"."),
    ],
)
def test_command_that_cannot_run(
    bench: Bench, verb: str, command: list[str], status: int, words: bytes
) -> None:
    write("text", "words\n", 0o644)(bench.directory)
    prefix = SUDO if verb == "trace" else []
    done = subprocess.run(
        [*prefix, bench.launcher.pcache, verb, *command],
        cwd=bench.directory,
        env=bench.env,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == status
    assert done.stdout == b""
    first = done.stderr.splitlines()[0]
    assert first.startswith(b"pcache: ") and words in first
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("no-such-command", 127, b"no-such-command: no such command"),
        ("/etc/passwd/x", 126, b"/etc/passwd/x: cannot be executed: Not a directory"),
        ("./lost", 127, b"cannot execute ./lost: the interpreter that it names is missing"),
    ],
)
def test_a_command_is_looked_for_as_shells_do(
    bench: Bench, as_user: Run, command: str, status: int, words: bytes
) -> None:
    """Among other places in a directory that this user may not search."""
    write("lost", "#!/nonexistent/interpreter\n", 0o755)(bench.directory)
    locked = bench.directory / "locked"
    locked.mkdir(0o700)
    env = {"PATH": f"{locked}:/usr/bin:/bin"}
    for shell in ([], ["bash", "-c"]):
        words_ = [*shell, command] if shell else [bench.launcher.pcache, "replay", "-q", command]
        done = as_user(words_, cwd=bench.directory, env=env)
        assert done.returncode == status, done.stderr
        assert shell or words in done.stderr


def test_without_a_shebang(bench: Bench, run_shell: Callable[[list[str]], Result]) -> None:
    """What execve refuses with ENOEXEC is a shell script, as for execvp(3) and every shell."""
    write("plain", "echo from a script\nexit 4\n", 0o755)(bench.directory)
    assert run_shell(["./plain"]).stdout == b"from a script\n"


@pytest.fixture
def run_shell(bench: Bench) -> Callable[[list[str]], Result]:
    """A command under trace and replay, which must agree."""

    def run(command: list[str]) -> Result:
        words = (command, bench.directory, bench.env, Stdio())
        traced, replayed = bench.launcher.trace(*words), bench.launcher.replay(*words)
        assert traced.ended == replayed.ended
        return replayed

    return run


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["set", "base_dir", ".", "--project"], 0, b""),
        (["set", "--project", "base_dir", "."], 0, b""),
        (["--project", "unset", "base_dir"], 1, b""),
        ([], 0, b""),
        (["set", "max_size"], 2, b"pcache: config set needs a value\npcache: usage: pcache config"),
        (["get"], 2, b"pcache: config get needs a name\n"),
        (["put"], 2, b"pcache: config put: it is one of show, get, set, unset, edit\n"),
        (["edit"], 125, b"pcache: cannot start the editor /nonexistent: No such file"),
    ],
)
def test_config_says_what_it_lacks(
    bench: Bench, words: list[str], status: int, said: bytes
) -> None:
    done = subprocess.run(
        [bench.launcher.pcache, "config", *words],
        env={**bench.env, "EDITOR": "/nonexistent"},
        cwd=bench.directory,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr[: len(said)]) == (status, said)


@pytest.mark.parametrize("words", [["log"], ["stats", "--json"], ["help"], ["show", "--json"]])
def test_a_full_stdout(prepared: Bench, words: list[str]) -> None:
    trace(prepared)
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >/dev/full', "-", prepared.launcher.pcache, *words],
        env=prepared.env,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 125
    assert done.stderr == b"pcache: cannot write to stdout: No space left on device\n"


def test_trace_without_root_still_runs(bench: Bench, as_user: Run) -> None:
    done = as_user([bench.launcher.pcache, "trace", "sh", "-c", "echo out; exit 6"], cwd="/")
    assert (done.returncode, done.stdout) == (6, b"out\n")
    assert b"sudo pcache trace" in done.stderr


@pytest.mark.parametrize("verb", ["trace", "run"])
def test_as_root_without_root(bench: Bench, as_user: Run, verb: str) -> None:
    """What is to run as root does not run as somebody else."""
    done = as_user([bench.launcher.pcache, verb, "--as-root", "id"], cwd="/")
    assert (done.returncode, done.stdout) == (125, b"")
    assert b"pcache: --as-root needs root" in done.stderr


def test_clear_asks(prepared: Bench) -> None:
    trace(prepared)
    done = subprocess.run(
        [prepared.launcher.pcache, "clear"],
        env=prepared.env,
        input=b"n\n",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2 and b"pcache: everything would be removed\n" in done.stderr
    assert ROOT_HIT.faults(replay(prepared, "-v")) == []


def test_directory_is_gone(bench: Bench) -> None:
    """A working directory that was deleted: as plainly."""
    gone = bench.directory / "gone"
    gone.mkdir()
    inside = "rmdir ../gone; exec "
    for verb in ("trace", "replay"):
        gone.mkdir(exist_ok=True)
        done = subprocess.run(
            ["sh", "-c", f'{inside}"$@"', "-", bench.launcher.pcache, verb, "-q", "echo", "x"],
            cwd=gone,
            env=bench.env,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert (done.returncode, done.stdout) == (0, b"x\n"), done.stderr


def test_expectations_can_fail() -> None:
    """The oracle itself: a root hit is no list of misses, and the other way round."""
    hit = Result(b"", b"", 0, {"hits": 1}, "pcache: hit   make\n")
    miss = Result(b"", b"", 0, {"hits": 0}, "pcache: miss  make   unknown call\n")
    assert ROOT_HIT.faults(hit) == []
    assert ROOT_HIT.faults(miss)
    assert Expect(root=False, ran=("make",)).faults(miss) == []
    assert Expect(root=False, ran=("make",)).faults(hit)
    assert Expect(ran=("make", "cc")).faults(miss)
    assert Expect(hit=("make",)).faults(miss)
