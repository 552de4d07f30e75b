"""Kinds of descriptors, and which of them are one."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator

import pytest

from pcache.linux import descriptors
from pcache.linux.descriptors import FdView, OwnFds, kind_of, same_description


class Fixed(FdView):
    """A task whose descriptors 0, 1, ... are the given ones of ours."""

    def __init__(self, *fds: int) -> None:
        self.fds = fds

    def get(self, fd: int) -> int:
        os.fstat(self.fds[fd])
        return self.fds[fd]


@pytest.fixture
def opened() -> Iterator[dict[str, int]]:
    reading, writing = os.pipe()
    one, other = socket.socketpair()
    master, slave = os.openpty()
    with tempfile.TemporaryFile() as file:
        fds = {
            "file": file.fileno(),
            "null": os.open("/dev/null", os.O_RDWR),
            "dir": os.open("/", os.O_RDONLY),
            "zero": os.open("/dev/zero", os.O_RDONLY),
            "event": os.eventfd(0),
            "reading": reading,
            "writing": writing,
            "socket": one.detach(),
            "other": other.detach(),
            "master": master,
            "tty": slave,
        }
        yield fds
        for name, fd in fds.items():
            if name != "file":
                os.close(fd)


def test_kinds(opened: dict[str, int]) -> None:
    assert {name: kind_of(fd) for name, fd in opened.items()} == {
        "file": b"file",
        "null": b"null",
        "dir": b"dir",
        "zero": b"char:1:5",
        "event": b"other",
        "reading": b"pipe",
        "writing": b"pipe",
        "socket": b"socket",
        "other": b"socket",
        "master": b"tty",
        "tty": b"tty",
    }


def test_a_closed_descriptor() -> None:
    fd = os.dup(0)
    os.close(fd)
    assert kind_of(fd) == b"closed"
    assert Fixed(fd, fd, fd).kinds() == (b"closed", b"closed", b"closed")
    with pytest.raises(OSError, match="Bad file descriptor"):
        OwnFds().get(fd)


def test_close_on_exec_descriptors_are_ours_alone() -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    assert OwnFds().kind(fd) == b"closed"
    os.set_inheritable(fd, True)
    assert OwnFds().kind(fd) == b"null"
    os.close(fd)


def test_duplicates_are_one_description_and_second_opens_are_not(opened: dict[str, int]) -> None:
    copy = os.dup(opened["null"])
    again = os.open("/dev/null", os.O_RDWR)
    try:
        assert same_description(opened["null"], copy)
        assert not same_description(opened["null"], again)
        assert not same_description(opened["null"], opened["zero"])
    finally:
        os.close(copy)
        os.close(again)


def test_older_kernels_are_asked_with_kcmp(
    opened: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # An unknown fcntl command gives EINVAL, as F_DUPFD_QUERY does before Linux 6.10.
    monkeypatch.setattr(descriptors, "_F_DUPFD_QUERY", 1099)
    test_duplicates_are_one_description_and_second_opens_are_not(opened)


def test_stderr_may_be_stdout_again(opened: dict[str, int]) -> None:
    tty, file = opened["tty"], opened["file"]
    copies = [os.dup(tty), os.dup(tty), os.dup(file)]
    try:
        assert Fixed(tty, *copies[:2]).kinds() == (b"tty", b"tty", b"=1")
        assert Fixed(opened["null"], file, copies[2]).kinds() == (b"null", b"file", b"=1")
        assert Fixed(tty, file, copies[0]).kinds() == (b"tty", b"file", b"tty")
        assert Fixed(opened["reading"], opened["writing"], file).kinds() == (
            b"pipe",
            b"pipe",
            b"file",
        )
    finally:
        for fd in copies:
            os.close(fd)


def test_our_own_descriptors_are_what_a_child_inherits() -> None:
    import subprocess
    import sys

    code = "from pcache.linux.descriptors import OwnFds; print(OwnFds().kinds())"
    out = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    assert out.stdout == b"(b'null', b'pipe', b'pipe')\n"
    both = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
    )
    assert both.stdout == b"(b'null', b'pipe', b'=1')\n"
