"""Calls that change size, mode, times, owner and extended attributes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pcache.model import Kind, Reason
from tests.lib.recorder import NAP, Buffer, Lab, Ref, call

pytestmark = pytest.mark.root

AT = -100


@pytest.mark.parametrize(
    "then",
    [
        "echo two >>hard",
        "echo two >hard",
        "chmod 700 hard",
        "chmod 700 hard; rm hard",
        "mv hard h; chmod 700 h; rm h",
        "mkdir d; mv hard d; mv d e; chmod 700 e/hard; rm e/hard",
    ],
)
@pytest.mark.parametrize("make", ["cp a x; ln x hard", "cp a x; ln x y; ln y hard; rm y"])
def test_change_by_another_name(lab: Lab, work: Path, make: str, then: str) -> None:
    """Nobody is said to have left what somebody else made of it under another name."""
    (work / "a").write_text("one\n")
    seen = lab.shell(f"{make}; {then}", cwd=work, late=True)
    assert seen.root.reasons
    copied = seen.find("cp a")
    assert copied.reasons or copied.output(work / "x") == ("f", 0o644, b"one\n")


def test_truncate(lab: Lab, work: Path) -> None:
    (work / "a").write_text("one")
    root = lab.calls(call("truncate", "a", 1), cwd=work).root
    # Nothing tells what was there.
    assert root.reasons.keys() == {Reason.INPUT_CHANGED}


def test_truncate_its_own(lab: Lab, work: Path) -> None:
    root = lab.calls(
        call("creat", "a", 0o644),
        call("write", Ref(0), b"hello", 5),
        call("ftruncate", Ref(0), 2),
        cwd=work,
    ).root
    assert root.output(work / "a") == ("f", 0o644, b"he")


CHMODS = [
    call("chmod", "a", 0o600),
    call("fchmodat", AT, "a", 0o600),
    call("fchmodat2", AT, "a", 0o600, 0),
]


@pytest.mark.parametrize("chmod", CHMODS, ids=["chmod", "fchmodat", "fchmodat2"])
def test_chmod(lab: Lab, work: Path, chmod: str) -> None:
    (work / "a").write_text("one")
    look = call("stat", "a", Buffer(200))
    root = lab.calls(look, chmod, cwd=work).root
    assert root.content(work / "a") == lab.value("one")
    if (work / "a").stat().st_mode & 0o777 == 0o644:
        assert chmod == CHMODS[2], "only fchmodat2 may be unknown: to kernels before 6.6"
        assert not root.outputs
    else:
        assert root.output(work / "a") == ("m", 0o600, b"")


def test_chmod_unseen(lab: Lab, work: Path) -> None:
    """The mode it had is not known, and nothing is left of it: any does."""
    (work / "a").write_text("one")
    root = lab.calls(CHMODS[0], cwd=work).root
    assert root.output(work / "a") == ("m", 0o600, b"")
    facts = {kind for kind, path in root.facts if path == bytes(work / "a")}
    assert facts == {Kind.NOT_LINK}


def test_set_group_id_unseen(lab: Lab, work: Path) -> None:
    """Whether that bit stays is for the group to decide."""
    (work / "a").write_text("one")
    root = lab.calls(call("chmod", "a", 0o2755), cwd=work).root
    assert root.fact(Kind.EXISTS, work / "a") is not None


def test_times_unseen(lab: Lab, work: Path) -> None:
    """The mode stays, so that it is an input."""
    (work / "a").write_text("one")
    root = lab.calls(call("utimensat", AT, "a", bytes(32), 0), cwd=work).root
    assert root.fact(Kind.EXISTS, work / "a") is not None


def test_chmod_then_rewritten_then_read(lab: Lab, work: Path) -> None:
    """What it reads back is its own, though the first thing it did was chmod."""
    (work / "a").write_text("one")
    root = lab.calls(
        call("stat", "a", Buffer(200)),
        NAP,
        call("chmod", "a", 0o600),
        call("openat", AT, "a", os.O_WRONLY | os.O_TRUNC),
        call("write", Ref(3), b"two", 3),
        call("openat", AT, "a", os.O_RDONLY),
        cwd=work,
    ).root
    assert root.content(work / "a") == lab.value("one")
    values = [value for (_, path), value in root.facts.items() if path == bytes(work / "a")]
    assert lab.value("two", 0o600) not in values


def test_times(lab: Lab, work: Path) -> None:
    moment = (1_000_000_000).to_bytes(8, "little") + bytes(8)
    root = lab.calls(
        call("creat", "a", 0o644), call("utimensat", AT, "a", moment * 2, 0), cwd=work
    ).root
    assert root.outputs[bytes(work / "a")].mtime_ns == 1_000_000_000 * 10**9


def test_owner_stays(lab: Lab, work: Path) -> None:
    root = lab.calls(call("creat", "a", 0o644), call("chown", "a", 0, 0), cwd=work).root
    assert root.output(work / "a") == ("f", 0o644, b"")


@pytest.mark.parametrize("chown", ["chown", "lchown"])
def test_owner_changes(lab: Lab, work: Path, chown: str) -> None:
    root = lab.calls(call("creat", "a", 0o644), call(chown, "a", 1, -1), cwd=work).root
    assert Reason.UNSUPPORTED in root.reasons


def test_owner_of_somebody_elses_file(lab: Lab, work: Path) -> None:
    """Given to the user himself: that changes something all the same."""
    (work / "a").touch()
    os.chown(work / "a", 1, 1)
    root = lab.calls(call("chown", "a", 0, 0), cwd=work).root
    assert Reason.UNSUPPORTED in root.reasons


def test_output_of_another_user(lab: Lab, work: Path) -> None:
    (work / "a").touch()
    os.chown(work / "a", 1, 1)
    root = lab.shell("echo x >a", cwd=work).root
    assert Reason.UNSUPPORTED in root.reasons


@pytest.mark.parametrize(
    "call_",
    [
        call("setxattr", "a", "user.x", b"1", 1, 0),
        call("fsetxattr", Ref(0), "user.x", b"1", 1, 0),
    ],
    ids=["setxattr", "fsetxattr"],
)
def test_extended_attributes(lab: Lab, work: Path, call_: str) -> None:
    root = lab.calls(call("creat", "a", 0o644), call_, cwd=work).root
    assert Reason.UNSUPPORTED in root.reasons
