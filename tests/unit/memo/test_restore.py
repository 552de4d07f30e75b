"""A plan makes every path what the outcome says, or changes nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path
from stat import S_ISFIFO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcache.linux.descriptors import OwnFds
from pcache.memo.restore import Plan
from pcache.model import Outcome, Output
from pcache.store.index import Store
from tests.lib.restoring import file, look, plan, restore


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


# Written in place, moved, taken back


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


# What cannot be restored


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
