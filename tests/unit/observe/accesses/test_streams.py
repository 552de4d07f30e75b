"""What goes through inherited descriptors, out and in."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pcache.model import Kind, Reason
from tests.lib.recorder import Buffer, Lab, Ref, Vector, call

pytestmark = pytest.mark.root

AT = -100


@contextmanager
def drained(kind: str, work: Path) -> Iterator[int]:
    """A descriptor to write to, of each kind; what is written is not looked at."""
    if kind == "pipe":
        read, write = os.pipe()
        yield write
    elif kind == "socket":
        one, other = socket.socketpair()
        read, write = one.detach(), other.detach()
        yield write
    elif kind == "terminal":
        read, write = os.openpty()
        yield write
    else:
        read = os.open("/dev/null", os.O_RDONLY)
        flags = os.O_APPEND if kind == "append" else 0
        (work / "stream").write_text("before")
        write = os.open(work / "stream", os.O_WRONLY | flags)
        yield write
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("kind", ["file", "append", "pipe", "socket", "terminal"])
def test_kinds(lab: Lab, work: Path, kind: str) -> None:
    with drained(kind, work) as fd:
        root = lab.shell("echo out; echo err >&2; echo out", cwd=work, fds={1: fd, 2: fd}).root
    assert root.chunks == [(1, b"out\nerr\nout\n")]
    assert not root.outputs


def test_two_streams_in_order(lab: Lab, work: Path) -> None:
    with drained("pipe", work) as one, drained("pipe", work) as other:
        root = lab.shell("echo a; echo b >&2; echo c", cwd=work, fds={1: one, 2: other}).root
    assert root.chunks == [(1, b"a\n"), (2, b"b\n"), (1, b"c\n")]


def test_closed(lab: Lab, work: Path) -> None:
    root = lab.record("/bin/echo", "x", cwd=work, prepare=lambda: os.close(1)).root
    assert root.status >> 8 == 1
    assert root.record.call.fds[1] == b"closed"


@pytest.mark.parametrize(
    "writing, expected",
    [
        (call("write", 1, b"hello", 5), b"hello"),
        (call("write", 1, b"hello", 0), b""),
        (call("writev", 1, Vector(b"he", b"", b"llo"), 3), b"hello"),
        (call("writev", 1, Vector(*(b"%03d" % n for n in range(1000))), 1000),
         b"".join(b"%03d" % n for n in range(1000))),
        (call("pwritev2", 1, Vector(b"x"), 1, -1, -1, 0), None),
        (call("pwrite64", 1, b"x", 1, 3), None),
        (call("ftruncate", 1, 0), None),
        (call("fallocate", 1, 0, 0, 9), None),
        (call("lseek", 1, 0, 0), None),
    ],
    ids=["write", "nothing", "writev", "many pieces", "pwritev2", "pwrite", "ftruncate",
         "fallocate", "lseek"],
)  # fmt: skip
def test_calls(lab: Lab, work: Path, writing: str, expected: bytes | None) -> None:
    root = lab.calls(writing, cwd=work, capture=True).root
    if expected is None:
        assert Reason.UNOBSERVABLE_WRITE in root.reasons
    else:
        assert root.stream(1) == expected


@pytest.mark.parametrize(
    "copying",
    [
        call("sendfile", 1, Ref(0), 0, 100),
        call("copy_file_range", Ref(0), 0, 1, 0, 100, 0),
        call("sendfile", 1, Ref(0), struct.pack("<q", 0), 100),
    ],
    ids=["sendfile", "copy_file_range", "sendfile at an offset"],
)
def test_copies_inside_the_kernel(lab: Lab, work: Path, copying: str) -> None:
    (work / "a").write_text("one two")
    root = lab.calls(call("openat", AT, "a", 0), copying, cwd=work, capture=True).root
    assert root.stream(1) == b"one two"


def test_copy_to_an_offset(lab: Lab, work: Path) -> None:
    """Not to the end of the stream."""
    (work / "a").write_text("one two")
    copying = call("copy_file_range", Ref(0), 0, 1, struct.pack("<q", 3), 100, 0)
    root = lab.calls(call("openat", AT, "a", 0), copying, cwd=work, capture=True).root
    assert Reason.UNOBSERVABLE_WRITE in root.reasons


def test_splice_from_a_pipe(lab: Lab, work: Path) -> None:
    pair = Buffer(8)
    root = lab.shell(
        "echo x | python3 -ISc 'import os; os.splice(0, 1, 9)'", cwd=work, capture=True
    )
    assert pair.size and Reason.UNOBSERVABLE_WRITE in root.root.reasons


def test_large_output(lab: Lab, work: Path) -> None:
    """100 MB without a lost byte."""
    recorded = lab.record(
        *("/usr/bin/head", "-c", "100000000", "/dev/zero"), cwd=work, capture=True
    )
    assert recorded.lost == 0
    assert recorded.root.record.outcome.chunks == ((1, 100_000_000),)


@pytest.mark.parametrize("call", ["write(1, data)", "writev(1, [data[:9], data[9:]])"])
def test_large_write(lab: Lab, work: Path, call: str) -> None:
    """100 MB at once."""
    code = f"import os; data = bytes(range(256)) * 390_625; os.{call}"
    recorded = lab.record("/usr/bin/python3", "-ISc", code, cwd=work, capture=True)
    assert recorded.lost == 0
    assert recorded.root.stream(1) == bytes(range(256)) * 390_625


def test_broken_stream(lab: Lab, work: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    root = lab.shell("trap '' PIPE; echo x", cwd=work, fds={1: write}).root
    os.close(write)
    assert Reason.UNOBSERVABLE_WRITE in root.reasons


def test_copied_descriptor(lab: Lab, work: Path) -> None:
    root = lab.shell("exec 5>&1; echo x >&5", cwd=work, capture=True).root
    assert root.stream(1) == b"x\n"


def test_another_descriptor(lab: Lab, work: Path) -> None:
    with drained("pipe", work) as fd:
        root = lab.shell("echo x >&7", cwd=work, fds={7: fd}).root
    assert root.stream(7) == b"x\n"
    assert root.fact(Kind.FD, "7") == b"pipe"


# Input


def test_stdin_from_a_file(lab: Lab, work: Path) -> None:
    (work / "in").write_text("one\ntwo\n")
    fd = os.open(work / "in", os.O_RDONLY)
    os.lseek(fd, 2, os.SEEK_SET)
    root = lab.shell("read x; exit 0", cwd=work, fds={0: fd}).root
    os.close(fd)
    value = root.fact(Kind.INPUT, "0")
    assert value is not None and value.startswith(b"i2:")
    assert root.record.outcome.offsets == ((0, 4),)


@pytest.mark.parametrize("read", [True, False])
def test_stdin_from_a_pipe(lab: Lab, work: Path, read: bool) -> None:
    ends = os.pipe()
    os.write(ends[1], b"x\n")
    root = lab.shell("read x; exit 0" if read else "exit 0", cwd=work, fds={0: ends[0]}).root
    for fd in ends:
        os.close(fd)
    assert (Reason.FOREIGN_INPUT in root.reasons) == read


def test_stdin_mapped(lab: Lab, work: Path) -> None:
    (work / "in").write_text("one")
    fd = os.open(work / "in", os.O_RDONLY)
    root = lab.calls(call("mmap", 0, 3, 1, 2, 0, 0), cwd=work, fds={0: fd}).root
    os.close(fd)
    assert root.fact(Kind.INPUT, "0") is not None


OPENED_ANEW: list[tuple[str, Callable[[Path], int], str | None]] = [
    ("/dev/stdin", lambda work: os.open(work / "in", os.O_RDONLY), None),
    ("/dev/fd/0", lambda work: os.open(work / "in", os.O_RDONLY), None),
    ("/proc/self/fd/0", lambda work: os.open(work / "in", os.O_RDONLY), None),
    ("/dev/stdin", lambda _: os.pipe()[0], Reason.FOREIGN_INPUT),
    ("/dev/stdin", lambda _: os.openpty()[1], Reason.FOREIGN_INPUT),
]


@pytest.mark.parametrize("path, source, reason", OPENED_ANEW)
def test_stdin_opened_anew(
    lab: Lab, work: Path, path: str, source: Callable[[Path], int], reason: str | None
) -> None:
    (work / "in").write_text("one")
    fd = source(work)
    opening = call("openat", AT, path, os.O_RDONLY | os.O_NONBLOCK)
    root = lab.calls(opening, cwd=work, fds={0: fd}).root
    if reason is None:
        assert root.fact(Kind.INPUT, "0") is not None
    else:
        assert reason in root.reasons


def test_stdin_null_opened_anew(lab: Lab, work: Path) -> None:
    root = lab.calls(call("openat", AT, "/dev/stdin", os.O_RDONLY), cwd=work).root
    assert root.fact(Kind.FD, "0") == b"null"


@pytest.mark.parametrize("kind", ["file", "append", "pipe", "terminal"])
def test_stdout_opened_anew(lab: Lab, work: Path, kind: str) -> None:
    with drained(kind, work) as fd:
        root = lab.shell("echo x >/dev/stdout", cwd=work, fds={1: fd}).root
    assert Reason.UNOBSERVABLE_WRITE in root.reasons


def test_directory_inherited(lab: Lab, work: Path) -> None:
    """Which one it is, no call tells."""
    (work / "a").write_text("one")
    fd = os.open(work, os.O_RDONLY)
    for step in (call("openat", 5, "a", 0), call("fchdir", 5)):
        assert Reason.DESCRIPTOR_PASSING in lab.calls(step, cwd=work, fds={5: fd}).root.reasons
    os.close(fd)


def test_jobserver(lab: Lab, work: Path) -> None:
    """Its tokens are neither input nor output, of make and of what make starts."""
    (work / "Makefile").write_text("all: a b\na b:\n\t+$(MAKE) -f sub.mk $@2\n")
    (work / "sub.mk").write_text("%2:\n\techo $@ >$@\n")
    seen = lab.record("/usr/bin/make", "-j2", cwd=work)
    assert not seen.root.reasons
    assert not any(
        Reason.FOREIGN_INPUT in one.reasons or Reason.UNOBSERVABLE_WRITE in one.reasons
        for one in seen.all
    )
