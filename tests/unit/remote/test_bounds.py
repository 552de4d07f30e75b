"""Where outcomes of others may write."""

from __future__ import annotations

from pathlib import Path

import pytest

from pcache.remote import arrival
from pcache.remote.arrival import Bounds


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Below a directory for temporary files, which is taken for none here."""
    monkeypatch.setattr(arrival, "_TEMPORARY", (b"/dev/shm",))
    for name in ("home/project/sub", "home/.config/tool", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path / "home"


def allowed(bounds: Bounds, path: Path) -> bool:
    return bounds.allow(bytes(path))


def test_below_the_project(home: Path) -> None:
    bounds = Bounds([bytes(home / "project")], bytes(home), b"")
    assert allowed(bounds, home / "project/x")
    assert allowed(bounds, home / "project/.hidden")
    assert allowed(bounds, home / "project/sub/not/yet/there")
    assert not allowed(bounds, home / "x")
    assert not allowed(bounds, home / "project-2/x")
    assert not allowed(bounds, home.parent / "elsewhere/x")
    assert not bounds.allow(b"/etc/passwd")
    assert bounds.allow(b"/dev/shm/x")


def test_temporary_files() -> None:
    bounds = Bounds([b"/srv/project"], b"/home/me", b"/scratch")
    for path in (b"/tmp/x", b"/var/tmp/x/y", b"/scratch/x"):
        assert bounds.allow(path)
    assert not bounds.allow(b"/var/x")
    assert not bounds.allow(b"/home/me/x")


def test_in_the_home_itself(home: Path) -> None:
    """Who works right in the home has not meant what is hidden there."""
    bounds = Bounds([bytes(home)], bytes(home), b"")
    assert allowed(bounds, home / "x")
    assert not allowed(bounds, home / ".bashrc")
    assert not allowed(bounds, home / ".ssh/authorized_keys")
    named = Bounds([bytes(home / ".config/tool")], bytes(home), b"")
    assert allowed(named, home / ".config/tool/x")
    assert not allowed(named, home / ".config/other")


def test_root_directory_means_nothing(home: Path) -> None:
    assert not Bounds([b"/"], bytes(home), b"").allow(b"/etc/x")
    assert not Bounds([b"/"], bytes(home), b"/").allow(b"/usr/bin/x")


def test_links_are_followed(home: Path) -> None:
    bounds = Bounds([bytes(home / "project")], bytes(home), b"")
    (home / "project/out").symlink_to("/etc")
    (home / "project/in").symlink_to(home / "project/sub")
    assert not allowed(bounds, home / "project/out/x")
    assert allowed(bounds, home / "project/in/x")
    # The link itself may be replaced.
    assert allowed(bounds, home / "project/out")
