"""Calls that change names, content, modes and times."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pcache.model import Kind, Reason
from tests.lib.recorder import NAP, Buffer, Lab, Ref, call

pytestmark = pytest.mark.root

AT = -100
EXCHANGE, NOREPLACE = 2, 1


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
    assert root.output(work / "b") == ("f", 0o644, b"one")


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
    assert root.output(work / "e/x") == ("f", 0o644, b"one")
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
    assert root.output(work / "out.tmp") is None
    assert root.content(work / "out") is None


def test_made_and_removed(lab: Lab, work: Path) -> None:
    root = lab.shell("mkdir -p t/u; echo x >t/u/f; echo y >t/kept; rm -r t/u", cwd=work).root
    assert root.output(work / "t/kept") == ("f", 0o644, b"y\n")
    assert {path for path in root.outputs if b"/u" in path} == set()


def test_tree_made_and_partly_removed(lab: Lab, work: Path) -> None:
    root = lab.shell("mkdir a a/b a/c; : >a/b/x; : >a/c/y; rm a/b/x; rmdir a/b", cwd=work).root
    prefix = len(bytes(work)) + 1
    assert {path[prefix:] for path in root.outputs} == {b"a", b"a/c", b"a/c/y"}


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
    """The mode it had is not known, so it may be restored over one that differs: not kept."""
    (work / "a").write_text("one")
    assert Reason.UNSUPPORTED in lab.calls(CHMODS[0], cwd=work).root.reasons


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
