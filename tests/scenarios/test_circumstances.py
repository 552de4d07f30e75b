"""The same command under other limits or another personality is another command."""

from __future__ import annotations

import os
import pwd

import pytest

from tests.conftest import SUDO
from tests.lib.differential import Bench
from tests.lib.launch import Launcher, Result, Stdio

pytestmark = [pytest.mark.root, pytest.mark.system_files]

USUAL = "ulimit -S -n 1000; ulimit -S -c 0; exec"


def under(bench: Bench, circumstances: str) -> Launcher:
    within = ("sh", "-c", f'{circumstances} "$@"', "sh")
    return Launcher(bench.launcher.pcache, bench.directory.parent, as_root=SUDO, user=within)


def plain(bench: Bench, launcher: Launcher, command: tuple[str, ...]) -> Result:
    return launcher.plain(command, bench.directory, bench.env, Stdio())


@pytest.mark.parametrize(
    ("circumstances", "script"),
    [
        ("ulimit -f 20000; exec", "head -c 11000000 /dev/zero >f; ls -s f; rm f"),
        ("ulimit -S -n 300; exec", "ulimit -n"),
        ("ulimit -v 1000000; exec", "ulimit -v"),
        ("ulimit -S -c 100; exec", "ulimit -c"),
        ("ulimit -l 40; exec", "ulimit -l"),
        ("exec setarch --uname-2.6", "uname -r"),
        ("exec setarch i686", "uname -m"),
    ],
    ids=["file size", "descriptors", "memory", "core", "locked", "old release", "machine"],
)
def test_another_command(bench: Bench, circumstances: str, script: str) -> None:
    command = ("sh", "-c", script)
    usual = under(bench, USUAL)
    other = under(bench, f"{USUAL.removesuffix('exec')} {circumstances}")
    arguments = (command, bench.directory, bench.env, Stdio())
    assert usual.trace(*arguments).counters["records stored"] > 0
    assert usual.replay(*arguments).counters["hits"] == 1

    expected = plain(bench, other, command)
    assert expected.stdout != plain(bench, usual, command).stdout
    for done in (other.replay(*arguments), other.trace(*arguments), other.replay(*arguments)):
        assert (done.stdout, done.status) == (expected.stdout, expected.status)
    assert usual.replay(*arguments).counters["hits"] == 1


def test_what_is_no_other_command(bench: Bench) -> None:
    """Core dumps and where things are in memory: neither is an input."""
    command = ("sh", "-c", "echo said")
    arguments = (command, bench.directory, bench.env, Stdio())
    under(bench, USUAL).trace(*arguments)
    other = under(bench, "ulimit -S -n 1000; ulimit -S -c 100; exec setarch -R")
    assert other.replay(*arguments).counters["hits"] == 1


def test_a_limit_that_its_caller_set(bench: Bench) -> None:
    """Compilers and runtimes change this one without a thought: only who asks can tell."""
    launcher = under(bench, USUAL)
    arguments = (bench.directory, bench.env, Stdio())
    launcher.trace(("sh", "-c", "ulimit -n"), *arguments)
    done = launcher.replay(("sh", "-c", "ulimit -S -n 300; sh -c 'ulimit -n'"), *arguments)
    assert done.stdout == b"300\n"


def test_a_hit_that_cannot_be_applied_is_none(bench: Bench) -> None:
    """It is known what a program would do, and it was started with a signal blocked."""
    launcher = under(bench, USUAL)
    arguments = (bench.directory, bench.env, Stdio())
    launcher.trace(("sh", "-c", "sh -c 'echo said'; :"), *arguments)
    command = ("sh", "-c", "env --block-signal=USR1 sh -c 'echo said'; :")
    done = launcher.replay(command, *arguments, ("--verbose",))
    assert (done.stdout, done.counters["hits"]) == (b"said\n", 0)
    assert (done.counters["misses"], done.counters["miss: not applied"]) == (3, 1)
    assert done.counters["milliseconds skipped"] == 0
    assert "pcache: run   sh -c echo said   signals blocked\n" in done.own


def test_other_groups(bench: Bench) -> None:
    """Which files open, and what else is permitted, depends on them."""
    command = ("sh", "-c", "cat f 2>/dev/null || echo denied")
    nobody = "exec setpriv --reuid 65534 --regid 65534"
    with_group = under(bench, f"{nobody} --groups 7")
    without = under(bench, f"{nobody} --clear-groups")
    for path in (bench.directory.parent, bench.directory, bench.store):
        os.chown(path, 65534, 65534)
    file = bench.directory / "f"
    file.write_text("text\n")
    file.chmod(0o640)
    os.chown(file, 0, 7)
    name = pwd.getpwuid(65534).pw_name
    env = {**bench.env, "HOME": pwd.getpwuid(65534).pw_dir, "USER": name, "LOGNAME": name}
    arguments = (command, bench.directory, env, Stdio())
    # Recorded on behalf of an account that is in no other group.
    sudo = {**env, "SUDO_UID": "65534", "SUDO_GID": "65534"}
    recorded = bench.launcher.trace(command, bench.directory, sudo, Stdio())
    assert recorded.stdout == b"denied\n"
    assert without.replay(*arguments).counters["hits"] == 1
    assert with_group.replay(*arguments).stdout == b"text\n"
