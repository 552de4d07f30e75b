"""What reaches beyond files and streams."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from pcache.model import Reason
from tests.lib.recorder import Buffer, Lab, Ref, call

pytestmark = pytest.mark.root

BREAKERS = [
    ([call("ptrace", 0, 0, 0, 0)], Reason.PTRACE),
    ([call("unshare", 0x04000000)], Reason.NAMESPACE),
    ([call("chroot", ".")], Reason.NAMESPACE),
    ([call("shmget", 0x5043, 4096, 0o1600)], Reason.SHARED_MEMORY),
    ([call("mq_open", "pcache-test", 0o102, 0o600, 0), call("mq_unlink", "pcache-test")],
     Reason.SHARED_MEMORY),
    ([call("keyctl", 0, -3, 1)], Reason.SHARED_MEMORY),
    ([call("inotify_init1", 0), call("inotify_add_watch", Ref(0), ".", 2)], Reason.FOREIGN_INPUT),
    ([call("kill", 1, 0)], Reason.SIGNAL_OUTSIDE),
    ([call("kill", 4_000_000, 0)], Reason.SIGNAL_OUTSIDE),
    ([call("setuid", 1)], Reason.UNSUPPORTED),
    ([call("setgroups", 0, 0)], Reason.UNSUPPORTED),
    ([call("perf_event_open", struct.pack("<II", 1, 128) + bytes(120), 0, -1, -1, 0)],
     Reason.UNSUPPORTED),
    ([call("io_setup", 4, Buffer(8))], Reason.UNOBSERVABLE_WRITE),
    ([call("userfaultfd", 1)], Reason.SHARED_MEMORY),
    ([call("getpid"), call("pidfd_open", Ref(0), 0), call("pidfd_getfd", Ref(1), 0, 0)],
     Reason.DESCRIPTOR_PASSING),
]  # fmt: skip


@pytest.mark.parametrize(
    "calls, reason", BREAKERS, ids=[f"{index}" for index in range(len(BREAKERS))]
)
def test_breakers(lab: Lab, work: Path, calls: list[str], reason: str) -> None:
    assert reason in lab.calls(*calls, cwd=work).root.reasons


HARMLESS = {
    "io_uring refused or not": call("epoll_create1", 0),
    "private memory": call("shmget", 0, 4096, 0o1600),
    "own identity": call("setuid", 0),
    "own process": call("kill", 0x7FFFFFFF, 9),
    "anonymous file": call("memfd_create", "x", 0),
    "files only": call("unshare", 0x400),
    "limits asked": call("prlimit64", 0, 7, 0, Buffer(16)),
    "name": call("prctl", 15, "name"),
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS.keys())
def test_harmless(lab: Lab, work: Path, text: str) -> None:
    assert not lab.calls(text, cwd=work).root.reasons


def test_uring(lab: Lab, work: Path) -> None:
    recorded = lab.calls(call("io_uring_setup", 4, Buffer(200)), call("exit_group", 0), cwd=work)
    # Where the kernel forbids it nothing has happened; before Linux 6.6 it cannot.
    setting = Path("/proc/sys/kernel/io_uring_disabled")
    allowed = not setting.exists() or setting.read_text().strip() == "0"
    assert (Reason.UNOBSERVABLE_WRITE in recorded.root.reasons) == allowed


def test_descriptors_passed(lab: Lab, work: Path) -> None:
    code = (
        "import socket\na, b = socket.socketpair()\n"
        "socket.send_fds(a, [b'x'], [0])\nsocket.recv_fds(b, 1, 1)"
    )
    root = lab.record("/usr/bin/python3", "-Ic", code, cwd=work).root
    assert Reason.DESCRIPTOR_PASSING in root.reasons


def test_shared_object_known_by_its_number(lab: Lab, work: Path) -> None:
    """Private when it was made, but made by somebody else."""
    made = lab.calls(call("shmget", 0, 4096, 0o1600), call("shmat", Ref(0), 0, 0), cwd=work)
    assert not made.root.reasons
    text = subprocess.run(
        ["ipcmk", "-M", "4096"], check=True, capture_output=True, text=True
    ).stdout
    number = int(text.split()[-1])
    try:
        root = lab.calls(call("shmat", number, 0, 0), cwd=work).root
    finally:
        subprocess.run(["ipcrm", "-m", str(number)], check=True)
    assert Reason.SHARED_MEMORY in root.reasons
