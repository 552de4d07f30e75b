"""Outputs that are written into the files that are there, and holes in them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcache.linux.sparse import extents
from pcache.model import Output
from pcache.store.index import Store
from tests.lib.restoring import in_place, restore


@pytest.mark.parametrize("data", [b"", b"ne", b"old and more", b"large" * 3000, bytes(2 << 20)])
@pytest.mark.usefixtures("staged")
def test_a_file_is_written_in_place(store: Store, tree: Path, data: bytes) -> None:
    path = tree / "f"
    path.write_bytes(b"old")
    path.chmod(0o600)
    os.link(path, tree / "other")
    os.utime(tree, ns=(0, 0))
    before = path.stat()
    restore(store, in_place(store, path, data))
    assert (tree / "other").read_bytes() == data
    after = path.stat()
    assert (after.st_ino, after.st_mode & 0o7777) == (before.st_ino, 0o644)
    assert after.st_mtime_ns > before.st_mtime_ns
    assert tree.stat().st_mtime_ns == 0 or not store.counters["files kept"]
    assert [file.name for file in tree.iterdir() if file.name.startswith(".")] == []


def test_what_was_appended_to_is_only_appended_to(
    store: Store, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "log").write_bytes(b"start\n")
    (tree / "log").chmod(0o644)
    written = []
    pwrite = os.pwrite
    monkeypatch.setattr(
        os, "pwrite", lambda fd, data, at: written.append((bytes(data), at)) or pwrite(fd, data, at)
    )
    restore(store, in_place(store, tree / "log", b"start\nmore\n"))
    assert written == [(b"more\n", 6)]
    assert (tree / "log").read_bytes() == b"start\nmore\n"


def test_a_file_that_cannot_be_written_to_is_found_early(store: Store, tree: Path) -> None:
    (tree / "f").symlink_to("elsewhere")
    restore(store, in_place(store, tree / "f", b"new"))
    assert not (tree / "f").is_symlink()
    assert not (tree / "elsewhere").exists()


HOLES = st.lists(st.integers(0, 1 << 18), max_size=6, unique=True).map(sorted)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(HOLES, st.booleans(), st.booleans())
def test_holes(
    store: Store, tmp_path: Path, ends: list[int], hole_first: bool, there: bool
) -> None:
    original, path = tmp_path / "original", tmp_path / f"t{time.monotonic_ns()}"
    with original.open("wb") as source:
        for start, end in zip(ends[hole_first::2], ends[hole_first + 1 :: 2], strict=False):
            source.seek(start)
            source.write(b"x" * (end - start))
        source.truncate(ends[-1] if ends else 0)
        source.flush()
        size = os.fstat(source.fileno()).st_size
        with original.open("rb") as again:
            pieces = extents(again.fileno(), size)
        blocks = os.fstat(source.fileno()).st_blocks
    if there:
        path.write_bytes(b"!" * 70_000)
    digest = store.blobs.put_file(bytes(original))
    restore(store, Output(b"w", bytes(path), 0o644, digest, -1, pieces))
    assert path.read_bytes() == original.read_bytes()
    assert path.stat().st_blocks == blocks
