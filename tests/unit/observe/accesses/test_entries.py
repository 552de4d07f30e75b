"""Calls that make and remove directory entries."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pcache.model import Kind, Reason
from tests.lib.recorder import Lab, call

pytestmark = pytest.mark.root

AT = -100


@pytest.mark.parametrize(
    "remove", [call("unlink", "a"), call("unlinkat", AT, "a", 0)], ids=["unlink", "unlinkat"]
)
def test_unlink(lab: Lab, work: Path, remove: str) -> None:
    (work / "a").touch()
    root = lab.calls(remove, cwd=work).root
    assert root.fact(Kind.REMOVABLE, work / "a") == b"ok"
    assert root.output(work / "a") == ("-", 0, b"")


@pytest.mark.parametrize(
    "remove", [call("rmdir", "d"), call("unlinkat", AT, "d", 0x200)], ids=["rmdir", "unlinkat"]
)
def test_rmdir(lab: Lab, work: Path, remove: str) -> None:
    (work / "d").mkdir()
    root = lab.calls(remove, cwd=work).root
    assert root.fact(Kind.NAMES, work / "d") is not None
    assert root.output(work / "d") == ("-", 0, b"")


@pytest.mark.parametrize(
    "make, expected",
    [
        (call("mkdir", "new", 0o750), ("d", 0o750, b"")),
        (call("mkdirat", AT, "new", 0o750), ("d", 0o750, b"")),
        (call("mknod", "new", 0o10640, 0), ("p", 0o640, b"")),
        (call("mknodat", AT, "new", 0o100640, 0), ("f", 0o640, b"")),
        (call("symlink", "target", "new"), ("l", 0o777, b"target")),
        (call("symlinkat", "target", AT, "new"), ("l", 0o777, b"target")),
    ],
    ids=["mkdir", "mkdirat", "mkfifo", "mknodat", "symlink", "symlinkat"],
)
def test_make(lab: Lab, work: Path, make: str, expected: tuple[str, int, bytes]) -> None:
    root = lab.calls(make, cwd=work).root
    assert root.fact(Kind.LEXISTS, work / "new") == b"-"
    assert root.output(work / "new") == expected


def test_make_a_device(lab: Lab, work: Path) -> None:
    make = call("mknod", "new", 0o20600, os.makedev(1, 3))
    assert Reason.UNSUPPORTED in lab.calls(make, cwd=work).root.reasons


@pytest.mark.parametrize(
    "link", [call("link", "a", "b"), call("linkat", AT, "a", AT, "b", 0)], ids=["link", "linkat"]
)
def test_hard_link(lab: Lab, work: Path, link: str) -> None:
    (work / "a").write_text("one")
    root = lab.calls(link, cwd=work).root
    assert root.fact(Kind.LEXISTS, work / "b") == b"-"
    output = root.output(work / "b")
    assert output is not None and (output[0], output[2]) == ("h", bytes(work / "a"))


@pytest.mark.parametrize(
    ("script", "hard"),
    [
        ("cp a x; ln x hard", "h"),
        ("cat a >x; ln x other; ln other hard", "h"),
        ("cp a x; ln x hard; rm x", "f"),
        ("cp a x; ln x y; rm x; mv y hard; echo two >>hard", "f"),
    ],
)
def test_hard_link_to_what_was_made(lab: Lab, work: Path, script: str, hard: str) -> None:
    """Its ctime moves with its number of names, as if it had been changed."""
    (work / "a").write_text("one\n")
    output = lab.shell(script, cwd=work).root.output(work / "hard")
    assert output is not None and output[0] == hard


def test_made_and_removed(lab: Lab, work: Path) -> None:
    root = lab.shell("mkdir -p t/u; echo x >t/u/f; echo y >t/kept; rm -r t/u", cwd=work).root
    assert root.output(work / "t/kept") == ("f", 0o644, b"y\n")
    assert {path for path in root.outputs if b"/u" in path} == set()


def test_tree_made_and_partly_removed(lab: Lab, work: Path) -> None:
    root = lab.shell("mkdir a a/b a/c; : >a/b/x; : >a/c/y; rm a/b/x; rmdir a/b", cwd=work).root
    prefix = len(bytes(work)) + 1
    assert {path[prefix:] for path in root.outputs} == {b"a", b"a/c", b"a/c/y"}
