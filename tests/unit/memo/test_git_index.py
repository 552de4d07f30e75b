"""git's index, taken apart and filled in again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pcache.memo import git_index


def _git(place: Path, *words: str) -> None:
    subprocess.run(["git", "-C", place, *words], check=True, capture_output=True)


def _repository(place: Path, version: int) -> bytes:
    _git(place, "init", "-q", ".")
    for name in ("a", "b/c", "b/cd", "b/" + "long" * 30, "é"):
        file = place / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)
    (place / "link").symlink_to("a")
    (place / "a").chmod(0o755)
    _git(place, "add", "-A")
    _git(place, "update-index", f"--index-version={version}")
    return (place / ".git/index").read_bytes()


@pytest.mark.parametrize("version", [2, 4])
def test_status_of_other_files(tmp_path: Path, version: int) -> None:
    data = _repository(tmp_path, version)
    assert data[7] == version

    def status(name: bytes) -> os.stat_result:
        return os.lstat(os.path.join(os.fsencode(tmp_path), name))

    stored = git_index.without_status(data, status)
    assert stored != data
    assert git_index.with_status(stored, status) == data
    for name in ("a", "b/c", "link"):
        (tmp_path / name).rename(tmp_path / "aside")
        subprocess.run(["cp", "-P", tmp_path / "aside", tmp_path / name], check=True)
    (tmp_path / ".git/index").write_bytes(git_index.with_status(stored, status))
    (tmp_path / "aside").unlink()
    differing = subprocess.run(
        ["git", "-C", tmp_path, "diff-files", "--name-only"], check=True, capture_output=True
    )
    assert not differing.stdout


def test_what_is_not_known(tmp_path: Path) -> None:
    data = _repository(tmp_path, 2)

    def status(name: bytes) -> os.stat_result:
        return os.lstat(os.path.join(os.fsencode(tmp_path), name))

    os.utime(tmp_path / "a", (5, 5))
    with pytest.raises(ValueError, match="another status"):
        git_index.without_status(data, status)
    _git(tmp_path, "add", "-A")
    data = (tmp_path / ".git/index").read_bytes()
    git_index.without_status(data, status)
    for damaged in (
        data[:-1] + b"\0",
        data[:40] + data[-20:],
        b"DIRC\0\0\0\x02\0\0\0\x09" + data[12:],
    ):
        with pytest.raises(ValueError, match=r"digest|short|status|extension"):
            git_index.without_status(damaged, status)
    _git(tmp_path, "update-index", "--untracked-cache")
    data = (tmp_path / ".git/index").read_bytes()
    with pytest.raises(ValueError, match="extension"):
        git_index.without_status(data, status)
