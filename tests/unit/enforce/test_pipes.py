"""Pipes that are looked into, and pipes that are given in their place."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator

import pytest

from pcache.enforce import pipes
from pcache.enforce.refill import refill, take_over
from pcache.enforce.task_descriptors import TaskFds
from pcache.values import pipe_value

Ends = tuple[int, int]


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = os.pipe()
    yield made
    for end in made:
        try:
            os.close(end)
        except OSError:
            pass  # closed by the test


class Replacing:
    """A listener that keeps what a task would have been given."""

    def __init__(self) -> None:
        self.given: dict[int, int] = {}

    def replace(self, id: int, fd: int, ours: int) -> None:
        self.given[fd] = os.dup(ours)


class Fds(TaskFds):
    """Descriptor 0 of a task is one of ours."""

    def __init__(self, pipe: int) -> None:
        super().__init__(0, 0)
        self._pipe = pipe

    def numbers(self) -> list[int]:
        return [0]

    def get(self, fd: int) -> int:
        return self._pipe

    def status(self, fd: int) -> os.stat_result:
        return os.fstat(self._pipe)


def all_of(pipe: int) -> bytes:
    with open(pipe, "rb") as file:
        return file.read()


def test_looking_takes_nothing(ends: Ends) -> None:
    os.write(ends[1], b"a" * 5000)
    os.write(ends[1], b"b")
    want = b"a" * 5000 + b"b"
    assert pipes.content(ends[0]) == pipes.content(ends[0]) == want
    assert os.read(ends[0], 10000) == want
    assert pipes.content(ends[0]) == b""


def test_full(ends: Ends) -> None:
    size = fcntl.fcntl(ends[0], fcntl.F_GETPIPE_SZ)
    os.write(ends[1], bytes(size // 2))
    assert not pipes.is_full(ends[0])
    os.write(ends[1], bytes(size // 2))
    assert pipes.is_full(ends[0])


def holder(**descriptors: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], **descriptors)  # type: ignore[call-overload,no-any-return]


def test_who_else_reads(ends: Ends) -> None:
    inode = os.fstat(ends[0]).st_ino
    one, writer = holder(stdin=ends[0]), holder(stdout=ends[1])
    try:
        assert not pipes.Tree.others_have(inode, one.pid, writing=False)
        assert not pipes.Tree.others_have(inode, writer.pid, writing=True)
        assert pipes.Tree.others_have(inode, writer.pid, writing=False)
        assert pipes.Tree.others_have(inode, one.pid, writing=True)
        other = holder(stdin=ends[0])
        try:
            assert pipes.Tree.others_have(inode, one.pid, writing=False)
        finally:
            other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert not pipes.Tree.others_have(inode, one.pid, writing=False)
        other.wait()
    finally:
        for process in (one, writer):
            process.kill()
            process.wait()


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 1 << 20])
def test_refill(ends: Ends, size: int) -> None:
    data = os.urandom(size)
    listener, fds = Replacing(), Fds(ends[0])
    inode = os.fstat(ends[0]).st_ino
    refill(listener, 0, fds, inode, [data[:100], data[100:]])  # type: ignore[arg-type]
    assert fds.refilled == inode
    assert all_of(listener.given[0]) == data


def test_reader_of_a_refill_leaves(ends: Ends) -> None:
    listener = Replacing()
    inode = os.fstat(ends[0]).st_ino
    refill(listener, 0, Fds(ends[0]), inode, [bytes(1 << 20)])  # type: ignore[arg-type]
    os.close(listener.given[0])
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0


@pytest.mark.parametrize("taken", [b"", b"some"])
def test_take_over(ends: Ends, taken: bytes) -> None:
    """Whoever else reads from the pipe finds nothing more; what he had before is missing."""
    os.write(ends[1], b"something")
    os.close(ends[1])
    listener, fds = Replacing(), Fds(ends[0])
    fds.shared[os.fstat(ends[0]).st_ino] = pipe_value([b"something"])
    assert os.read(ends[0], len(taken)) == taken
    assert take_over(listener, 0, fds) == (not taken)  # type: ignore[arg-type]
    assert os.read(ends[0], 100) == b""
    assert all_of(listener.given[0]) == b"something".removeprefix(taken)
