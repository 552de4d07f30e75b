"""Where something is missing that pcache needs the command runs; elsewhere it is recorded."""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import Run

pytestmark = [pytest.mark.root, pytest.mark.system_files]

PATIENCE_S = 10
SCRIPT = "ls / >list; echo ran"
MISSING = {
    "/proc": ["unshare", "-m", "sh", "-c", 'umount -l /proc; exec "$@"', "sh"],
    "/sys": ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys; exec "$@"', "sh"],
    "another user namespace": ["unshare", "--map-root-user"],
    "no user": ["unshare", "--user"],
    "descriptors": ["sh", "-c", 'ulimit -n 20; exec "$@"', "sh"],
    "more descriptors": ["sh", "-c", 'ulimit -n 10; exec "$@"', "sh"],
    "few descriptors": ["sh", "-c", 'ulimit -n 6; exec "$@"', "sh"],
    "memory": ["sh", "-c", 'ulimit -v 60000; exec "$@"', "sh"],
    "memory for Python": ["sh", "-c", 'ulimit -v 12000; exec "$@"', "sh"],
    "memory for what Python imports": ["sh", "-c", 'ulimit -d 20000; exec "$@"', "sh"],
    "home": ["setpriv", "--reuid", "65533", "--clear-groups", "env", "-i", "PATH=/bin:/usr/bin"],
}


@pytest.mark.parametrize("verb", ["run", "trace", "replay"])
@pytest.mark.parametrize("missing", MISSING)
def test_the_command_runs(pcache: str, tmp_path: Path, missing: str, verb: str) -> None:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    words = [*MISSING[missing], pcache, verb, "-q", "sh", "-c", "echo ran; exit 3"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stdout) == (3, "ran\n"), done.stderr
    assert all(line.startswith("pcache: ") for line in done.stderr.splitlines())


@pytest.mark.parametrize("verb", ["run", "trace"])
def test_without_rights_one_line_says_how_to_get_them(pcache: str, as_user: Run, verb: str) -> None:
    done = as_user([pcache, verb, "-q", "sh", "-c", "echo ran; exit 3"])
    assert (done.returncode, done.stdout) == (3, b"ran\n")
    (line,) = done.stderr.decode().splitlines()
    assert f"`sudo pcache {verb}`" in line and "`sudo pcache service install`" in line


NAMESPACES = ["unshare", "--pid", "--fork", "--mount-proc", "--net", "--ipc", "--uts"]


@pytest.mark.parametrize("depth", [1, 2])
def test_inside_of_pid_namespaces(pcache: str, tmp_path: Path, depth: int) -> None:
    """As in containers: what is recorded there by one verb is replayed by another."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TZ": "UTC"}

    def inside(*words: str) -> tuple[str, dict[str, int], str]:
        report = tmp_path / "report"
        command = [*NAMESPACES * depth, pcache, words[0], "--json", str(report), *words[1:]]
        done = subprocess.run(
            command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout, json.loads(report.read_text())["counters"], done.stderr

    script = f"{SCRIPT}; (cat list >/dev/null; echo child); cat list >copy; kill -0 $$"
    out, counters, said = inside("trace", "sh", "-c", script)
    assert out == "ran\nchild\n"
    assert counters["executions"] == 4 and counters.get("uncacheable", 0) == 0, said
    copy = (tmp_path / "copy").read_bytes()
    for name in ("list", "copy"):
        (tmp_path / name).unlink()
    out, counters, _ = inside("replay", "sh", "-c", script)
    assert (out, counters["hits"]) == ("ran\nchild\n", 1)
    assert (tmp_path / "copy").read_bytes() == copy
    # A hit enters its caller's record by the number that its process has here.
    out, counters, said = inside("run", "sh", "-c", f"{SCRIPT}; echo other")
    assert out == "ran\nother\n" and counters["hits"] == 1
    assert counters["records stored"] == 1 and counters.get("uncacheable", 0) == 0, said
    out, counters, _ = inside("run", "sh", "-c", f"{SCRIPT}; echo other")
    assert (out, counters["hits"], counters.get("misses", 0)) == ("ran\nother\n", 1, 0)


def test_nobody_elses_process_is_recorded(
    pcache: str, tmp_path: Path, ordinary_user: pwd.struct_passwd
) -> None:
    """In a namespace the first processes have the numbers of others outside."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    other = "while :; do ls /very-secret-name; done"
    busy = [subprocess.Popen(["sh", "-c", other], stderr=subprocess.DEVNULL) for _ in range(2)]
    try:
        words = [*NAMESPACES, pcache, "trace", "--explain", "sh", "-c", "cat /dev/null; echo ran"]
        done = subprocess.run(words, env=env, capture_output=True, cwd=tmp_path, check=True)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert b"2 programs ran" in done.stderr and b"secret" not in done.stderr
    store = tmp_path / ".cache/pcache/index.db"
    assert b"very-secret-name" not in store.read_bytes()


@pytest.mark.parametrize("mapped", ["--map-current-user", "--map-root-user"])
def test_services_socket_in_a_container(
    pcache: str,
    as_user: Run,
    user_dir: Path,
    ordinary_user: pwd.struct_passwd,
    service: str,
    mapped: str,
) -> None:
    """Without any rights in there; who is root in it is so as its programs see it."""
    (user_dir / "data").write_text("data")
    os.chown(user_dir / "data", ordinary_user.pw_uid, ordinary_user.pw_gid)
    inner = "cat data >list; setpriv --reuid=$(id -u) true; echo ran"
    script = f"export PCACHE_SOCKET={service}; {shlex.quote(pcache)} run sh -c '{inner}'"
    words = ["unshare", "--user", mapped, *NAMESPACES[1:4], "sh", "-c", script]
    env = {"XDG_CACHE_HOME": str(user_dir)}
    first = as_user(words, env=env, cwd=user_dir)
    assert first.stdout == b"ran\n" and b"recorded as a whole" in first.stderr, first.stderr
    os.unlink(user_dir / "list")
    again = as_user(words, env=env, cwd=user_dir)
    assert again.stdout == b"ran\n" and b"brought back as a whole" in again.stderr, again.stderr
    assert (user_dir / "list").exists()


@pytest.mark.parametrize("verb", ["run", "trace"])
def test_memory_is_bounded_whatever_is_printed(pcache: str, tmp_path: Path, verb: str) -> None:
    """Of 3 GB that come faster than they can be stored."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    words = [pcache, verb, "-q", "sh", "-c", "head -c 3000000000 /dev/zero | cat"]
    peak = 0
    process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None:
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                if str(Path(pcache).parent).encode() in (status.parent / "cmdline").read_bytes():
                    found = re.search(r"VmHWM:\s*(\d+)", status.read_text(errors="replace"))
                    peak = max(peak, int(found[1]) if found else 0)
            except OSError:
                continue
        time.sleep(0.05)
    assert process.returncode == 0
    assert 10_000 < peak < 150_000, f"{peak} KiB"


def of_pcache(pcache: str) -> dict[Path, str]:
    """/proc/PID of the processes of the command under test, and their names."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.fsencode(Path(pcache).parent) in (entry / "cmdline").read_bytes():
                found[entry] = (entry / "comm").read_text().strip()
    return found


@pytest.mark.parametrize("verb", ["run", "trace", "trace --no-network", "replay"])
def test_who_is_left_behind_keeps_no_ring(pcache: str, tmp_path: Path, verb: str) -> None:
    """Of a daemon and who answers for it, none has anything of the recorder's open or mapped."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    script = "setsid sleep 60 <&- >&- 2>&- & echo $!"
    words = [pcache, *verb.split(), "-q", "sh", "-c", script]
    before = of_pcache(pcache)
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    daemon = int(done.stdout)
    try:
        expected = ["pcache-guardian"] * (verb != "trace")
        until = time.monotonic() + PATIENCE_S
        while True:
            ours = {at: name for at, name in of_pcache(pcache).items() if at not in before}
            if list(ours.values()) == expected:
                break
            assert time.monotonic() < until, ours
            time.sleep(0.05)  # the recorder ends of its own accord
        for entry in (Path(f"/proc/{daemon}"), *ours):
            opened = [os.readlink(path) for path in (entry / "fd").iterdir()]
            assert not any("bpf" in one or "events" in one for one in opened), opened
            assert "bpf" not in (entry / "maps").read_text()
    finally:
        os.kill(daemon, signal.SIGKILL)
