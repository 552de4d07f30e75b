"""Programs that were handed down something else: the result is that of the plain command."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

LANDLOCK = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
rights = ctypes.c_uint64(1 << 5)  # LANDLOCK_ACCESS_FS_REMOVE_FILE
ruleset = libc.syscall(444, ctypes.byref(rights), 8, 0)
libc.prctl(38, 1, 0, 0, 0)
assert libc.syscall(446, ruleset, 0) == 0
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Place:
    def __init__(self, directory: Path, pcache: str) -> None:
        self.directory = directory
        self.pcache = pcache
        (directory / "landlock.py").write_text(LANDLOCK)

    def run(self, *words: str, **keywords: object) -> tuple[int, str]:
        """Status and output of a shell's command line, or of pcache with it."""
        env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "XDG_CACHE_HOME": f"{self.directory}/cache"}
        done = subprocess.run(  # type: ignore[call-overload]
            words,
            cwd=self.directory,
            env=env | keywords.pop("env", {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **keywords,
        )
        return done.returncode, done.stdout

    def trace(self, *words: str, **keywords: object) -> tuple[int, str]:
        return self.run(self.pcache, "trace", "-q", "--as-root", *words, **keywords)

    def replay(self, *words: str, **keywords: object) -> tuple[int, str]:
        return self.run(self.pcache, "replay", "-q", *words, **keywords)


@pytest.fixture
def place(tmp_path: Path, pcache: str) -> Place:
    return Place(tmp_path, pcache)


@pytest.mark.parametrize(
    ("usual", "other"),
    [
        ("uname -n", "unshare -u sh -c 'hostname other; uname -n; true'"),
        ("ls /sys/class/net", "unshare -nm sh -c 'mount -t sysfs none /sys; ls /sys/class/net'"),
        ("cat /proc/net/route", "unshare -n cat /proc/net/route"),
        ("stat -c %U:%G .", "unshare -U stat -c %U:%G ."),
        ("id -u", "unshare -r --map-user=7 id -u"),
        ("touch f; rm f && echo gone", "touch f; /usr/bin/python3 landlock.py rm f || echo kept"),
        ("sh -c 'ulimit -Hn'", "ulimit -n 3000; sh -c 'ulimit -Hn'"),
        ("sh -c 'ulimit -Hs'", "ulimit -Hs 100000; sh -c 'ulimit -Hs'"),
        ("getconf ARG_MAX", "ulimit -Ss 4096; getconf ARG_MAX"),
        ("prlimit --stack --noheadings", "ulimit -Ss 4096; prlimit --stack --noheadings"),
        ("nice", "nice -n 7 nice"),
        ("setpriv -d | grep new_privs", "setpriv --no-new-privs setpriv -d | grep new_privs"),
        ("sh -c 'echo ${PWD+set}'; env | grep -c ^PWD=", "env -u PWD sh -c 'env | grep -c ^PWD='"),
        (
            "seq 99999 | head -n1",
            "(trap '' PIPE; sh -c 'seq 99999 2>&1 >/dev/full; :')",
        ),
    ],
)  # fmt: skip
def test_another_circumstance_in_the_tree(place: Place, usual: str, other: str) -> None:
    """What was recorded in usual circumstances is not brought back in others, and back again."""
    expected = place.run("sh", "-c", other)
    assert place.trace("sh", "-c", f"{usual}; :") == place.run("sh", "-c", f"{usual}; :")
    assert place.replay("sh", "-c", other) == expected
    assert place.trace("sh", "-c", other) == expected
    assert place.replay("sh", "-c", other) == expected
    assert place.replay("sh", "-c", f"{usual} ; :") == place.run("sh", "-c", f"{usual} ; :")


@pytest.mark.parametrize(
    ("circumstance", "script"),
    [
        ("ulimit -Hn 3000", "ulimit -Hn"),
        ("ulimit -Hs 100000", "ulimit -Hs"),
        ("ulimit -Ss 4096", "getconf ARG_MAX"),
        ("ulimit -Hv 9000000", "ulimit -Hv"),
    ],
)
def test_another_circumstance_of_the_command(place: Place, circumstance: str, script: str) -> None:
    within = ("sh", "-c", f'{circumstance}; exec "$@"', "sh")
    usual, other = place.run("sh", "-c", script), place.run(*within, "sh", "-c", script)
    assert usual != other
    place.trace("sh", "-c", script)
    assert place.replay("sh", "-c", script) == usual
    assert place.run(*within, place.pcache, "replay", "-q", "sh", "-c", script) == other


def test_a_signal_ignored_is_another_call(place: Place) -> None:
    """As services have SIGPIPE: what is found out about it holds for them alone."""
    script = "awk '{print $2}' | tail -c 5"
    command = ("sh", "-c", f"grep SigIgn /proc/self/status | {script}")
    ignoring = ("sh", "-c", "trap '' PIPE; exec \"$@\"", "sh")
    for _ in range(2):
        assert place.trace(*command) == place.run(*command)
        assert place.run(
            *ignoring, place.pcache, "trace", "-q", "--as-root", *command
        ) == place.run(*ignoring, *command)
    assert place.replay(*command) == place.run(*command)
    assert place.run(*ignoring, place.pcache, "replay", "-q", *command) == place.run(
        *ignoring, *command
    )


@pytest.mark.parametrize(
    "script", ["cd - >/dev/null && pwd", "echo $OLDPWD", "./go.sh", "cd $(printenv OLDPWD) && pwd"]
)
def test_the_directory_before(place: Place, script: str) -> None:
    for name in ("one", "two"):
        (place.directory / name).mkdir()
    (place.directory / "go.sh").write_text('#!/bin/sh\nd=$OLDPWD\necho "$d"\n')
    (place.directory / "go.sh").chmod(0o755)
    command = ("sh", "-c", script)
    for name in ("one", "two", "one"):
        env = {"OLDPWD": str(place.directory / name)}
        plain = place.run(*command, env=env)
        assert place.replay(*command, env=env) == plain
        assert place.trace(*command, env=env) == plain
        assert place.replay(*command, env=env) == plain


@pytest.mark.parametrize(
    "script",
    [
        "mountpoint -q m && echo yes || echo no",
        "grep -c $PWD/m /proc/self/mountinfo",
        "grep -c $PWD/m /proc/mounts",
        "[ $(stat -c %d m) = $(stat -c %d .) ]; echo $?",
        "find . -xdev -name f",
        "cd m && stat -c %d . | grep -c $(stat -c %d ..)",
    ],
)
def test_a_mount_point(place: Place, script: str) -> None:
    (place.directory / "m").mkdir(mode=0o755)
    command = ("sh", "-c", f"{script}; :")
    mount = ("mount", "-t", "tmpfs", "-o", "mode=755", "none", "m")
    for preparation in ((), mount, ("umount", "m")):
        if preparation:
            assert place.run(*preparation) == (0, "")
            (place.directory / "m/f").write_text("")
        plain = place.run(*command)
        assert place.replay(*command) == plain
        assert place.trace(*command) == plain
        assert place.replay(*command) == plain
        (place.directory / "m/f").unlink(missing_ok=True)
