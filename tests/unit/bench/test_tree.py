"""The tree of a workload: putting it back touches only what was changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.data import families, reads
from bench.tree import Comparison, Tree

EVERYTHING = Comparison.of([], [])


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A file, a directory with an executable, a link; laid out."""
    pristine = tmp_path / "pristine"
    (pristine / "dir").mkdir(parents=True)
    (pristine / "file").write_text("text\n")
    (pristine / "dir/program").write_text("#!/bin/sh\n")
    (pristine / "dir/program").chmod(0o755)
    (pristine / "link").symlink_to("file")
    laid = Tree(pristine, tmp_path / "tree")
    laid.lay()
    return laid


def test_reset_undoes_everything(tree: Tree) -> None:
    before = tree.snapshot(EVERYTHING)
    assert set(before) == {"file", "dir", "dir/program", "link"}
    (tree.path / "dir/program").chmod(0o700)
    (tree.path / "file").write_text("test\n")
    (tree.path / "link").unlink()
    (tree.path / "link").mkdir()
    (tree.path / "new/deep").mkdir(parents=True)
    (tree.path / "new/deep/file").write_text("")
    (tree.path / "new/loop").symlink_to(".")
    tree.reset()
    assert tree.snapshot(EVERYTHING) == before


@pytest.mark.parametrize("instead", ["nothing", "file", "link"])
def test_reset_restores_a_directory(tree: Tree, instead: str) -> None:
    before = tree.snapshot(EVERYTHING)
    (tree.path / "dir/program").unlink()
    (tree.path / "dir").rmdir()
    if instead == "file":
        (tree.path / "dir").touch()
    elif instead == "link":
        (tree.path / "dir").symlink_to(".")
    tree.reset()
    assert tree.snapshot(EVERYTHING) == before


def test_reset_leaves_alone_what_is_right(tree: Tree) -> None:
    untouched = os.stat(tree.path / "dir/program")
    (tree.path / "file").write_text("test\n")
    tree.reset()
    assert os.stat(tree.path / "dir/program") == untouched


def test_edit_replaces_the_file_and_keeps_its_mode(tree: Tree) -> None:
    before = os.stat(tree.path / "dir/program")
    tree.append("dir/program", "# more\n")
    after = os.stat(tree.path / "dir/program")
    assert (tree.path / "dir/program").read_text() == "#!/bin/sh\n# more\n"
    assert after.st_mode == before.st_mode
    assert after.st_ino != before.st_ino and after.st_mtime_ns > before.st_mtime_ns


def test_generated_data_is_always_the_same(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        families(tmp_path / name, count=2)
        reads(tmp_path / name, samples=2, reads=10, genome=1000)
    trees = [
        {p.relative_to(base): p.read_bytes() for p in base.rglob("*") if p.is_file()}
        for base in (tmp_path / "one", tmp_path / "two")
    ]
    assert trees[0] == trees[1]
    assert len(trees[0]) == 6
    lines = (tmp_path / "one/families/000.fa").read_text().splitlines()
    assert {len(line) for line in lines[1::2]} == {100}
