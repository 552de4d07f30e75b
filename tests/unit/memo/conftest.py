"""A store and a tree, for the tests of putting outputs in place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pcache.memo import staging
from pcache.store.index import Store


@pytest.fixture(params=["nameless", "named", "hidden"])
def staged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ways of staging: with O_TMPFILE, with too many of these, and as where the file system
    lacks it."""
    if request.param == "named":
        monkeypatch.setattr(staging, "_NAMELESS_LIMIT", 0)
    elif request.param == "hidden":
        monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)  # EISDIR


@pytest.fixture(params=["here", "elsewhere"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """On the file system of the tree, and on another."""
    with TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert os.stat(elsewhere).st_dev != tmp_path.stat().st_dev
        base = Path(elsewhere) if request.param == "elsewhere" else tmp_path
        with Store.open(bytes(base / "store")) as opened:
            yield opened
            assert not [*(base / "store").glob("aside/*")]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "tree"
    path.mkdir()
    return path
