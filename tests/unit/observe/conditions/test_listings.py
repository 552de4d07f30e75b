"""Listings of directories, whole and in part, and the program's own changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pcache.model import Kind, Reason
from pcache.values import listing_value
from tests.lib.recorder import Buffer, Lab, Ref, call

pytestmark = pytest.mark.root

AT = -100
DT_REG = 8


def test_listing_before_and_after_its_own_changes(lab: Lab, work: Path) -> None:
    """What it made does not count, what it removed does."""
    (work / "old").touch()
    (work / "kept").touch()
    (work / "moved").touch()
    before = listing_value([(b"old", DT_REG), (b"kept", DT_REG), (b"moved", DT_REG)])
    root = lab.shell(": >new; mkdir dir; rm old; mv moved elsewhere; ls >/dev/null", cwd=work).root
    assert root.fact(Kind.LISTING, work) == before


def test_listing_of_its_own_directory(lab: Lab, work: Path) -> None:
    root = lab.shell("mkdir d; : >d/x; ls d", cwd=work).root
    assert root.fact(Kind.LISTING, work / "d") is None


def test_listing_in_part(lab: Lab, work: Path) -> None:
    """A program that stops half-way depends on the rest too: the kernel's order is not told."""
    names = [f"{number:0100}" for number in range(100)]
    for name in names:
        (work / name).touch()
    root = lab.calls(
        call("openat", AT, ".", os.O_DIRECTORY),
        call("getdents64", Ref(0), Buffer(999), 999),
        cwd=work,
    ).root
    expected = listing_value((name.encode(), DT_REG) for name in names)
    assert root.fact(Kind.LISTING, work) == expected


def test_listing_in_part_and_changed(lab: Lab, work: Path) -> None:
    for number in range(100):
        (work / f"{number:0100}").touch()
    root = lab.calls(
        call("openat", AT, ".", os.O_DIRECTORY),
        call("getdents64", Ref(0), Buffer(999), 999),
        call("creat", "new", 0o644),
        cwd=work,
    ).root
    assert Reason.INPUT_CHANGED in root.reasons


def test_listing_in_part_and_then_whole(lab: Lab, work: Path) -> None:
    """As rm -r does it; on some kernels the second open gets the memory of the first."""
    (work / "d").mkdir()
    (work / "d/a").touch()
    opening = call("openat", AT, "d", os.O_DIRECTORY)
    root = lab.calls(
        opening,
        opening,
        call("getdents64", Ref(0), Buffer(999), 999),
        *[call("getdents64", Ref(1), Buffer(999), 999)] * 2,
        call("unlink", "d/a"),
        cwd=work,
    ).root
    assert root.fact(Kind.LISTING, work / "d") == listing_value([(b"a", DT_REG)])
