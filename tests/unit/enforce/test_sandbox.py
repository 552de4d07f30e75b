"""What the sandbox denies, lets, counts and fixes, and that it is part of what is looked up."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from pcache.enforce.sandbox import DEFAULT, DENIED, FEATURES, Sandbox
from pcache.errors import UsageError
from tests.conftest import open_directory
from tests.unit.enforce.lab import PYTHON, Lab

pytestmark = pytest.mark.system_files

IO_URING = (
    "import ctypes\n"
    "libc = ctypes.CDLL(None, use_errno=True)\n"
    "print(libc.syscall(425, 1, 0), ctypes.get_errno())\n"
)
SOCKETS = (
    "import socket\n"
    "for family in (1, 2, 10, 16, 17):\n"
    "    try: socket.socket(family, socket.SOCK_RAW if family > 10 else socket.SOCK_STREAM)\n"
    "    except OSError as error: print(family, error.errno)\n"
)
RANDOM = "import os; print(os.getrandom(16).hex(), os.getrandom(5000).hex()[:20])"


class Replay:
    """`pcache replay` with a store of its own."""

    def __init__(self, pcache: str, directory: Path) -> None:
        self.pcache = pcache
        self.directory = directory
        self.env = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(directory / "cache")}

    def __call__(
        self, *words: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.pcache, "replay", "--json", "counters", *words],
            cwd=self.directory,
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def counts(self) -> dict[str, int]:
        loaded = json.loads((self.directory / "counters").read_text())["supervisor"]
        return {name: count for name, count in loaded.items() if name.startswith("denied")}


@pytest.fixture
def replay(pcache: str, tmp_path: Path) -> Replay:
    return Replay(pcache, tmp_path)


def test_io_uring_is_denied_unless_allowed(replay: Replay) -> None:
    done = replay("-q", PYTHON, "-c", IO_URING)
    assert done.stdout == f"-1 {errno.ENOSYS}\n"
    assert replay.counts == {"denied: io_uring": 1}
    done = replay("-q", "--allow", "io_uring", PYTHON, "-c", IO_URING)
    assert done.stdout != f"-1 {errno.ENOSYS}\n"
    assert replay.counts == {}


def test_network(replay: Replay) -> None:
    done = replay("--no-network", PYTHON, "-c", SOCKETS)
    assert done.stdout.split("\n")[:-1] == [f"{family} 97" for family in (2, 10, 16, 17)]
    assert replay.counts == {"denied: network": 4}
    assert "pcache: denied network 4 times; to let it: --allow network\n" in done.stderr
    assert replay("-q", PYTHON, "-c", SOCKETS).stdout == ""


def test_a_configuration_denies_and_makes_exceptions(replay: Replay) -> None:
    """For the program that asks, not for what it starts; the command line has the last word."""
    (replay.directory / ".pcache.toml").write_text(
        '[sandbox]\ndeny = ["network"]\n[program."perl*"]\nallow = ["network"]\n'
    )
    perl = "$| = 1; use Socket; print socket(S, AF_INET, SOCK_STREAM, 0) ? 1 : 0, qq(\\n);"
    inner = f"import subprocess, sys; sys.exit(subprocess.call(['perl', '-e', {perl!r}]))"
    denied = "\n".join(f"{family} 97" for family in (2, 10, 16, 17)) + "\n"
    assert replay("-q", PYTHON, "-uc", f"{SOCKETS}{inner}").stdout == f"{denied}1\n"
    assert replay.counts == {"denied: network": 4}
    assert replay("-q", "perl", "-e", f"{perl} system('{PYTHON}', '-c', q({SOCKETS}))").stdout == (
        f"1\n{denied}"
    )
    assert replay("-q", "--allow", "network", PYTHON, "-c", SOCKETS).stdout == ""
    assert replay.counts == {}


def test_ptrace(replay: Replay) -> None:
    code = IO_URING.replace("425, 1, 0", "101, 0, 0, 0, 0")
    assert replay("-q", "--deny", "ptrace", PYTHON, "-c", code).stdout == f"-1 {errno.EPERM}\n"
    assert replay("-q", PYTHON, "-c", code).stdout.startswith("0 ")


def test_32_bit(replay: Replay, lab: Lab) -> None:
    """int 0x80 getpid, which the probe checks against the 64-bit one."""
    lab.compile("int80.c", "int80")
    program = str(lab.bin / "int80")
    assert replay("-q", program).returncode == 0
    assert replay("-q", "--deny", "32-bit", program).returncode != 0
    assert replay("-q", "--no-network", program).returncode == 0


def test_denials_hold_after_the_supervisor(lab: Lab, replay: Replay) -> None:
    """What outlives the command is answered by the guardian, as before."""
    with open_directory() as directory:
        code = f"import time; time.sleep(0.4)\n{SOCKETS}"
        script = f'setsid {PYTHON} -c "$1" >$0/out 2>&1 & exit 6'
        assert replay("--no-network", "sh", "-c", script, str(directory), code).returncode == 6
        deadline = time.monotonic() + 30
        while (directory / "out").read_text().count("\n") < 4:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert (directory / "out").read_text().startswith("2 97\n10 97\n")


def test_without_a_supervisor_the_denials_stay(pcache: str, replay: Replay) -> None:
    """A nested pcache runs its command plainly, but in the sandbox that was asked for."""
    inner = [pcache, "replay", "-q", "--no-network", PYTHON, "-c", SOCKETS]
    assert replay("-q", *inner).stdout.split("\n")[0] == "2 97"


def test_deterministic(replay: Replay) -> None:
    code = "import os; os.system('umask'); print(id(os)); print(hash('x'))\n" + RANDOM
    plain = {replay("-q", PYTHON, "-c", code).stdout for _ in range(2)}
    fixed = {replay("-q", "--deterministic", PYTHON, "-c", code).stdout for _ in range(3)}
    assert (len(plain), len(fixed)) == (2, 1)
    assert fixed.pop().startswith("0022\n")


def test_no_two_processes_get_the_same_random_bytes(replay: Replay) -> None:
    code = f"import os\nfor _ in range(3):\n    if os.fork() == 0: break\n{RANDOM}"
    done = replay("-q", "--deterministic", "sh", "-c", '"$0" -c "$1"; "$0" -c "$1"', PYTHON, code)
    lines = done.stdout.split("\n")[:-1]
    assert len(lines) == len(set(lines)) == 8


def test_environment_of_deterministic() -> None:
    fixed = Sandbox(deterministic=True).environment((b"TZ=x", b"A=1", b"PYTHONHASHSEED=7", b"TZ=y"))
    assert fixed == (
        b"A=1",
        b"PYTHONHASHSEED=7",
        b"TZ=UTC",
        b"LC_ALL=C.UTF-8",
        b"SOURCE_DATE_EPOCH=315532800",
    )
    assert DEFAULT.environment((b"TZ=x",)) == (b"TZ=x",)


def test_choices() -> None:
    assert Sandbox.choose().denied == DENIED
    assert Sandbox.choose(["io_uring"]).denied == frozenset()
    tags = [
        Sandbox.choose(allow, deny, deterministic).tag
        for deterministic in (False, True)
        for allow, deny in (([], []), (["io_uring"], []), ([], ["network"]), ([], [*FEATURES]))
    ]
    assert tags[0] == b""
    assert len(set(tags)) == len(tags)
    for allow, deny in (
        (["x"], []),
        ([], ["x"]),
        (["ptrace"], ["ptrace"]),
        (["io_uring"], ["network"]),
    ):
        with pytest.raises(UsageError):
            Sandbox.choose(allow, deny)


@pytest.mark.root
def test_the_sandbox_is_part_of_the_call(pcache: str, tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": "/"}
    command = ["cat", "/etc/hostname"]

    def hits(*options: str) -> bool:
        words = [pcache, "replay", "--json", str(tmp_path / "json"), *options, *command]
        subprocess.run(words, env=env, check=True, capture_output=True)
        return json.loads((tmp_path / "json").read_text())["counters"]["hits"] == 1

    for options in ((), ("--no-network",), ("--deterministic",)):
        assert not hits(*options)
        trace = [pcache, "trace", "--as-root", "-q", *options, *command]
        assert subprocess.run(trace, env=env, check=True, capture_output=True).stderr == b""
        assert hits(*options)
    assert not hits("--no-network", "--deterministic")
    assert os.geteuid() == 0
