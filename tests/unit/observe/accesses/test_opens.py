"""The open family: what is an input, what an output, with which conditions."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pcache.model import Kind, Reason
from tests.lib.recorder import NAP, SETTLE_SECONDS, Buffer, Lab, Ref, call

pytestmark = pytest.mark.root

AT = -100
O_PATH, O_TMPFILE = 0o10000000, 0o20200000
READ = call("read", Ref(0), Buffer(100), 100)
HELLO = call("write", Ref(0), b"hello", 5)


@pytest.mark.parametrize(
    "opening",
    [
        call("open", "a", os.O_RDONLY),
        call("openat", AT, "a", os.O_RDONLY),
        call("openat2", AT, "a", bytes(24), 24),
    ],
    ids=["open", "openat", "openat2"],
)
def test_read(lab: Lab, work: Path, opening: str) -> None:
    (work / "a").write_text("one")
    root = lab.calls(opening, READ, cwd=work).root
    assert root.content(work / "a") == lab.value("one")
    assert not root.outputs


@pytest.mark.parametrize(
    "opening",
    [
        call("open", "new", os.O_WRONLY | os.O_CREAT, 0o640),
        call("creat", "new", 0o640),
        call("openat", AT, "new", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o640),
        call("openat2", AT, "new", (os.O_WRONLY | os.O_CREAT).to_bytes(8, "little")
             + (0o640).to_bytes(16, "little"), 24),
    ],
    ids=["open", "creat", "openat", "openat2"],
)  # fmt: skip
def test_create(lab: Lab, work: Path, opening: str) -> None:
    root = lab.calls(opening, HELLO, cwd=work).root
    free = (
        root.fact(Kind.REPLACEABLE, f"640:{work}/new") == b"ok"
        or root.fact(Kind.LEXISTS, work / "new") == b"-"
    )
    assert free
    assert root.output(work / "new") == ("f", 0o640, b"hello")


def test_create_exclusively(lab: Lab, work: Path) -> None:
    opening = call("openat", AT, "new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    root = lab.calls(opening, HELLO, cwd=work).root
    assert root.fact(Kind.LEXISTS, work / "new") == b"-"
    assert root.output(work / "new") == ("f", 0o644, b"hello")


def test_exclusively_but_there(lab: Lab, work: Path) -> None:
    (work / "old").touch()
    root = lab.calls(
        call("openat", AT, "old", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), cwd=work
    ).root
    assert root.fact(Kind.PRESENT, work / "old") == b"ok"
    assert not root.outputs


def test_truncate_on_open(lab: Lab, work: Path) -> None:
    (work / "old").write_text("old")
    root = lab.calls(
        call("openat", AT, "old", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), HELLO, cwd=work
    ).root
    assert root.fact(Kind.REPLACEABLE, f"644:{work}/old") == b"ok"
    assert root.content(work / "old") is None
    assert root.output(work / "old") == ("f", 0o644, b"hello")


def test_absent(lab: Lab, work: Path) -> None:
    root = lab.calls(call("openat", AT, "none", os.O_RDONLY), cwd=work).root
    assert root.content(work / "none") == b"-"


def test_absent_because_a_file_is_on_the_way(lab: Lab, work: Path) -> None:
    """Another errno, another message: not the same as when nothing is there."""
    (work / "f").touch()
    root = lab.calls(call("openat", AT, "f/x", os.O_RDONLY), cwd=work).root
    values = {value for (_, path), value in root.facts.items() if path == os.fsencode(work / "f/x")}
    assert values == {b"!20"}


def test_directory_wanted(lab: Lab, work: Path) -> None:
    (work / "f").touch()
    root = lab.calls(call("openat", AT, "f", os.O_RDONLY | os.O_DIRECTORY), cwd=work).root
    assert root.fact(Kind.NOT_DIRECTORY, work / "f") == b"ok"


def test_link_refused(lab: Lab, work: Path) -> None:
    (work / "l").symlink_to("f")
    root = lab.calls(call("openat", AT, "l", os.O_RDONLY | os.O_NOFOLLOW), cwd=work).root
    assert root.fact(Kind.LEXISTS, work / "l") == b"lf"


def test_write_to_a_directory(lab: Lab, work: Path) -> None:
    (work / "d").mkdir()
    root = lab.calls(call("openat", AT, "d", os.O_WRONLY), cwd=work).root
    assert root.fact(Kind.EXISTS, work / "d") == b"d755:0:0"


def test_path_only(lab: Lab, work: Path) -> None:
    (work / "a").write_text("one")
    root = lab.calls(call("openat", AT, "a", O_PATH), cwd=work).root
    assert root.fact(Kind.EXISTS, work / "a") == b"f644:0:0"


def test_path_only_then_size(lab: Lab, work: Path) -> None:
    (work / "a").write_text("one")
    root = lab.calls(
        call("openat", AT, "a", O_PATH), call("fstat", Ref(0), Buffer(256)), cwd=work
    ).root
    assert root.content(work / "a") == lab.value("one")


def test_path_only_of_a_link(lab: Lab, work: Path) -> None:
    (work / "l").symlink_to("target")
    root = lab.calls(
        call("openat", AT, "l", O_PATH | os.O_NOFOLLOW),
        call("readlinkat", Ref(0), "", Buffer(100), 100),
        cwd=work,
    ).root
    assert root.fact(Kind.LCONTENT, work / "l") == b"ltarget"


def test_nameless_file(lab: Lab, work: Path) -> None:
    opening = call("openat", AT, ".", os.O_RDWR | O_TMPFILE, 0o600)
    root = lab.calls(opening, HELLO, cwd=work).root
    assert root.fact(Kind.DIRECTORY, f"{work}/.") == b"ok"
    assert not root.outputs


@pytest.mark.parametrize("by_descriptor", [True, False])
def test_nameless_file_given_a_name(lab: Lab, work: Path, by_descriptor: bool) -> None:
    linking = (
        [call("linkat", Ref(0), "", AT, "new", 0x1000)]
        if by_descriptor
        else [call("dup2", Ref(0), 9), call("linkat", AT, "/proc/self/fd/9", AT, "new", 0x400)]
    )
    opening = call("openat", AT, ".", os.O_RDWR | O_TMPFILE, 0o640)
    root = lab.calls(opening, HELLO, *linking, cwd=work).root
    assert root.output(work / "new") == ("f", 0o640, b"hello")
    assert root.fact(Kind.LEXISTS, work / "new") == b"-"


def test_append(lab: Lab, work: Path) -> None:
    """What was there is an input, and the beginning of what is there afterwards."""
    (work / "log").write_text("one ")
    steps = (call("openat", AT, "log", os.O_WRONLY | os.O_APPEND), NAP, HELLO)
    root = lab.calls(*steps, cwd=work).root
    assert root.content(work / "log") == lab.value("one ")
    assert root.output(work / "log") == ("f", 0o644, b"one hello")
    time.sleep(SETTLE_SECONDS)
    (work / "log").write_text("two ")
    late = lab.calls(*steps, cwd=work, late=True).root
    assert late.content(work / "log") == lab.value("two ")
    assert late.output(work / "log") == ("f", 0o644, b"two hello")


def test_read_then_overwritten(lab: Lab, work: Path) -> None:
    (work / "a").write_text("one")
    script = "cat a >/dev/null; sleep 0.1; echo two >a"
    root = lab.shell(script, cwd=work).root
    assert root.content(work / "a") == lab.value("one")
    assert root.output(work / "a") == ("f", 0o644, b"two\n")
    (work / "a").write_text("three")
    late = lab.shell(script, cwd=work, late=True).root
    assert late.content(work / "a") == lab.value("three"), "what was read is told"
    (work / "a").write_text("x" * 5000)
    assert lab.shell(script, cwd=work, late=True).root.reasons.keys() == {Reason.INPUT_CHANGED}


def test_read_in_part_then_overwritten(lab: Lab, work: Path) -> None:
    (work / "a").write_text("three")
    script = "read -r x <a; echo two >a"  # by a shell, byte by byte
    assert lab.shell(script, cwd=work, late=True).root.reasons.keys() == {Reason.INPUT_CHANGED}


def test_overwritten_in_place_and_times_set(lab: Lab, work: Path) -> None:
    """The size is the same and the times are the program's own: what was read shows it."""
    (work / "n").write_text("1")
    steps = (
        call("openat", AT, "n", os.O_RDWR),
        NAP,
        call("read", Ref(0), Buffer(10), 1),
        call("pwrite64", Ref(0), b"2", 1, 0),
        call("utimensat", Ref(0), 0, 0, 0),
    )
    root = lab.calls(*steps, cwd=work).root
    assert root.content(work / "n") == lab.value("1")
    (work / "n").write_text("3")
    assert lab.calls(*steps, cwd=work, late=True).root.content(work / "n") == lab.value("3")
    (work / "n").write_text("4")
    unread = (step for step in steps if step != call("read", Ref(0), Buffer(10), 1))
    assert lab.calls(*unread, cwd=work, late=True).root.reasons.keys() == {Reason.INPUT_CHANGED}


def test_touched_only(lab: Lab, work: Path) -> None:
    (work / "n").write_text("1")
    root = lab.calls(
        call("openat", AT, "n", os.O_RDWR), call("utimensat", Ref(0), 0, 0, 0), cwd=work
    ).root
    assert root.content(work / "n") == lab.value("1")
    assert root.output(work / "n") == ("f", 0o644, b"1")


@pytest.mark.parametrize(
    "writing",
    [
        call("openat", AT, "a", os.O_RDWR),
        call("openat", AT, "a", os.O_WRONLY | os.O_TRUNC),
        call("creat", "a", 0o644),
        call("truncate", "a", 1),
        call("chmod", "a", 0o600),
    ],
    ids=["open", "trunc", "creat", "truncate", "chmod"],
)
def test_file_with_another_name(lab: Lab, work: Path, writing: str) -> None:
    """The other name would change with it, and a restored file would part them."""
    (work / "a").write_text("one")
    (work / "other").hardlink_to(work / "a")
    look = call("stat", "a", Buffer(200))
    root = lab.calls(look, writing, HELLO, cwd=work).root
    assert Reason.UNSUPPORTED in root.reasons


def test_written_file_must_still_be_alone(lab: Lab, work: Path) -> None:
    (work / "a").write_text("one")
    root = lab.calls(call("openat", AT, "a", os.O_WRONLY | os.O_TRUNC), HELLO, cwd=work).root
    assert root.fact(Kind.REPLACEABLE, f"644:{work}/a") == b"ok"


def test_mapped_to_be_written(lab: Lab, work: Path) -> None:
    (work / "a").write_bytes(b"x" * 4096)
    steps = (call("openat", AT, "a", os.O_RDWR), NAP, call("mmap", 0, 4096, 3, 1, Ref(0), 0))
    root = lab.calls(*steps, cwd=work).root
    assert root.content(work / "a") == lab.value(b"x" * 4096)
    assert root.output(work / "a") is None  # nothing was written
    # Looked at only after the mapping was made, when it may have been written to.
    assert lab.calls(*steps, cwd=work, late=True).root.reasons.keys() == {Reason.INPUT_CHANGED}


def test_fifo_of_others(lab: Lab, work: Path) -> None:
    os.mkfifo(work / "p")
    root = lab.calls(call("openat", AT, "p", os.O_RDWR), cwd=work).root
    assert Reason.FOREIGN_INPUT in root.reasons


def test_fifo_of_its_own(lab: Lab, work: Path) -> None:
    seen = lab.shell("mkfifo p; cat <p >out & echo x >p; wait", cwd=work)
    assert seen.root.output(work / "p") == ("p", 0o644, b"")
    assert seen.root.output(work / "out") == ("f", 0o644, b"x\n")
    assert Reason.FOREIGN_INPUT in seen.find("cat").reasons


def test_terminal(lab: Lab, work: Path) -> None:
    master, slave = os.openpty()
    for path in ("/dev/ptmx", os.ttyname(slave)):
        root = lab.calls(call("openat", AT, path, os.O_RDWR | os.O_NOCTTY), cwd=work).root
        assert Reason.FOREIGN_INPUT in root.reasons, path
    os.close(master)
    os.close(slave)


def test_terminal_opened_to_see_that_it_can_be(lab: Lab, work: Path) -> None:
    """As bash does whenever it starts."""
    master, slave = os.openpty()
    flags = os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY
    assert not lab.calls(call("openat", AT, os.ttyname(slave), flags), cwd=work).root.reasons
    os.close(master)
    os.close(slave)


def test_device(lab: Lab, work: Path) -> None:
    os.mknod(work / "kmsg", 0o20600, os.makedev(1, 11))
    assert (
        Reason.FOREIGN_INPUT
        in lab.calls(call("openat", AT, "kmsg", os.O_RDONLY), cwd=work).root.reasons
    )


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/urandom", "/dev/full", "/dev/null"])
def test_harmless_devices(lab: Lab, work: Path, path: str) -> None:
    assert not lab.calls(call("openat", AT, path, os.O_RDONLY), cwd=work).root.reasons


def test_proc_of_itself(lab: Lab, work: Path) -> None:
    root = lab.calls(call("openat", AT, "/proc/self/status", os.O_RDONLY), READ, cwd=work).root
    assert not any(path.startswith(b"/proc") for _, path in root.facts)


def test_proc_of_others(lab: Lab, work: Path) -> None:
    root = lab.calls(call("openat", AT, "/proc/1/status", os.O_RDONLY), READ, cwd=work).root
    assert Reason.FOREIGN_INPUT in root.reasons


def test_proc_and_sys_by_content(lab: Lab, work: Path) -> None:
    root = lab.shell("cat /proc/version /sys/kernel/mm/transparent_hugepage/enabled", cwd=work).root
    assert root.content("/proc/version") == lab.value(Path("/proc/version").read_bytes(), 0o444)


def test_write_to_proc(lab: Lab, work: Path) -> None:
    root = lab.calls(call("openat", AT, "/proc/sys/kernel/hostname", os.O_WRONLY), cwd=work).root
    assert Reason.UNSUPPORTED in root.reasons


def test_unreadable_argument(lab: Lab, work: Path) -> None:
    root = lab.calls(call("openat", AT, 8, os.O_RDONLY), cwd=work).root
    assert not root.reasons
