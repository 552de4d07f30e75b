"""Calls that failed, by what made them fail: tests/scenarios/test_failures.py has the results."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
import subprocess
from pathlib import Path

import pytest

from pcache.memo.questions import permission_value
from pcache.model import Kind, Reason
from pcache.values import OK
from tests.lib.recorder import Buffer, Lab, Ref, call
from tests.unit.observe.accesses.test_external import STREAM, UNIX, unix

pytestmark = pytest.mark.root

PYTHON = ("/usr/bin/python3", "-IS", "-c")
TRANSIENT = {
    "memory": (call("mmap", 0, 1 << 46, 3, 0x22, -1, 0), Reason.SHORTAGE),
    "descriptors": (call("fcntl", 0, fcntl.F_DUPFD, 1 << 20), None),
    "what is mapped": (call("mincore", 0x10000, 4096, Buffer(8)), None),
    "a stale process": (call("kill", 4_000_000, 15), Reason.SIGNAL_OUTSIDE),
    "a key of others": (call("shmget", 0x5043, 4096, 0), Reason.SHARED_MEMORY),
    "priority": (call("setpriority", 0, 4_000_000, 5), Reason.UNSUPPORTED),
}


@pytest.mark.parametrize("text, reason", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_one_call(lab: Lab, work: Path, text: str, reason: str | None) -> None:
    assert lab.calls(text, cwd=work).root.reasons.keys() == ({reason} if reason else set())


def test_busy(lab: Lab, work: Path) -> None:
    (work / "x").write_bytes(Path("/bin/true").read_bytes())
    (work / "x").chmod(0o755)
    with (work / "x").open("r+b"):
        root = lab.shell("./x; ./x; true", cwd=work).root
    assert root.reasons.keys() == {Reason.SHORTAGE}
    assert root.reasons[Reason.SHORTAGE] == "execve: Text file busy"


def test_too_many_processes(lab: Lab, work: Path) -> None:
    def as_nobody_else() -> None:
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        os.setgroups([])
        os.setgid(65533)
        os.setuid(65533)

    code = "import os, sys\ntry: os.fork()\nexcept OSError: sys.exit(7)"
    recorded = lab.record(*PYTHON, code, cwd=work, prepare=as_nobody_else)
    assert os.waitstatus_to_exitcode(recorded.status) == 7
    assert Reason.SHORTAGE in recorded.root.reasons


@pytest.mark.parametrize("name", ["write", "read"])
def test_would_block(lab: Lab, work: Path, name: str) -> None:
    read, write = os.pipe()
    for fd in (read, write):
        os.set_blocking(fd, False)
    text = call(name, 5, Buffer(1 << 16), 1 << 16)
    root = lab.calls(text, text, cwd=work, fds={5: write if name == "write" else read}).root
    os.close(read)
    os.close(write)
    reason = Reason.UNOBSERVABLE_WRITE if name == "write" else Reason.FOREIGN_INPUT
    assert "Resource temporarily unavailable" in root.reasons[reason]


def test_not_to_be_sought_in(lab: Lab, work: Path) -> None:
    read, write = os.pipe()
    root = lab.calls(call("lseek", 0, 0, 1), cwd=work, fds={0: read}).root
    os.close(read)
    os.close(write)
    assert root.fact(Kind.FD, b"0") == b"pipe"


def test_a_page_that_cannot_be_had(lab: Lab, work: Path) -> None:
    code = (
        "import mmap, os; f = open('f', 'w+b'); f.truncate(4096); m = mmap.mmap(f.fileno(), 4096)\n"
        "os.ftruncate(f.fileno(), 0); m[0]"
    )
    seen = lab.shell(f'{PYTHON[0]} -IS -c "{code}"; true', cwd=work)
    assert Reason.SHORTAGE in seen.root.reasons
    assert Reason.SHORTAGE in seen.all[-1].reasons


def test_its_own_death(lab: Lab, work: Path) -> None:
    """By signals that a program brings upon itself it dies the same way again."""
    for name in ("SEGV", "ABRT", "BUS"):
        root = lab.shell(f"kill -{name} $$", cwd=work).root
        assert not root.reasons, name


def test_waiting_for_a_lock_in_vain(lab: Lab, work: Path) -> None:
    code = (
        "import fcntl, signal\ndef stop(*_): raise KeyError\nsignal.signal(signal.SIGALRM, stop)\n"
        "signal.setitimer(signal.ITIMER_REAL, .2)\nf = open('lock')\n"
        "try: fcntl.flock(f, fcntl.LOCK_EX)\nexcept KeyError: pass"
    )
    (work / "lock").touch()
    with (work / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        root = lab.record(*PYTHON, code, cwd=work).root
    assert Reason.CONFLICT in root.reasons


def test_a_name_that_is_taken(lab: Lab, work: Path) -> None:
    (work / "s").touch()
    address = unix(work / "s")
    root = lab.calls(
        call("socket", UNIX, STREAM, 0), call("bind", Ref(0), address, len(address)), cwd=work
    ).root
    assert root.fact(Kind.PRESENT, work / "s") == OK


def test_refused_by_descriptor(lab: Lab, work: Path) -> None:
    file = work / "f"
    file.touch()
    subprocess.run(["chattr", "+i", file], check=True)
    try:
        root = lab.calls(call("open", file, 0), call("fchmod", Ref(0), 0o600), cwd=work).root
        assert root.fact(Kind.PERMISSION, file) == permission_value(bytes(file))
    finally:
        subprocess.run(["chattr", "-i", file], check=True)


def test_refused_for_no_reason_that_is_seen(lab: Lab, work: Path) -> None:
    """As by fs.protected_regular, a security module, a quota: rules that no fact holds."""
    root = lab.calls(call("unlink", "/proc/version"), cwd=work).root
    assert root.reasons == {Reason.TRANSIENT: "unlink /proc/version: Operation not permitted"}
    (work / "d").mkdir()
    assert not lab.calls(call("link", "d", "e"), cwd=work).root.reasons  # never of a directory


def test_a_fifo_that_nobody_reads(lab: Lab, work: Path) -> None:
    os.mkfifo(work / "fifo")
    writing = os.O_WRONLY | os.O_NONBLOCK
    root = lab.calls(call("open", "fifo", writing), cwd=work).root
    assert root.reasons[Reason.TRANSIENT].startswith("open ")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(work / "s"))
        root = lab.calls(call("open", "s", writing), cwd=work).root
    assert root.fact(Kind.EXISTS, work / "s") is not None


def test_what_was_granted(lab: Lab, work: Path) -> None:
    (work / "x").write_text("#!/bin/sh\n")
    (work / "x").chmod(0o755)
    root = lab.calls(call("access", "x", os.R_OK | os.W_OK), cwd=work).root
    assert root.fact(Kind.READABLE, work / "x") == root.fact(Kind.WRITABLE, work / "x") == OK
    assert root.fact(Kind.EXECUTABLE, work / "x") is None
    root = lab.shell(f"{work}/x; true", cwd=work).root
    assert root.fact(Kind.EXECUTABLE, work / "x") == OK


def test_socket_pairs_are_nobodys(lab: Lab, work: Path) -> None:
    """EAGAIN of what is its own says nothing."""
    code = (
        "import socket; a, b = socket.socketpair(); a.setblocking(False)\n"
        "try: a.recv(1)\nexcept BlockingIOError: pass"
    )
    assert not lab.record(*PYTHON, code, cwd=work).root.reasons
