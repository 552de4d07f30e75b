"""Claimed directories: in use they stay, abandoned they go, with all that is in them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pcache.store.gc import Collector
from pcache.store.index import Store
from pcache.store.workdirs import WorkDirectory, abandoned, remove
from tests.conftest import CHECKOUT

CLAIMING = (
    "import os, sys\n"
    "from pcache.store.workdirs import WorkDirectory\n"
    "claim = WorkDirectory(os.fsencode(sys.argv[1]), b'scratch-')\n"
    "print('claimed', flush=True)\n"
    "sys.stdin.read()\n"
)


def claimed_by_another(parent: Path) -> subprocess.Popen[bytes]:
    """A process that has claimed a directory, until its stdin is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIMING, str(parent)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"claimed\n"
    return process


def killed(process: subprocess.Popen[bytes]) -> None:
    with process:
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_release(tmp_path: Path) -> None:
    claim = WorkDirectory(bytes(tmp_path), b"scratch-")
    assert Path(os.fsdecode(claim.path)).stat().st_mode & 0o777 == 0o700
    claim.release()
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    ours = WorkDirectory(bytes(tmp_path), b"scratch-")
    theirs = claimed_by_another(tmp_path)
    assert abandoned(bytes(tmp_path), remove) == 0
    assert len(list(tmp_path.iterdir())) == 2
    killed(theirs)
    assert abandoned(bytes(tmp_path), remove) == 1
    assert list(tmp_path.iterdir()) == [Path(os.fsdecode(ours.path))]
    ours.release()


def test_all_goes_and_nothing_else(tmp_path: Path) -> None:
    parent, kept = tmp_path / "parent", tmp_path / "kept"
    left = parent / "scratch-1"
    (left / "work/closed").mkdir(parents=True)
    (left / "work/closed/file").touch()
    (left / "work/closed").chmod(0)
    kept.mkdir()
    kept.chmod(0o500)
    (left / "link").symlink_to(kept)
    (parent / "file").touch()
    assert abandoned(bytes(parent), remove) == 1
    assert [path.name for path in parent.iterdir()] == ["file"]
    assert kept.stat().st_mode & 0o777 == 0o500


def test_nothing_there(tmp_path: Path) -> None:
    assert abandoned(bytes(tmp_path / "gone"), remove) == 0


def test_a_claim_that_is_removed_at_once_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the making of a directory and its locking anybody may take it for abandoned."""
    import tempfile

    made: list[bytes] = []
    real = tempfile.mkdtemp

    def hasty(prefix: bytes, dir: bytes) -> bytes:
        path = real(prefix=prefix, dir=dir)
        made.append(path)
        if len(made) < 3:
            assert abandoned(dir, remove) == 1
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", hasty)
    claim = WorkDirectory(bytes(tmp_path), b"scratch-")
    assert claim.path == made[2]
    assert os.path.isdir(claim.path)
    claim.release()


def test_the_collector(tmp_path: Path) -> None:
    with Store.open(bytes(tmp_path / "store")) as store:
        rerun = tmp_path / "store/rerun"
        rerun.mkdir()
        theirs = claimed_by_another(rerun)
        assert Collector(store).run().leftovers == 0
        killed(theirs)
        assert Collector(store, dry_run=True).run().leftovers == 1
        assert len(list(rerun.iterdir())) == 1
        assert Collector(store).run().leftovers == 1
        assert list(rerun.iterdir()) == []
