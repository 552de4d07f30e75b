"""Paths: links on the way, `..`, odd and long names."""

from __future__ import annotations

import os
from pathlib import Path
from zlib import crc32

import pytest

from pcache.model import Kind, Reason
from tests.lib.recorder import NAP, Buffer, Lab, Ref, Seen, call

pytestmark = pytest.mark.root

AT = -100
CREATE = os.O_WRONLY | os.O_CREAT


def test_chain_of_links(lab: Lab, work: Path) -> None:
    """The fact is about the path used: evaluating it follows every link on the way again."""
    (work / "target").write_text("one")
    (work / "a").symlink_to("b")
    (work / "b").symlink_to("target")
    root = lab.calls(call("openat", AT, "a", 0), cwd=work).root
    assert root.content(work / "a") == lab.value("one")


def resolved(seen: Seen, path: Path) -> bytes:
    """Where a directory's path led."""
    value = seen.fact(Kind.RESOLVES, path)
    assert value is not None, seen.facts
    return value.partition(b">")[2]


def directory_and_link(work: Path) -> None:
    (work / "d1").mkdir()
    (work / "link").symlink_to("d1")


@pytest.mark.parametrize(
    "change",
    [
        call("openat", AT, "link/new", CREATE, 0o644),
        call("openat", AT, "link/new", CREATE | os.O_EXCL, 0o644),
        call("mkdir", "link/new", 0o755),
        call("symlink", "x", "link/new"),
        call("mknod", "link/new", 0o10644, 0),
        call("unlink", "link/old"),
        call("rename", "link/old", "new"),
        call("rename", "old", "link/new"),
        call("link", "old", "link/new"),
        call("chmod", "link/old", 0o600),
        call("rmdir", "link/sub"),
    ],
    ids=lambda text: f"{text.split(',')[0]}-{crc32(text.encode())}",
)
def test_changes_through_a_link(lab: Lab, work: Path, change: str) -> None:
    """Where the output goes depends on where the link leads."""
    directory_and_link(work)
    (work / "d1/old").write_text("old")
    (work / "old").write_text("old")
    (work / "d1/sub").mkdir()
    look = call("stat", "link/old", Buffer(200))
    root = lab.calls(look, NAP, change, cwd=work).root
    assert resolved(root, work / "link") == os.fsencode(work / "d1")


@pytest.mark.parametrize(
    "calls",
    [
        (call("openat", AT, "link", os.O_DIRECTORY), call("getdents64", Ref(0), Buffer(999), 999),
         call("getdents64", Ref(0), Buffer(999), 999)),
        (call("openat", AT, "link", os.O_DIRECTORY), call("openat", Ref(0), "x", 0)),
        (call("chdir", "link"), call("openat", AT, "x", 0)),
        (call("openat", AT, "link", os.O_DIRECTORY), call("fchdir", Ref(0)),
         call("openat", AT, "x", 0)),
    ],
    ids=["list", "openat", "chdir", "fchdir"],
)  # fmt: skip
def test_directory_reached_through_a_link(lab: Lab, work: Path, calls: tuple[str, ...]) -> None:
    directory_and_link(work)
    (work / "d1/x").write_text("one")
    root = lab.calls(*calls, cwd=work).root
    assert resolved(root, work / "link") == os.fsencode(work / "d1")


def test_links_above_the_directory(lab: Lab, work: Path) -> None:
    (work / "d/e").mkdir(parents=True)
    (work / "l").symlink_to("d")
    (work / "d/m").symlink_to("e")
    root = lab.calls(call("openat", AT, "l/m/new", CREATE, 0o644), cwd=work).root
    assert resolved(root, work / "l/m") == os.fsencode(work / "d/e")
    assert root.output(work / "d/e/new") == ("f", 0o644, b"")


def test_moved_link_is_still_one(lab: Lab, work: Path) -> None:
    (work / "target").write_text("one")
    (work / "l").symlink_to("target")
    root = lab.calls(call("rename", "l", "m"), call("stat", "m", Buffer(200)), cwd=work).root
    contents = {value for (kind, _), value in root.facts.items() if kind == Kind.CONTENT}
    assert lab.value("one") in contents


def test_dangling_link_written_through(lab: Lab, work: Path) -> None:
    (work / "l").symlink_to("new")
    root = lab.calls(call("openat", AT, "l", CREATE, 0o644), cwd=work).root
    assert root.fact(Kind.LCONTENT, work / "l") == b"lnew"
    assert root.output(work / "new") == ("f", 0o644, b"")


def test_dots(lab: Lab, work: Path) -> None:
    (work / "d/e").mkdir(parents=True)
    (work / "a").write_text("one")
    root = lab.calls(
        call("openat", AT, "d/e/../../a", 0), call("creat", "d/./e/../new", 0o644), cwd=work
    ).root
    assert root.content(work / "d/e/../../a") == lab.value("one")
    assert root.output(work / "d/new") == ("f", 0o644, b"")


@pytest.mark.parametrize("name", [b"new\nline", b"\xff\xfe", b" ", b"tab\t", b'quote"', b"x" * 255])
def test_odd_names(lab: Lab, work: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(work), name)
    with open(path, "wb") as file:
        file.write(b"one")
    out = name[:-1] + b"2"
    root = lab.calls(call("openat", AT, name, 0), call("creat", out, 0o644), cwd=work).root
    assert root.content(path) == lab.value("one")
    assert os.path.join(os.fsencode(work), out) in root.outputs


def deep(levels: int) -> list[str]:
    name = "d" * 200
    return [
        text for _ in range(levels) for text in (call("mkdir", name, 0o755), call("chdir", name))
    ]


def test_long_path(lab: Lab, work: Path) -> None:
    """Within PATH_MAX: an output like any other."""
    root = lab.calls(*deep(15), call("creat", "new", 0o644), cwd=work).root
    assert root.output(work / "/".join(["d" * 200] * 15) / "new") == ("f", 0o644, b"")


def test_path_longer_than_the_kernel_takes(lab: Lab, work: Path) -> None:
    root = lab.calls(*deep(25), call("creat", "new", 0o644), cwd=work).root
    assert Reason.UNSUPPORTED in root.reasons


def test_failed_look_beyond_the_limit(lab: Lab, work: Path) -> None:
    here = os.getcwd()
    try:
        os.chdir(work)
        for _ in range(25):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
    finally:
        os.chdir(here)
    steps = [call("chdir", "d" * 200) for _ in range(25)]
    root = lab.calls(*steps, call("access", "none", 0), cwd=work).root
    assert Reason.UNSUPPORTED in root.reasons


def test_relative_to_a_removed_directory(lab: Lab, work: Path) -> None:
    root = lab.calls(
        call("mkdir", "d", 0o755),
        call("chdir", "d"),
        call("rmdir", "../d"),
        call("openat", AT, "x", 0),
        cwd=work,
    ).root
    assert not root.reasons or Reason.UNSUPPORTED in root.reasons
