"""Bad use and bad luck: one clear message, the command still runs wherever that is possible."""

from __future__ import annotations

import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import SUDO, Run
from tests.lib.differential import Bench, Differential
from tests.lib.edits import write
from tests.lib.launch import Result, Stdio
from tests.lib.scenario import ROOT_HIT, Expect
from tests.lib.scripts import script

pytestmark = [pytest.mark.root, pytest.mark.system_files]

COMMAND = ("sh", "-c", "seq 3000 >out; cat in; echo err >&2; exit 5")
PRINTED = (5, b"in\n", b"err\n")


@pytest.fixture
def prepared(bench: Bench) -> Bench:
    write("in", "in\n")(bench.directory)
    return bench


def trace(bench: Bench, *options: str) -> Result:
    return bench.launcher.trace(COMMAND, bench.directory, bench.env, Stdio(), options)


def replay(bench: Bench, *options: str) -> Result:
    (bench.directory / "out").unlink(missing_ok=True)
    result = bench.launcher.replay(COMMAND, bench.directory, bench.env, Stdio(), options)
    assert (bench.directory / "out").stat().st_size == 13893  # it ran or was restored
    return result


def objects(bench: Bench) -> list[Path]:
    """Blobs kept as files."""
    return [path for path in (bench.store / "pcache/objects").rglob("*") if path.is_file()]


# ---- overflow ----


def test_overflow_stores_nothing_and_says_so(bench: Bench) -> None:
    body = "python3 -ISc 'import os; any(os.path.exists(str(n)) for n in range(200_000))'\n"
    scenario = script("overflow", body)
    scenario.prepare(bench.directory)
    done = bench.launcher.trace(
        scenario.command, bench.directory, bench.env, Stdio(), ("--ring-size=4K",)
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


def test_damaged_blob_is_a_miss_and_mended_by_tracing(prepared: Bench) -> None:
    trace(prepared)
    (blob,) = objects(prepared)
    blob.chmod(0o600)
    data = bytearray(blob.read_bytes())
    data[100] ^= 1
    blob.write_bytes(data)
    missed = replay(prepared, "-v")
    assert missed.ended == PRINTED
    assert missed.counters["miss: damaged"] >= 1
    assert any(not one.hit and one.command.startswith("sh -c") for one in missed.decisions)
    (prepared.directory / "out").unlink()
    assert trace(prepared).ended == PRINTED
    hit = replay(prepared, "-v")
    assert hit.ended == PRINTED
    assert ROOT_HIT.faults(hit) == []


def test_missing_blob_is_a_miss(prepared: Bench) -> None:
    trace(prepared)
    for blob in objects(prepared):
        blob.unlink()
    missed = replay(prepared, "-v")
    assert missed.ended == PRINTED
    assert {"sh", "seq"} == {one.command.split()[0] for one in missed.decisions if not one.hit}


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty"])
def test_damaged_index(prepared: Bench, damage: str) -> None:
    trace(prepared)
    index = prepared.store / "pcache/index.db"
    for extra in ("-wal", "-shm"):
        index.with_name(f"index.db{extra}").unlink(missing_ok=True)
    data = index.read_bytes()
    broken = {"garbage": b"no database" * 999, "cut": data[: len(data) // 2], "empty": b""}
    index.write_bytes(broken[damage])
    result = replay(prepared)
    assert result.ended == PRINTED
    assert result.counters["hits"] == 0
    (prepared.directory / "out").unlink()
    retraced = trace(prepared)
    assert retraced.ended == PRINTED
    if damage != "empty":  # an empty file is a new database
        assert "index" in result.own + retraced.own


def damage_index(index: Path, how: str) -> None:
    with closing(sqlite3.connect(index)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode = DELETE")
        if how == "no table":
            database.execute("DROP TABLE outcomes")
            database.commit()
    data = bytearray(index.read_bytes())
    if how == "no database":
        data[:] = b"no database" * 999
    elif how == "cut":
        del data[len(data) // 2 :]
    elif how == "bad pages":
        for page in range(4096, len(data), 4096):
            data[page : page + 100] = b"\xee" * 100
    index.write_bytes(data)


@pytest.mark.parametrize("verb", ["trace", "run"])
@pytest.mark.parametrize("how", ["no database", "cut", "no table", "bad pages"])
def test_recording_sets_a_damaged_index_aside(prepared: Bench, verb: str, how: str) -> None:
    """At once where it is seen to be damaged before anything was recorded, else in the end."""
    trace(prepared)
    store = prepared.store / "pcache"
    damage_index(store / "index.db", how)
    said = ""
    for _ in range(2):
        missed = replay(prepared)
        assert missed.ended == PRINTED
        assert not list(store.glob("*.damaged-*"))
    for _ in range(2):
        (prepared.directory / "out").unlink()
        record = getattr(prepared.launcher, verb)
        recorded = record(COMMAND, prepared.directory, prepared.env, Stdio(), ())
        assert recorded.ended == PRINTED
        said += recorded.own
    assert said.count("index.db.damaged-1, a new one begins") == 1
    assert (store / "index.db.damaged-1").exists()
    hit = replay(prepared, "-v")
    assert hit.ended == PRINTED
    assert ROOT_HIT.faults(hit) == []
    assert "damaged" not in hit.own


@pytest.mark.parametrize("verb", ["trace", "run"])
def test_recording_replaces_a_store_of_an_earlier_version(prepared: Bench, verb: str) -> None:
    trace(prepared)
    index = prepared.store / "pcache/index.db"
    database = sqlite3.connect(index)
    database.execute("DROP TABLE withdrawn")
    database.execute("PRAGMA user_version = 1")
    database.close()
    missed = replay(prepared)
    assert missed.ended == PRINTED
    assert "an earlier version of pcache" in missed.own
    said = ""
    for _ in range(2):
        (prepared.directory / "out").unlink()
        record = getattr(prepared.launcher, verb)
        recorded = record(COMMAND, prepared.directory, prepared.env, Stdio(), ())
        assert recorded.ended == PRINTED
        said += recorded.own
    assert said.count("by an earlier version: a new one begins") == 1
    assert ROOT_HIT.faults(replay(prepared, "-v")) == []


def test_a_check_leaves_a_damaged_index_alone(prepared: Bench) -> None:
    trace(prepared)
    store = prepared.store / "pcache"
    for how in ("no table", "no database"):
        damage_index(store / "index.db", how)
        for _ in range(2):
            assert replay(prepared, "--check").ended == PRINTED
    assert not list(store.glob("*.damaged-*"))


def test_unreadable_digests_are_only_slower(prepared: Bench) -> None:
    trace(prepared)
    (prepared.store / "pcache/digests.db").write_bytes(b"no database" * 999)
    hit = replay(prepared, "-v")
    assert hit.ended == PRINTED
    assert ROOT_HIT.faults(hit) == []


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
