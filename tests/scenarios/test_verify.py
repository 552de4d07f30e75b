"""`verify`: damage is named, and records are executed again in a scratch copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pcache.model import Outcome, Output
from pcache.store.index import Store
from tests.conftest import SUDO, Run
from tests.lib.differential import Bench
from tests.lib.edits import write
from tests.lib.falsify import falsify
from tests.lib.launch import Launcher, Result, Stdio
from tests.lib.tree import Snapshot

pytestmark = [pytest.mark.root, pytest.mark.system_files]

BUILD = """\
set -e
test -f kept; rm -f away; chmod 600 kept
mkdir -p made/deep; cp in made/deep/copy; ln -sf copy made/deep/link; ln -f in made/hard
mkfifo made/fifo
gcc -c a.c; gcc -o a a.o; ./a >said; grep -c o in
sh -c 'echo out; echo err >&2; exit 4'
"""
SCRIPT = ("sh", "build.sh")
WAITS = ("perl", "-e", "select undef, undef, undef, 2.5")


OWN_MOUNTS = (
    *SUDO,
    *("unshare", "--mount", "--propagation", "private", "sh", "-c"),
    """grep -o ' /var/tmp/[^ ]*' /proc/self/mounts | tac | xargs -r umount --lazy; exec "$@" """,
    "sh",
)
"""Prefix of commands that are to see no mounts of other tests: a place that has one somewhere below
cannot be copied."""


class Lab:
    """A recorded build, and `verify` over its store."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.directory = bench.directory
        files = {"in": "foo\n", "kept": "", "away": "", "build.sh": BUILD}
        files["a.c"] = 'int puts(const char *); int main(void) { puts("hello"); return 0; }\n'
        for name, text in files.items():
            write(name, text)(self.directory)
        bench.own()

    def trace(self, command: tuple[str, ...] = SCRIPT, stdio: Stdio | None = None) -> None:
        done = self.bench.launcher.trace(command, self.directory, self.bench.env, stdio or Stdio())
        assert done.counters["records stored"] > 0

    def plain(self, *command: str) -> Result:
        return self.bench.launcher.plain(command, self.directory, self.bench.env, Stdio())

    def verify(self, *options: str) -> tuple[int, str]:
        launcher = self.bench.launcher.after(OWN_MOUNTS)
        command = [launcher.pcache, "verify", *options]
        done = launcher.plain(command, self.directory, self.bench.env, Stdio())
        assert not done.stderr, done.stderr
        left = self.bench.store / "pcache/rerun"
        assert not left.exists() or not list(left.iterdir())
        return done.status, done.stdout.decode()


@pytest.fixture
def lab(bench: Bench, pcache: str) -> Lab:
    bench.launcher = Launcher(pcache, bench.directory.parent, user=SUDO)
    return Lab(bench)


def test_a_sound_store(lab: Lab) -> None:
    lab.trace()
    status, text = lab.verify()
    assert status == 0
    assert "none damaged" in text and "rerun" not in text
    assert lab.verify("--quiet") == (0, "")


def test_damage_is_named(lab: Lab) -> None:
    lab.trace()
    objects = [p for p in (lab.bench.store / "pcache/objects").rglob("*") if p.is_file()]
    assert objects
    objects[0].chmod(0o600)
    data = bytearray(objects[0].read_bytes())
    data[len(data) // 2] ^= 1
    objects[0].write_bytes(data)
    with Store.open(os.fsencode(lab.bench.store / "pcache")) as store:
        change = store.database.change
        (row,) = store.database.rows("SELECT strong FROM outcomes LIMIT 1")
        change("UPDATE outcomes SET facts = X'00' WHERE strong = ?", row)
        (row,) = store.database.rows("SELECT digest FROM path_sets ORDER BY digest DESC LIMIT 1")
        change("UPDATE path_sets SET keys = keys || X'00' WHERE digest = ?", row)
        (row,) = store.database.rows("SELECT weak FROM calls LIMIT 1")
        change("UPDATE calls SET call = X'00' WHERE weak = ?", row)
        (row,) = store.database.rows("SELECT digest FROM blobs LIMIT 1")
        change("DELETE FROM blobs WHERE digest = ?", row)
    status, text = lab.verify()
    assert status == 1
    for what in (
        "a stored content is damaged",
        "checksum does not match",
        "path set",
        "call ",
        "missing",
    ):
        assert what in text
    assert "recording it again mends it" in text


def test_a_build_executed_again_is_equal_and_changes_nothing(lab: Lab) -> None:
    lab.trace()
    lab.trace()  # over what the first left: that state can be had again
    now = time.time_ns()
    before = Snapshot.take(lab.directory, now, now)
    status, text = lab.verify("--rerun", "100%")
    assert status == 0, text
    assert Snapshot.take(lab.directory, now, now).nodes == before.nodes
    equal = int(text.partition(" equal")[0].rpartition(" ")[2])
    assert equal >= 8, text
    assert ", 0 different" in text
    assert "its inputs are not as they were" in text  # what `rm` and `mkdir` were to do is done


def test_without_privilege(user_bench: Bench) -> None:
    """A user namespace stands in for root; where that is not allowed, all is passed over."""
    lab = Lab(user_bench)
    lab.trace()
    lab.trace()
    status, text = lab.verify("--rerun", "100%")
    assert status == 0, text
    if lab.plain("unshare", "--user", "--mount", "true").status:
        assert "no scratch copy can be made here" in text
    else:
        assert int(text.partition(" equal")[0].rpartition(" ")[2]) >= 8, text


@pytest.mark.parametrize(
    ("outcome", "what"),
    [
        (Outcome(5 << 8), "exit status (0x500, 0x0)"),
        (
            Outcome(0, outputs=(Output(b"f", b"{}/made/deep/copy", 0o644, b"\0" * 16),)),
            "its content",
        ),
        (Outcome(0, outputs=(Output(b"f", b"{}/made/deep/copy", 0o600, b"copied"),)), "its mode"),
        (Outcome(0, outputs=(Output(b"l", b"{}/made/deep/copy", 0, b"in"),)), "its type"),
        (Outcome(0, outputs=(Output(b"-", b"{}/made/deep/copy"),)), "it is there"),
        (Outcome(0, outputs=(Output(b"f", b"{}/other", 0o644, b"copied"),)), "it is not there"),
        (Outcome(0, outputs=(Output(b"m", b"{}/in", 0o644),)), "which is not recorded"),
    ],
)
def test_a_wrong_record_is_found_and_quarantined(lab: Lab, outcome: Outcome, what: str) -> None:
    shutil.copy(lab.directory / "in", lab.directory / "copied")
    write("build.sh", "mkdir -p made/deep; cp in made/deep/copy\n")(lab.directory)
    lab.plain(*SCRIPT)
    lab.trace()
    with Store.open(os.fsencode(lab.bench.store / "pcache")) as store:
        copied = store.blobs.put_bytes(b"foo\n")
        store.blobs.flush()
    here = bytes(lab.directory)
    outputs = tuple(
        Output(
            output.kind,
            output.path.replace(b"{}", here),
            output.mode,
            output.content.replace(b"copied", copied),
        )
        for output in outcome.outputs
    )
    falsify(
        lab.bench.store, (b"cp", b"in", b"made/deep/copy"), Outcome(outcome.status, outputs=outputs)
    )
    write("made/deep/copy", "what cp overwrites\n")(lab.directory)
    status, text = lab.verify("--rerun=100%")
    assert status == 1, text
    assert "1 different" in text and what in text
    (line,) = [line for line in text.splitlines() if line.startswith("  different: ")]
    assert line.startswith("  different: cp in made/deep/copy")
    status, text = lab.verify("--rerun=100%")
    assert (status, "0 different" in text) == (0, True)


def test_a_wrong_stream_is_found(lab: Lab) -> None:
    lab.trace(("sh", "-c", "echo said; sh -c 'echo inner'; echo err >&2"))
    with Store.open(os.fsencode(lab.bench.store / "pcache")) as store:
        lied = store.blobs.put_bytes(b"lied.\n")
        store.blobs.flush()
    falsify(lab.bench.store, (b"sh", b"-c", b"echo inner"), Outcome(0, data=lied))
    status, text = lab.verify("--rerun=100%")
    assert status == 1
    assert "  different: sh -c echo inner   standard output" in text


@pytest.mark.parametrize(
    "stdio", [Stdio(stdout="file"), Stdio(merged=True), Stdio(stdout="null"), Stdio(stdin=b"x")]
)
def test_kinds_of_descriptors(lab: Lab, stdio: Stdio) -> None:
    command = (
        "sh",
        "-c",
        "test -p /dev/fd/1; echo $?; sh -c 'test -f /dev/stdout; echo $?'; echo e >&2",
    )
    lab.trace(command, stdio)
    status, text = lab.verify("--rerun=100%")
    assert status == 0, text
    assert " equal, 0 different" in text and "0 of" not in text


def test_what_is_passed_over_is_counted_by_reason(lab: Lab, tmp_path: Path) -> None:
    lab.trace(("cat",), Stdio(stdin="in"))
    status, text = lab.verify("--rerun=100%")
    assert status == 0
    assert "0 of 1 record rerun" in text
    assert "1: it reads from a descriptor, and what came from it is not kept" in text
    write("in", "changed\n")(lab.directory)
    lab.trace(("sh", "-c", "cat kept >out; rm away"))
    (lab.directory / ".pcache.toml").write_text("[program.cat]\nignore_env = ['X']\n")
    _, text = lab.verify("--rerun=100%")
    assert "it was recorded under other settings or in a sandbox" in text
    (lab.directory / ".pcache.toml").write_text("[program.'*']\nnever_cache = true\n")
    _, text = lab.verify("--rerun=100%")
    assert "it is configured never to be cached" in text


def test_what_a_killed_verification_leaves_goes_with_the_next(lab: Lab) -> None:
    lab.trace(WAITS)
    rerun = lab.bench.store / "pcache/rerun"
    command = [*OWN_MOUNTS, lab.bench.launcher.pcache, "verify", "--rerun=100%"]
    with subprocess.Popen(command, cwd=lab.directory, env=lab.bench.env) as process:
        await_(lambda: sleepers(rerun))
        (pid,) = sleepers(rerun)
        subprocess.run([*SUDO, "kill", "-9", str(parent_of(pid))], check=True)
    assert process.returncode
    await_(lambda: not sleepers(rerun))  # it goes with who started it
    assert len(list(rerun.iterdir())) == 1
    status, text = lab.verify()
    assert status == 0, text


def sleepers(place: Path) -> list[int]:
    """Processes that run WAITS in a scratch copy below `place`."""
    wanted = "".join(word + "\0" for word in WAITS).encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "cmdline").read_bytes() == wanted:
                mounted = (entry / "mountinfo").read_text()
                found += [int(entry.name)] if f"upperdir={place}/" in mounted else []
        except OSError:
            continue
    return found


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def await_(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("share", ["5", "0%", "101%", "x%"])
def test_wrong_shares(as_user: Run, pcache: str, share: str) -> None:
    done = as_user([pcache, "verify", f"--rerun={share}"])
    assert done.returncode == 2
    assert b"such as 5%" in done.stderr


def test_no_store(as_user: Run, pcache: str, user_dir: Path) -> None:
    done = as_user([pcache, "verify"], env={"XDG_CACHE_HOME": str(user_dir / "none")})
    assert done.returncode == 125
