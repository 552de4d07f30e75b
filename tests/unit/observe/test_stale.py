"""Ways to get a stale hit: record, change one thing, replay, and compare with the plain command.

Each case is a command that a recorder which overlooks something would answer wrongly.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.unit.observe.test_replay import pcache, run, state

pytestmark = [pytest.mark.root, pytest.mark.system_files]


class Case(NamedTuple):
    """`before` prepares the directory, `change` is made to it before the plain run and the replay;
    `then` is what these run if not the same command."""

    before: str
    command: str
    change: str = ":"
    then: str | None = None


CASES = {
    # files with several names, links
    "content by a hard link": Case("echo one >a", "ln a b; cat b", "echo two >a"),
    "link led there before it was changed": Case(
        "mkdir d1 d2 d3; for d in 1 2 3; do echo $d >d$d/x; done; ln -s d1 l",
        "cat l/x; ln -s d2 m; mv -T m l",
        "ln -sfn d3 l",
    ),
    "chain whose middle was changed": Case(
        "mkdir d1 d2; echo same >d1/x; echo same >d2/x; ln -s d1 l2; ln -s l2 l1",
        "ln -sfn d2 l2; cat l1/x",
        "echo other >d2/x",
    ),
    "way to a changed link": Case(
        "for d in d e; do mkdir -p $d/1 $d/2; echo $d >$d/2/x; ln -s 1 $d/l; done; ln -s d l0",
        "ln -sfn 2 l0/l; cat l0/l/x",
        "ln -sfn e l0",
    ),
    "becomes a link, opened with O_NOFOLLOW": Case(
        "echo one >a; cp a b",
        "python3 -ISc 'import os; print(os.read(os.open(\"a\", os.O_NOFOLLOW), 9))'",
        "ln -sf b a",
    ),
    # descriptors
    "offset moved by somebody else": Case(
        "seq 9 >f",
        "exec <f; (/bin/sleep 0.1; exec /usr/bin/head -c 4 >/dev/null) <&0 & exec python3 -ISc "
        "'import os, time; time.sleep(0.4); os.write(1, os.read(0, 99))' <&0",
        then="exec <f; exec python3 -ISc "
        "'import os, time; time.sleep(0.4); os.write(1, os.read(0, 99))' <&0",
    ),
    "kind of stdin by its path": Case(
        ":", "sh -c 'test -p /dev/stdin && echo pipe'; true",
        then="echo | sh -c 'test -p /dev/stdin && echo pipe'; true",
    ),
    "output is the input": Case("echo x >x", "cat x >>y", ":", "cat x >>x"),
    # what programs are handed down
    "affinity": Case(":", "nproc; true", ":", "taskset -c 0 nproc; true"),
    "limit": Case(
        ":", "dd if=/dev/zero of=f bs=9000 count=1 2>&-; true", ":",
        "ulimit -f 1; dd if=/dev/zero of=f bs=9000 count=1 2>&-; true",
    ),
    "personality": Case(":", "uname -m; true", ":", "setarch i686 uname -m; true"),
    "priority": Case(":", "nice; true", ":", "nice -n 5 nice; true"),
    "ignored signal": Case(
        ":", "sh -c 'kill -USR1 $$; echo alive'; true", ":",
        "trap '' USR1; sh -c 'kill -USR1 $$; echo alive'; true",
    ),
    "groups": Case(":", "id -G; true", ":", "setpriv --groups 7,8 id -G; true"),
    # directories
    "working directory is gone": Case(
        "mkdir d", "cd d; rmdir ../d; /bin/pwd; mkdir ../d; true", ":", "cd d; /bin/pwd; true"
    ),
    "listed in part, then another one": Case(
        "mkdir d e; touch d/1 e/1",
        "python3 -ISc 'import os; d = os.scandir(\"d\"); next(d); d.close(); os.listdir(\"e\")'",
        "rm d/1",
    ),
    # processes
    "name of the parent": Case(
        "cp /bin/sh one; cp /bin/sh two; "
        "printf 'import os; print(open(f\"/proc/{os.getppid()}/comm\").read())' >p.py",
        "./one -c 'python3 -IS p.py; true'", ":", "./two -c 'python3 -IS p.py; true'",
    ),
    # attributes
    "extended attribute": Case("echo >a", "python3 -ISc 'import os; print(os.listxattr(\"a\"))'",
                               "python3 -ISc 'import os; os.setxattr(\"a\", \"user.x\", b\"1\")'"),
    "owner": Case("echo >a", "ls -l a", "chown 1 a"),
    "number of names": Case("echo >a", "ls -l a", "ln a .b"),
    "attributes": Case("echo >a", "lsattr a", "chattr +d a"),
    "attributes set": Case("echo >a", "chattr +d a", ":", "chattr +d a; lsattr a"),
    # files that move on
    "moved, and something else to its new place": Case(
        "echo one >a; echo two >b; touch -d @1 a b",
        "python3 -ISc 'import os; r = os.rename; r(\"a\", \"c\"); print(open(\"c\").read()); "
        "r(\"b\", \"c\")'",
        "echo two >a; touch -d @1 a",
    ),
    # others meanwhile
    "looked at again": Case(
        ":",
        "test -e f || sh -c 'setsid sh -c \"echo >f\"'; sleep 0.1; cat f; true",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_replay_does_as_the_plain_command(tmp_path: Path, case: Case) -> None:
    work = tmp_path / "work"

    def start(change: str) -> None:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        for text in (case.before, change):
            subprocess.run(["sh", "-ec", text], cwd=work, check=True)
        time.sleep(0.04)

    start(":")
    recorded = run(work, *pcache("trace", "--as-root", "--explain"), "sh", "-c", case.command)
    then = case.then or case.command
    start(case.change)
    plain = run(work, "sh", "-c", then), state(work)
    start(case.change)
    replay = run(work, *pcache("replay"), "sh", "-c", then), state(work)
    assert replay == plain, recorded[2].decode()


@pytest.mark.parametrize(
    ("given", "number"), [("--ignore-signal=USR1", 10), ("--block-signal=RTMAX", 64)]
)
@pytest.mark.parametrize("first", [True, False])
def test_signals_that_the_command_is_given(
    tmp_path: Path, given: str, number: int, first: bool
) -> None:
    """One run is given them, the other is not."""
    command = ("sh", "-c", f"kill -{number} $$; echo alive")
    unusual = ("env", given)
    one, other = (unusual, ()) if first else ((), unusual)
    recorded = run(tmp_path, *one, *pcache("trace", "--as-root", "--explain"), *command)
    plain = run(tmp_path, *other, *command)
    assert (plain[1] == b"alive\n") != (recorded[1] == b"alive\n")
    assert run(tmp_path, *other, *pcache("replay"), *command) == plain


@pytest.mark.parametrize("file", ["cgroup.max.depth", "cgroup.procs"])
def test_file_whose_times_tell_nothing(tmp_path: Path, cgroup: Path, file: str) -> None:
    """It keeps size 0 and its times: one of them is empty at first, the other says "max"."""
    work = tmp_path / "work"
    work.mkdir()
    command = ["cat", str(cgroup / file)]
    recorded = run(work, *pcache("trace", "--as-root", "--explain"), *command)
    hit = run(work, *pcache("replay", "-v"), *command)
    assert b" hit " in hit[2], (recorded, hit)
    member = subprocess.Popen(["sleep", "60"])
    (cgroup / file).write_text("3" if file == "cgroup.max.depth" else str(member.pid))
    try:
        plain = run(work, *command)
        replay = run(work, *pcache("replay"), *command)
    finally:
        member.kill()
        member.wait()
    assert replay == plain
    assert plain[1] != hit[1]


@pytest.mark.parametrize("read", ["cat", "cat <"])
def test_made_up_file_that_the_tree_itself_writes(tmp_path: Path, cgroup: Path, read: str) -> None:
    """By the time its reader is looked into, it says something else, and no stamp tells."""
    work = tmp_path / "work"
    work.mkdir()
    file = cgroup / "cgroup.max.depth"
    script = f"echo 3 >{file}; /bin/{read} {file}; echo 4 >{file}"
    time.sleep(0.04)
    recorded = run(work, *pcache("trace", "--as-root", "--explain"), "sh", "-c", script)
    command = ["sh", "-c", f"exec /bin/{read} {file}"]
    plain = run(work, *command)
    assert (recorded[1], plain[1]) == (b"3\n", b"4\n")
    assert run(work, *pcache("replay"), *command) == plain, recorded[2].decode()


@pytest.mark.parametrize(
    ("place", "file", "other"),
    [
        ("/proc/sys/kernel", "printk_ratelimit_burst", "11\n"),
        ("/sys/devices/virtual/net/lo", "ifalias", "pcache\n"),
    ],
)
def test_made_up_file_below_a_bind_mount(tmp_path: Path, place: str, file: str, other: str) -> None:
    work, bound = tmp_path / "work", tmp_path / "bound"
    work.mkdir()
    bound.mkdir()
    original = Path(place, file)
    before = original.read_text()
    command = ["cat", str(bound / file)]
    subprocess.run(["mount", "--bind", place, bound], check=True)
    try:
        recorded = run(work, *pcache("trace", "--as-root", "--explain"), *command)
        hit = run(work, *pcache("replay", "-v"), *command)
        assert b" hit " in hit[2], (recorded, hit)
        assert hit[1].decode() == before
        original.write_text(other)
        replay = run(work, *pcache("replay"), *command)
        assert replay == run(work, *command)
        assert replay[1].decode() == other
    finally:
        original.write_text(before or "\n")
        subprocess.run(["umount", bound], check=True)
