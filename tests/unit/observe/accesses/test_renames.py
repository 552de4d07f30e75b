"""Renames of files and directories."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcache.model import Kind, Reason
from tests.lib.recorder import Lab, call

pytestmark = pytest.mark.root

AT = -100
EXCHANGE, NOREPLACE = 2, 1

RENAMES = [
    call("rename", "a", "b"),
    call("renameat", AT, "a", AT, "b"),
    call("renameat2", AT, "a", AT, "b", 0),
]


@pytest.mark.parametrize("rename", RENAMES, ids=["rename", "renameat", "renameat2"])
@pytest.mark.parametrize("there", [False, True])
def test_rename(lab: Lab, work: Path, rename: str, there: bool) -> None:
    (work / "a").write_text("one")
    if there:
        (work / "b").write_text("old")
    root = lab.calls(rename, cwd=work).root
    assert root.fact(Kind.LCONTENT, work / "a") == lab.value("one")
    assert root.fact(Kind.OVERWRITABLE, work / "b") == b"ok"
    assert root.output(work / "a") == ("-", 0, b"")
    assert root.output(work / "b") == ("r", 0, bytes(work / "a"))


def test_rename_refused(lab: Lab, work: Path) -> None:
    (work / "a").write_text("one")
    (work / "b").write_text("old")
    root = lab.calls(call("renameat2", AT, "a", AT, "b", NOREPLACE), cwd=work).root
    assert root.fact(Kind.PRESENT, work / "b") == b"ok"
    assert not root.outputs


def test_exchange(lab: Lab, work: Path) -> None:
    (work / "a").write_text("one")
    (work / "b").write_text("two")
    root = lab.calls(call("renameat2", AT, "a", AT, "b", EXCHANGE), cwd=work).root
    assert Reason.UNSUPPORTED in root.reasons


def test_rename_of_a_directory(lab: Lab, work: Path) -> None:
    (work / "d/sub").mkdir(parents=True)
    (work / "d/x").write_text("one")
    root = lab.calls(call("rename", "d", "e"), cwd=work).root
    assert root.fact(Kind.LISTING, work / "d") is not None
    assert root.fact(Kind.LCONTENT, work / "d/x") == lab.value("one")
    assert root.output(work / "e/x") == ("r", 0, bytes(work / "d/x"))
    assert root.output(work / "e/sub") == ("d", 0o755, b"")
    assert root.output(work / "d") == ("-", 0, b"")


def test_rename_onto_another_name_of_the_same_file(lab: Lab, work: Path) -> None:
    """rename(2) then does nothing and says it worked."""
    (work / "a").write_text("one")
    (work / "b").hardlink_to(work / "a")
    root = lab.calls(call("rename", "a", "b"), cwd=work).root
    assert root.reasons.keys() == {Reason.UNSUPPORTED}


def test_temporary_then_renamed(lab: Lab, work: Path) -> None:
    (work / "out").write_text("old")
    root = lab.shell("echo new >out.tmp && mv out.tmp out", cwd=work).root
    assert root.output(work / "out") == ("f", 0o644, b"new\n")
    assert root.output(work / "out.tmp") == ("-", 0, b"")
    assert root.fact(Kind.PLAIN, work / "out.tmp") == b"ok"
    assert root.content(work / "out") is None


@pytest.mark.parametrize(
    "script, mtime_ns",
    [
        ("touch -d @1000000000 x; mv x y", 10**18),
        ("cp a x; mv x y", -1),
        ("mkdir t && cp a t/1 && mv t/1 y; rm -rf t", -1),
    ],
)
def test_a_moved_file_keeps_its_time(lab: Lab, work: Path, script: str, mtime_ns: int) -> None:
    """The one it was given; -1 is that of its making, which a replay makes anew."""
    (work / "a").write_text("a")
    root = lab.shell(script, cwd=work).root
    assert root.outputs[bytes(work / "y")].mtime_ns == mtime_ns
