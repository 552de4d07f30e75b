"""Restoring that fails or is killed changes nothing, or is taken back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pcache.errors import DamagedBlob
from pcache.linux.descriptors import FdView, OwnFds
from pcache.memo.restore import Plan
from pcache.model import Outcome, Output
from pcache.store.aside import Aside, sweep
from pcache.store.index import Store
from tests.lib.restoring import file, in_place, look, plan
from tests.lib.stores import small_disk


def test_a_killed_replay_leaves_no_trace(tmp_path: Path, tree: Path) -> None:
    code = (
        "import sys, os, signal\n"
        "from pathlib import Path\n"
        "from tests.unit.memo.test_restore import file, plan\n"
        "from pcache.store.index import Store\n"
        "tree = Path(sys.argv[2])\n"
        "store = Store.open(sys.argv[1])\n"
        "plan(store, file(store, tree / 'f', b'x' * 9999)).prepare()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "store"), str(tree)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert list(tree.iterdir()) == []


@pytest.mark.usefixtures("staged")
def test_a_hit_that_cannot_be_delivered_is_taken_back(store: Store, tree: Path) -> None:
    for name in ("written", "large", "replaced", "removed", "moved", "onto", "mode"):
        (tree / name).write_bytes(name.encode() * (30_000 if name == "large" else 1))
        (tree / name).chmod(0o640)
        os.utime(tree / name, ns=(1, 1))
    (tree / "link").symlink_to("nowhere")
    os.mkfifo(tree / "fifo")
    (tree / "empty").mkdir()
    before = look(tree)
    made = plan(
        store,
        in_place(store, tree / "written", b"new"),
        in_place(store, tree / "large", b"new" * 50_000),
        file(store, tree / "replaced", b"new" * 5000),
        Output(b"-", bytes(tree / "removed")),
        Output(b"-", bytes(tree / "moved")),
        Output(b"-", bytes(tree / "empty")),
        Output(b"-", bytes(tree / "fifo")),
        Output(b"r", bytes(tree / "onto"), 0, bytes(tree / "moved")),
        Output(b"m", bytes(tree / "mode"), 0o600, b"", 5),
        Output(b"l", bytes(tree / "link"), 0o777, b"somewhere"),
        Output(b"d", bytes(tree / "dir"), 0o755),
        file(store, tree / "dir/f", b"f"),
    )
    made.prepare()
    made.commit()
    during = look(tree)
    assert during != before
    assert not [name for name in during if ".pcache-" in name]
    made.take_back()
    assert look(tree) == before
    files = [path for path in tree.iterdir() if path.is_file() and not path.is_symlink()]
    assert {path.stat().st_mtime_ns for path in files} == {1}


def test_a_killed_hit_is_swept_up(store: Store, tree: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pcache.store.aside import Aside\n"
        "aside = Aside(os.fsencode(sys.argv[1]))\n"
        "for name in (aside.name(), aside.hidden(os.fsencode(sys.argv[2]))):\n"
        "    open(name, 'w').close()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    mine = Aside(store.directory)
    open(mine.name(), "w").close()
    subprocess.run(
        [sys.executable, "-c", code, os.fsdecode(store.directory), str(tree)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=False,
    )
    assert len([*tree.iterdir()]) == 1
    assert sweep(store.directory) == 1
    assert [*tree.iterdir()] == []
    assert sweep(store.directory) == 0
    mine.close()


@pytest.mark.usefixtures("staged")
def test_a_damaged_blob_changes_nothing(store: Store, tree: Path) -> None:
    good = file(store, tree / "good", b"good" * 3000)
    content = os.urandom(9000)
    bad = file(store, tree / "bad", content)
    for path in Path(os.fsdecode(store.directory), "objects").glob("*/*"):
        if path.read_bytes() == content:
            path.chmod(0o600)
            path.write_bytes(content[::-1])
    made = plan(store, good, Output(b"d", bytes(tree / "d"), 0o755), bad)
    with pytest.raises(DamagedBlob):
        made.prepare()
    assert look(tree) == {}


def test_a_damaged_stream_changes_nothing(store: Store, tree: Path) -> None:
    with pytest.raises(DamagedBlob):
        plan(store, file(store, tree / "f", b"x"), chunks=((1, 3),), data=b"?" * 16).prepare()
    assert look(tree) == {}


@pytest.mark.usefixtures("staged")
def test_a_full_disk_changes_nothing(store: Store, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        (disk / "old").write_bytes(b"old")
        before = look(disk)
        made = plan(
            store,
            file(store, disk / "old", b"new" * 5000),
            file(store, disk / "large", os.urandom(100_000)),
        )
        with pytest.raises(OSError, match="No space"):
            made.prepare()
        assert look(disk) == before


def test_a_missing_directory_changes_nothing(store: Store, tree: Path) -> None:
    made = plan(store, file(store, tree / "a", b"a"), file(store, tree / "missing/b", b"b"))
    with pytest.raises(NotADirectoryError):
        made.prepare()
    assert look(tree) == {}


def test_a_directory_that_may_not_be_written_to(as_user, user_dir: Path) -> None:  # type: ignore[no-untyped-def]
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tests.unit.memo.test_restore import file, plan\n"
        "from pcache.model import Output\n"
        "from pcache.store.index import Store\n"
        "tree = Path(sys.argv[1])\n"
        "store = Store.open(tree / 'store')\n"
        "for bad in (file(store, Path('/usr/f'), b''), Output(b'-', b'/etc/passwd'),\n"
        "            Output(b'd', b'/usr/d', 0o755), Output(b'l', b'/usr/l', 0, b'x')):\n"
        "    try:\n"
        "        plan(store, file(store, tree / 'a', b'x' * 5000), bad).prepare()\n"
        "    except PermissionError as error:\n"
        "        print(error.filename, (tree / 'a').exists())\n"
    )
    env = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = as_user(["python3", "-c", code, str(user_dir)], env=env)
    assert done.stdout.splitlines() == [
        b"b'/usr' False",
        b"b'/etc' False",
        b"b'/usr' False",
        b"b'/usr' False",
    ], done.stderr


@pytest.mark.usefixtures("staged")
def test_a_commit_that_fails_is_taken_back(store: Store, tree: Path) -> None:
    (tree / "input").write_bytes(b"must stay")
    (tree / "changed").write_bytes(b"before")
    (tree / "changed").chmod(0o611)
    (tree / "empty").mkdir(0o711)
    (tree / "swap").symlink_to("x")
    (tree / "mode").mkdir(0o700)
    (tree / "full").mkdir()
    fd = os.open(tree / "input", os.O_RDONLY)
    os.set_inheritable(fd, True)
    made = Plan(
        Outcome(
            0,
            (
                Output(b"-", bytes(tree / "input")),
                Output(b"-", bytes(tree / "empty")),
                file(store, tree / "changed", b"after" * 2000),
                file(store, tree / "new", b"new"),
                Output(b"d", bytes(tree / "dir"), 0o500),
                Output(b"d", bytes(tree / "mode"), 0o500),
                file(store, tree / "dir/f", b"f"),
                Output(b"d", bytes(tree / "swap"), 0o700),
                Output(b"l", bytes(tree / "link"), 0, b"l"),
                file(store, tree / "full", b"was a directory"),
            ),
            offsets=((fd, 3),),
        ),
        store,
        OwnFds(),
    )
    made.prepare()
    # Appears after the checks, and makes the directory something that a file cannot replace.
    (tree / "full/surprise").write_bytes(b"!")
    before = look(tree)
    before = {name: value for name, value in before.items() if not name.startswith(".pcache-")}
    with pytest.raises(OSError, match="not empty"):
        made.commit()
    assert look(tree) == before
    assert os.lseek(fd, 0, os.SEEK_CUR) == 0
    os.close(fd)


class Missing(FdView):
    def get(self, fd: int) -> int:
        raise OSError(9, "Bad file descriptor")


def test_a_closed_descriptor_is_found_before_anything_is_changed(store: Store, tree: Path) -> None:
    outcome = Outcome(0, (file(store, tree / "f", b"x"),), offsets=((0, 3),))
    with pytest.raises(OSError, match="Bad file descriptor"):
        Plan(outcome, store, Missing()).prepare()
    assert look(tree) == {}
