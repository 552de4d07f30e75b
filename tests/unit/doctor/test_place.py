"""Where pcache runs, as doctor tells it."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from pcache.doctor.place import SERVICE_FROM_OUTSIDE, place, service

FIRST = {"user": 4026531837, "pid": 4026531836, "uts": 4026531838, "ipc": 4026531839}


def machine(path: Path, *others: str, marks: dict[str, str] | None = None) -> tuple[str, str]:
    """What `place` looks at."""
    namespaces, root = path / "proc/self/ns", path / "root"
    namespaces.mkdir(parents=True)
    for name, number in FIRST.items():
        (namespaces / name).symlink_to(f"{name}:[{number + (name in others) * 1000}]")
    (root / "sys/kernel").mkdir(parents=True)
    for name, content in (marks or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return str(path / "proc"), str(root)


@pytest.mark.parametrize(
    ("others", "marks", "status", "where"),
    [
        ((), {}, "ok", "on the host"),
        (("pid", "uts"), {}, "ok", "in a container with namespaces of its own: pid, uts"),
        (
            ("pid",),
            {".dockerenv": ""},
            "ok",
            "in a container (docker) with namespaces of its own: pid",
        ),
        (
            (),
            {"run/systemd/container": "lxc\n"},
            "ok",
            "in a container (lxc) that shares the host's namespaces",
        ),
        (
            ("user", "pid"),
            {"run/.containerenv": ""},
            "warn",
            "in a container (podman) with namespaces of its own: user, pid;"
            " who is root in it may not record",
        ),
    ],
)
def test_place(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    others: tuple[str, ...],
    marks: dict[str, str],
    status: str,
    where: str,
) -> None:
    monkeypatch.delenv("container", raising=False)
    result = place(*machine(tmp_path, *others, marks=marks))
    assert (result.status, result.reason) == (status, where)
    assert (result.remedy == SERVICE_FROM_OUTSIDE) == ("user" in others)


def test_what_is_not_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("container", raising=False)
    proc, root = machine(tmp_path)
    (tmp_path / "root/sys/kernel").rmdir()
    assert place(proc, root).reason == "on the host, without /sys"
    assert place(f"{root}/proc", root).status == "fail"


@pytest.mark.root
def test_inside_of_a_container(pcache: str) -> None:
    words = ["unshare", "-pf", "--mount-proc", "--uts", pcache, "doctor"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("ok    place (trace and replay): in a container")
    assert "with namespaces of its own: pid, uts\n" in done.stdout
    assert done.returncode == 0
    words = ["unshare", "--map-root-user", "-pf", "--mount-proc", pcache, "doctor", "--quiet"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    remedies = [line for line in done.stdout.splitlines() if line.startswith("      mend it: ")]
    assert remedies.count(f"      mend it: {SERVICE_FROM_OUTSIDE}") == 2


def test_service(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    assert service(path).reason == "there is none: recording takes sudo"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(path)
        listening.listen()
        assert service(path).reason == f"{path} may be used: recording takes no sudo"
    assert service(path).reason == "there is none: recording takes sudo"
    os.unlink(path)
    Path(path).touch()
    assert service(f"{path}/below").status == "warn"
