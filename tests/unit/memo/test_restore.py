"""A plan makes every path what the outcome says, or changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISFIFO
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcache.errors import DamagedBlob
from pcache.linux.descriptors import FdView, OwnFds
from pcache.linux.sparse import extents
from pcache.memo import staging
from pcache.memo.restore import Plan
from pcache.model import Outcome, Output
from pcache.store.aside import Aside, sweep
from pcache.store.index import Store
from tests.lib.stores import small_disk


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


def file(store: Store, path: Path, data: bytes, mode: int = 0o644, mtime: int = -1) -> Output:
    return Output(b"f", bytes(path), mode, store.blobs.put_bytes(data), mtime)


def plan(store: Store, *outputs: Output, **rest: object) -> Plan:
    return Plan(
        Outcome(0, outputs, **rest),  # type: ignore[arg-type]
        store,
        OwnFds(),
        store.counters,
    )


def restore(store: Store, *outputs: Output) -> None:
    made = plan(store, *outputs)
    made.prepare()
    made.commit()
    made.conclude()


def look(tree: Path) -> dict[str, object]:
    """Everything that programs can see in a tree, except times."""
    seen: dict[str, object] = {}
    for path in sorted(tree.rglob("*")):
        st_ = path.lstat()
        name = str(path.relative_to(tree))
        if path.is_symlink():
            seen[name] = ("link", os.readlink(path))
        elif path.is_dir():
            seen[name] = ("dir", st_.st_mode & 0o7777)
        elif path.is_file():
            seen[name] = ("file", st_.st_mode & 0o7777, path.read_bytes(), st_.st_nlink)
        else:
            seen[name] = ("other", st_.st_mode)
    return seen


@pytest.mark.usefixtures("staged")
def test_everything_at_once(store: Store, tree: Path) -> None:
    (tree / "old").write_bytes(b"to go")
    (tree / "gone/deep").mkdir(parents=True)
    (tree / "gone/deep/f").write_bytes(b"to go")
    (tree / "changed").write_bytes(b"before")
    (tree / "was-file").write_bytes(b"x")
    (tree / "was-dir").mkdir()
    (tree / "was-link").symlink_to("old")
    restore(
        store,
        Output(b"h", bytes(tree / "new/second"), 0, bytes(tree / "new/sub/f")),
        Output(b"-", bytes(tree / "gone")),
        Output(b"-", bytes(tree / "gone/deep")),
        Output(b"-", bytes(tree / "gone/deep/f")),
        Output(b"-", bytes(tree / "old")),
        Output(b"-", bytes(tree / "never/was")),
        file(store, tree / "new/sub/f", b"large" * 3000, 0o755),
        Output(b"d", bytes(tree / "new/sub"), 0o555),
        Output(b"d", bytes(tree / "new"), 0o750),
        file(store, tree / "changed", b"after", 0o600),
        Output(b"d", bytes(tree / "was-file"), 0o700),
        file(store, tree / "was-file/f", b""),
        file(store, tree / "was-dir", b"now a file"),
        file(store, tree / "was-link", b"now a file", 0o4711),
        Output(b"l", bytes(tree / "link"), 0, b"nowhere"),
        Output(b"p", bytes(tree / "fifo"), 0o622),
    )
    assert S_ISFIFO((tree / "fifo").stat().st_mode)
    assert (tree / "fifo").stat().st_mode & 0o777 == 0o622
    (tree / "fifo").unlink()
    assert look(tree) == {
        "new": ("dir", 0o750),
        "new/sub": ("dir", 0o555),
        "new/sub/f": ("file", 0o755, b"large" * 3000, 2),
        "new/second": ("file", 0o755, b"large" * 3000, 2),
        "changed": ("file", 0o600, b"after", 1),
        "was-file": ("dir", 0o700),
        "was-file/f": ("file", 0o644, b"", 1),
        "was-dir": ("file", 0o644, b"now a file", 1),
        "was-link": ("file", 0o4711, b"now a file", 1),
        "link": ("link", "nowhere"),
    }
    (tree / "new/sub").chmod(0o755)
    counters = store.counters
    assert counters["files restored"] == 5
    assert counters["bytes restored"] == 15000 + 5 + 0 + 10 + 10
    assert counters["files kept"] == 0
    assert counters["paths deleted"] == 5


@pytest.mark.usefixtures("staged")
def test_doing_it_again_leaves_files_and_what_they_are_in(store: Store, tree: Path) -> None:
    outputs = (
        Output(b"d", bytes(tree / "d"), 0o755),
        file(store, tree / "d/f", b"data" * 2000, 0o751),
        Output(b"l", bytes(tree / "d/l"), 0, b"f"),
        Output(b"p", bytes(tree / "d/p"), 0o644),
        Output(b"-", bytes(tree / "d/x")),
    )
    restore(store, *outputs)
    kept, made = (tree / "d", tree / "d/f"), (tree / "d/l", tree / "d/p")
    inodes = [path.lstat().st_ino for path in kept]
    for path in (*kept, *made):
        os.utime(path, ns=(0, 0), follow_symlinks=False)
    before = time.time_ns()
    restore(store, *outputs)
    assert [path.lstat().st_ino for path in kept] == inodes
    assert store.counters["files restored"] == store.counters["files kept"] == 1
    # The kernel's coarse clock lags behind by up to a tick.
    assert all(path.lstat().st_mtime_ns > before - 20_000_000 for path in (*kept, *made))


def test_a_file_with_another_mode_or_content_is_replaced(store: Store, tree: Path) -> None:
    for name, data, mode in (("a", b"data", 0o600), ("b", b"atad", 0o644), ("c", b"dat", 0o644)):
        (tree / name).write_bytes(data)
        (tree / name).chmod(mode)
        restore(store, file(store, tree / name, b"data", 0o644))
        assert look(tree)[name] == ("file", 0o644, b"data", 1)
    assert store.counters["files restored"] == 3


@pytest.mark.usefixtures("staged")
def test_a_file_with_a_second_name_is_replaced_not_written_into(store: Store, tree: Path) -> None:
    (tree / "a").write_bytes(b"shared")
    os.link(tree / "a", tree / "b")
    restore(store, file(store, tree / "a", b"new"))
    assert (tree / "b").read_bytes() == b"shared"
    assert (tree / "a").read_bytes() == b"new"


@pytest.mark.parametrize("mask", [0o000, 0o027, 0o777])
@pytest.mark.usefixtures("staged")
def test_modes_do_not_depend_on_the_umask(store: Store, tree: Path, mask: int) -> None:
    outputs = (
        Output(b"d", bytes(tree / "d"), 0o2775),
        file(store, tree / "d/f", b"x" * 5000, 0o666),
        Output(b"p", bytes(tree / "d/p"), 0o666),
    )
    before = os.umask(mask)
    try:
        restore(store, *outputs)
    finally:
        os.umask(before)
    assert (tree / "d").stat().st_mode & 0o7777 == 0o2775
    assert (tree / "d/f").stat().st_mode & 0o7777 == 0o666
    assert (tree / "d/p").stat().st_mode & 0o7777 == 0o666


@pytest.mark.usefixtures("staged")
def test_times_are_fresh_in_the_recorded_order_or_exactly_as_set(store: Store, tree: Path) -> None:
    (tree / "kept").write_bytes(b"kept")
    (tree / "kept").chmod(0o644)
    os.utime(tree / "kept", ns=(0, 0))
    stamp = 1_234_567_890_123_456_789
    made = plan(
        store,
        file(store, tree / "first", b"1"),
        file(store, tree / "kept", b"kept"),
        file(store, tree / "set", b"2", mtime=stamp),
        file(store, tree / "last", b"3" * 5000),
        Output(b"d", bytes(tree / "dir"), 0o755, b"", stamp),
        file(store, tree / "dir/f", b"4"),
        Output(b"l", bytes(tree / "link"), 0, b"first", stamp),
    )
    made.prepare()
    time.sleep(0.05)
    before = time.time_ns()
    made.commit()
    made.conclude()
    times = [(tree / name).stat().st_mtime_ns for name in ("first", "kept", "last", "dir/f")]
    assert times == sorted(times)
    assert times[0] > before - 20_000_000
    assert (tree / "set").stat().st_mtime_ns == stamp
    assert (tree / "dir").stat().st_mtime_ns == stamp
    assert (tree / "link").lstat().st_mtime_ns == stamp


@pytest.mark.usefixtures("staged")
def test_nothing_shows_before_commit_or_after_abandon(store: Store, tree: Path) -> None:
    (tree / "old").write_bytes(b"old")
    before = look(tree)
    made = plan(
        store,
        file(store, tree / "a", b"a" * 10000),
        file(store, tree / "old", b"new"),
        Output(b"d", bytes(tree / "d"), 0o755),
        file(store, tree / "d/f", b"f"),
        Output(b"-", bytes(tree / "old2")),
    )
    made.prepare()
    assert {name for name in look(tree) if not name.startswith(".pcache-")} == set(before)
    made.abandon()
    assert look(tree) == before


def test_many_files_need_few_descriptors(store: Store, tree: Path) -> None:
    outputs = [file(store, tree / f"{n:04}", b"%d" % n) for n in range(1500)]
    restore(store, *outputs)
    assert len(list(tree.iterdir())) == 1500
    assert (tree / "1499").read_bytes() == b"1499"


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


# Written in place, moved, taken back


def in_place(store: Store, path: Path, data: bytes, mode: int = 0o644) -> Output:
    return Output(b"w", bytes(path), mode, store.blobs.put_bytes(data))


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


def test_moved_files_make_room_first(store: Store, tree: Path) -> None:
    for name in "abc":
        (tree / name).write_text(name)
    os.link(tree / "a", tree / "link")
    number = (tree / "a").stat().st_ino
    restore(
        store,
        Output(b"-", bytes(tree / "a")),
        Output(b"r", bytes(tree / "b"), 0, bytes(tree / "a")),
        Output(b"r", bytes(tree / "c"), 0, bytes(tree / "b")),
        Output(b"r", bytes(tree / "new/d"), 0, bytes(tree / "c")),
        Output(b"d", bytes(tree / "new"), 0o755),
    )
    assert {path.name: path.read_text() for path in tree.rglob("*") if path.is_file()} == {
        "link": "a",
        "b": "a",
        "c": "b",
        "d": "c",
    }
    assert (tree / "b").stat().st_ino == number


def test_directories_are_left_and_removed(store: Store, tree: Path) -> None:
    (tree / "old/sub").mkdir(parents=True)
    (tree / "old/sub/f").write_text("f")
    (tree / "old/g").write_text("g")
    restore(
        store,
        Output(b"-", bytes(tree / "old/sub/f")),
        Output(b"-", bytes(tree / "old/sub")),
        Output(b"-", bytes(tree / "old/g")),
        Output(b"-", bytes(tree / "old")),
        Output(b"d", bytes(tree / "new"), 0o755),
        Output(b"r", bytes(tree / "new/f"), 0, bytes(tree / "old/sub/f")),
    )
    assert look(tree) == {"new": ("dir", 0o755), "new/f": ("file", 0o644, b"f", 1)}


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


def test_what_is_right_already_is_so_only_if_it_is_like_a_new_file(
    store: Store, tree: Path
) -> None:
    (tree / "f").write_bytes(b"data")
    (tree / "f").chmod(0o644)
    os.link(tree / "f", tree / "g")
    restore(store, file(store, tree / "f", b"data"))
    assert (tree / "g").stat().st_nlink == 1
    os.utime(tree, ns=(0, 0))
    number = (tree / "f").stat().st_ino
    restore(store, file(store, tree / "f", b"data"))
    assert (tree / "f").stat().st_ino == number
    assert tree.stat().st_mtime_ns  # an entry was replaced


def test_what_was_made_and_removed_moves_the_time_of_the_directory(
    store: Store, tree: Path
) -> None:
    os.utime(tree, ns=(0, 0))
    restore(store, Output(b"-", bytes(tree / "temporary")))
    assert tree.stat().st_mtime_ns


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


# What cannot be restored


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


# Streams and offsets


def test_streams_and_status(store: Store) -> None:
    data = store.blobs.put_bytes(b"outERRmore")
    made = Plan(Outcome(0x200, (), ((1, 3), (2, 3), (1, 4)), data), store, OwnFds())
    made.prepare()
    assert made.status == 0x200
    assert made.writes() == [(1, b"out"), (2, b"ERR"), (1, b"more")]
    made.commit()
    assert made.writes() == [(1, b"out"), (2, b"ERR"), (1, b"more")]


def test_offsets(store: Store, tree: Path) -> None:
    (tree / "f").write_bytes(b"0123456789")
    fd = os.open(tree / "f", os.O_RDONLY)
    made = plan(store, offsets=((fd, 7),))
    os.set_inheritable(fd, True)
    made.prepare()
    assert os.lseek(fd, 0, os.SEEK_CUR) == 0
    made.commit()
    assert os.lseek(fd, 0, os.SEEK_CUR) == 7
    os.close(fd)


# Any tree from any other


NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.one_of(
    st.tuples(st.just("f"), st.binary(max_size=3), st.sampled_from([0o644, 0o755])),
    st.tuples(st.just("l"), NAMES),
)
TREES = st.recursive(
    st.dictionaries(NAMES, LEAVES, max_size=3),
    lambda below: st.dictionaries(NAMES, st.one_of(LEAVES, below), max_size=3),
    max_leaves=8,
)


def flat(tree: dict[str, object], above: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, node in tree.items():
        found[above + name] = None if isinstance(node, dict) else node
        if isinstance(node, dict):
            found |= flat(node, f"{above}{name}/")
    return found


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)
@given(TREES, TREES, st.randoms())
def test_any_tree_from_any_other(
    store: Store, tmp_path: Path, old: dict[str, object], new: dict[str, object], random: object
) -> None:
    base = tmp_path / f"t{time.monotonic_ns()}"
    base.mkdir()
    for name, node in flat(old).items():
        if node is None:
            (base / name).mkdir()
        elif node[0] == "l":  # type: ignore[index]
            (base / name).symlink_to(node[1])  # type: ignore[index]
        else:
            (base / name).write_bytes(node[1])  # type: ignore[index]
    before, wanted = flat(old), flat(new)
    outputs = [Output(b"-", bytes(base / name)) for name in before.keys() - wanted.keys()]
    for name, node in wanted.items():
        path = base / name
        if node is None:
            outputs.append(Output(b"d", bytes(path), 0o755))
        elif node[0] == "l":  # type: ignore[index]
            outputs.append(Output(b"l", bytes(path), 0, node[1].encode()))  # type: ignore[index]
        else:
            outputs.append(file(store, path, node[1], node[2]))  # type: ignore[index]
    random.shuffle(outputs)  # type: ignore[attr-defined]
    restore(store, *outputs)
    expected: dict[str, object] = {}
    for name, node in wanted.items():
        if node is None:
            expected[name] = ("dir", 0o755)
        elif node[0] == "l":  # type: ignore[index]
            expected[name] = ("link", node[1])  # type: ignore[index]
        else:
            expected[name] = ("file", node[2], node[1], 1)  # type: ignore[index]
    assert look(base) == expected
