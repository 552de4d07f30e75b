"""Values of facts: their forms, and that every change that matters changes them."""

from __future__ import annotations

import ctypes
import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import xxhash

from pcache.counters import Counters
from pcache.linux.descriptors import FdView, OwnFds
from pcache.memo import facts
from pcache.memo.facts import Facts
from pcache.model import Key, Kind
from pcache.store.digests import DigestCache
from pcache.values import (
    ABSENT,
    content_of,
    content_value,
    error_value,
    exists_value,
    grouped_value,
    listing_value,
    names_value,
    one_path,
    relinked,
    replaceable_path,
    times_value,
    without_names,
)


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def look(counters: Counters) -> Facts:
    return Facts(DigestCache(None, counters), OwnFds(), counters)


def digest(data: bytes) -> bytes:
    return xxhash.xxh3_128_digest(data)


def test_content(look: Facts, tmp_path: Path) -> None:
    file, link, directory = tmp_path / "f", tmp_path / "l", tmp_path / "d"
    file.write_bytes(b"text")
    file.chmod(0o4751)
    link.symlink_to("f")
    directory.mkdir(0o700)
    os.mkfifo(tmp_path / "p", 0o600)
    assert look.evaluate(Kind.CONTENT, bytes(file)) == b"f4751:0:0:" + digest(b"text")
    assert look.evaluate(Kind.CONTENT, bytes(link)) == b"f4751:0:0:" + digest(b"text")
    assert look.evaluate(Kind.LCONTENT, bytes(file)) == b"f4751:0:0:" + digest(b"text")
    assert look.evaluate(Kind.LCONTENT, bytes(link)) == b"lf"
    assert look.evaluate(Kind.LINK, bytes(link)) == b"l1:%d:%d" % (os.getuid(), os.getgid())
    assert look.evaluate(Kind.LINK, bytes(file)) == look.evaluate(Kind.LEXISTS, bytes(file))
    assert look.evaluate(Kind.CONTENT, bytes(directory)) == b"d700:0:0"
    assert look.evaluate(Kind.LCONTENT, bytes(directory)) == b"d700:0:0"
    assert look.evaluate(Kind.CONTENT, bytes(tmp_path / "p")) == b"p600:0:0"
    assert look.evaluate(Kind.CONTENT, b"/dev/null") == b"c666:0:0:1:3"


def test_names_and_holes_of_a_file(look: Facts, tmp_path: Path) -> None:
    file = tmp_path / "f"
    with file.open("wb") as stream:
        stream.truncate(1 << 20)
    full = b"f644:0:0:" + digest(bytes(1 << 20))
    sparse = look.evaluate(Kind.CONTENT, bytes(file))
    assert sparse.startswith(b"f644:0:0~") and content_of(sparse) == content_of(full)
    os.link(file, tmp_path / "g")
    assert look.evaluate(Kind.CONTENT, bytes(file)) == relinked(sparse, 1)
    file.write_bytes(bytes(1 << 20))
    assert look.evaluate(Kind.CONTENT, bytes(file)) == relinked(full, 1)
    os.link(file, tmp_path / "h")
    assert look.evaluate(Kind.CONTENT, bytes(file)).startswith(b"f644:0:0+3:")
    assert without_names(relinked(full, 2)) == full == relinked(relinked(full, 2), -2)


def test_which_are_one(look: Facts, tmp_path: Path) -> None:
    a, b, c, d = (bytes(tmp_path / name) for name in "abcd")
    Path(os.fsdecode(a)).touch()
    os.link(a, b)
    os.symlink("a", c)
    Path(os.fsdecode(d)).touch()
    keys = [(Kind.CONTENT, c), (Kind.EXISTS, a), (Kind.EXISTS, d), (Kind.LCONTENT, c)]
    keys += [(Kind.LEXISTS, b), (Kind.LEXISTS, d), (Kind.LEXISTS, bytes(tmp_path / "absent"))]
    known: dict[Key, bytes] = {}
    assert look.values([*keys, (Kind.ONE, one_path(()))], known)[-1] == grouped_value([[a, b, c]])
    # It is about the keys beside it, whatever else was looked at.
    assert look.values([*keys[1:4], (Kind.ONE, one_path(()))], known)[-1] == grouped_value([])
    assert look.values([*keys, (Kind.ONE, one_path([b]))], known)[-1] == grouped_value([[a, c]])


def test_existence(look: Facts, tmp_path: Path) -> None:
    file, link = tmp_path / "f", tmp_path / "l"
    file.write_bytes(b"text")
    file.chmod(0o640)
    link.symlink_to("f")
    owner = b"%d:%d" % (os.getuid(), file.stat().st_gid)
    assert look.evaluate(Kind.EXISTS, bytes(link)) == b"f640:" + owner
    assert look.evaluate(Kind.LEXISTS, bytes(link)) == b"lf"
    assert look.evaluate(Kind.LEXISTS, bytes(file)) == b"f640:" + owner
    tmp_path.chmod(0o750)
    assert look.evaluate(Kind.EXISTS, bytes(tmp_path)) == b"d750:" + owner
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        os.chmod(tmp_path / "s", 0o611)
        assert look.evaluate(Kind.EXISTS, bytes(tmp_path / "s")) == b"s611:" + owner


@pytest.mark.parametrize(
    "kind",
    [
        *(Kind.CONTENT, Kind.LCONTENT, Kind.EXISTS, Kind.LEXISTS, Kind.LINK),
        *(Kind.LISTING, Kind.TIMES),
    ],
)
def test_absence_and_errors(look: Facts, tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert look.evaluate(kind, bytes(tmp_path / "nothing")) == b"-"
    assert look.evaluate(kind, bytes(tmp_path / "f/below")) == b"!20"
    assert look.evaluate(kind, bytes(tmp_path / "loop/below")) == b"!40"
    assert look.evaluate(kind, b"/" + b"x" * 300) == b"!36"
    if kind == Kind.LISTING:
        assert look.evaluate(kind, bytes(tmp_path / "f")) == b"!20"


@pytest.mark.parametrize(
    ("kind", "of_link", "of_link_to_directory"),
    [(Kind.NOT_DIRECTORY, b"ok", b"d700:"), (Kind.LNOT_DIRECTORY, b"ok", b"ok")],
)
def test_no_directory(
    look: Facts, tmp_path: Path, kind: bytes, of_link: bytes, of_link_to_directory: bytes
) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "d").mkdir(0o700)
    (tmp_path / "to-f").symlink_to("f")
    (tmp_path / "to-d").symlink_to("d")
    assert look.evaluate(kind, bytes(tmp_path / "f")) == b"ok"
    assert look.evaluate(kind, bytes(tmp_path / "f/below")) == b"ok"
    assert look.evaluate(kind, bytes(tmp_path / "to-f")) == of_link
    assert look.evaluate(kind, bytes(tmp_path / "to-d")).startswith(of_link_to_directory)
    assert look.evaluate(kind, bytes(tmp_path / "d")).startswith(b"d700:")
    assert look.evaluate(kind, bytes(tmp_path / "none")) == b"-"


def test_a_trailing_slash_is_kept(look: Facts, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    assert look.evaluate(Kind.EXISTS, bytes(tmp_path / "f") + b"/") == b"!20"


def test_listing_is_what_getdents_gives_in_any_order(look: Facts, tmp_path: Path) -> None:
    empty = look.evaluate(Kind.LISTING, bytes(tmp_path))
    assert empty == listing_value([(b".", 4), (b"..", 4)])
    (tmp_path / "z").touch()
    (tmp_path / "d").mkdir()
    (tmp_path / "l").symlink_to("nowhere")
    os.mkfifo(tmp_path / "p")
    entries = [(b"z", 8), (b"..", 4), (b"d", 4), (b"l", 10), (b"p", 1), (b".", 4)]
    assert look.evaluate(Kind.LISTING, bytes(tmp_path)) == listing_value(entries)


def test_replaceable(look: Facts, tmp_path: Path) -> None:
    file = tmp_path / "f"

    def value(mode: int = 0o644) -> bytes:
        return look.evaluate(Kind.REPLACEABLE, replaceable_path(mode, bytes(file)))

    assert value() == b"ok"
    assert look.evaluate(Kind.REPLACEABLE, b"644:" + bytes(file / "below")) == b"-"
    file.write_bytes(b"")
    file.chmod(0o644)
    assert value() == b"ok"
    exists = look.evaluate(Kind.LEXISTS, bytes(file))
    assert value(0o600) == exists
    os.link(file, tmp_path / "second")
    assert value() == exists
    file.unlink()
    file.symlink_to("second")
    assert value() == b"lsecond"
    file.unlink()
    file.mkdir()
    assert value() == look.evaluate(Kind.LEXISTS, bytes(file))


def test_replaceable_means_the_callers_own_files(tmp_path: Path, counters: Counters) -> None:
    (tmp_path / "f").touch(0o600)
    stranger = Facts(DigestCache(None, counters), None, counters, uid=os.getuid() + 1)
    path = b"600:" + bytes(tmp_path / "f")
    assert stranger.evaluate(Kind.REPLACEABLE, path).startswith(b"f600:")


def test_times(look: Facts, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()  # which makes for a third name of the directory
    os.utime(tmp_path, ns=(0, 1234567890123456789))
    owner = b" %d %d " % (os.getuid(), os.getgid())
    assert look.evaluate(Kind.TIMES, bytes(tmp_path)) == b"t1234567890123456789" + owner + b"1"
    (tmp_path / "file").touch()
    os.link(tmp_path / "file", tmp_path / "other")
    assert look.evaluate(Kind.TIMES, bytes(tmp_path / "file")).endswith(owner + b"2")


class Descriptor(FdView):
    def __init__(self, fd: int) -> None:
        self.fd = fd

    def get(self, fd: int) -> int:
        if fd:
            raise OSError(9, "Bad file descriptor")
        return self.fd


def test_an_inherited_file_is_its_offset_and_whole_content(
    tmp_path: Path, counters: Counters
) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    try:
        look = Facts(DigestCache(None, counters), Descriptor(fd), counters)
        os.lseek(fd, 3, os.SEEK_SET)
        assert look.evaluate(Kind.INPUT, b"0") == b"i3:" + digest(b"0123456789")
        assert os.lseek(fd, 0, os.SEEK_CUR) == 3
        assert look.evaluate(Kind.FD, b"0") == b"file"
        assert look.evaluate(Kind.FD, b"5") == b"closed"
        assert look.evaluate(Kind.INPUT, b"5") == b"!9"
    finally:
        os.close(fd)


def test_an_inherited_pipe_is_no_known_input(counters: Counters) -> None:
    reading, writing = os.pipe()
    try:
        look = Facts(DigestCache(None, counters), Descriptor(reading), counters)
        assert look.evaluate(Kind.INPUT, b"0") == b"!29"
    finally:
        os.close(reading)
        os.close(writing)


def test_a_file_that_may_not_be_read(as_user, user_dir: Path) -> None:  # type: ignore[no-untyped-def]
    import sys

    secret = user_dir / "secret"
    secret.write_bytes(b"x")
    secret.chmod(0o600)
    code = (
        "import os\n"
        "from pcache.memo.facts import Facts; from pcache.store.digests import DigestCache\n"
        "from pcache.counters import Counters\n"
        "look = Facts(DigestCache(None, Counters()), None, Counters())\n"
        f"print(look.evaluate(b'c', {bytes(secret)!r}), look.evaluate(b'd', b'/root'))\n"
    )
    done = as_user(
        ["python3", "-c", code],
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert done.stdout == b"b'f600:0:0:!13' b'!13'\n", done.stderr


def test_pseudo_files_are_read_each_time(look: Facts, counters: Counters) -> None:
    path = b"/proc/sys/kernel/ostype"
    value = look.evaluate(Kind.CONTENT, path)
    assert value == b"f444:0:0:" + digest(b"Linux\n")
    assert look.evaluate(Kind.CONTENT, path) == value
    assert counters["files hashed"] == 2
    assert counters["digests remembered"] == 0


def test_known_values_are_used_and_added_to(
    look: Facts, tmp_path: Path, counters: Counters
) -> None:
    keys = [(Kind.CONTENT, b"/nowhere"), (Kind.CONTENT, bytes(tmp_path))]
    known = {keys[0]: b"as told"}
    values = look.values(keys, known)
    assert values[0] == b"as told"
    assert values[1] == known[keys[1]]
    assert counters["facts checked"] == 1


def test_values_are_those_that_a_recorder_makes_from_stat(look: Facts, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"data")
    st_ = os.stat(file)
    path = bytes(file)
    assert content_value(st_, digest(b"data")) == look.evaluate(Kind.CONTENT, path)
    assert exists_value(st_) == look.evaluate(Kind.EXISTS, path)
    assert times_value(st_) == look.evaluate(Kind.TIMES, path)
    assert error_value(2) == ABSENT != error_value(20)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What `entries_of` was called with."""
    made: list[object] = []

    def counted(path: bytes | int) -> list[tuple[bytes, int]]:
        made.append(path)
        return entries_of(path)

    entries_of = facts.entries_of
    monkeypatch.setattr(facts, "entries_of", counted)
    return made


def test_an_unchanged_directory_is_read_once(
    look: Facts, tmp_path: Path, reads: list[object]
) -> None:
    (tmp_path / "f").touch()
    path = bytes(tmp_path)
    values = [look.evaluate(Kind.LISTING, path) for _ in range(3)]
    assert len(reads) == 3, "it was changed a moment ago"
    time.sleep(0.03)
    values += [look.evaluate(Kind.LISTING, path) for _ in range(3)]
    assert (len(reads), len(set(values))) == (4, 1)
    assert look.evaluate(Kind.NAMES, path) == names_value([b"f"]) != values[0]


@pytest.mark.parametrize("kind", [Kind.LISTING, Kind.NAMES])
@pytest.mark.parametrize("place", ["tmp_path", "/dev/shm"])
def test_every_change_of_a_directory_is_seen(
    kind: bytes, place: str, tmp_path: Path, counters: Counters
) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path if place == "tmp_path" else place) as folder:
        base, other = Path(folder, "base"), Path(folder, "other")
        base.mkdir()
        other.mkdir()
        (other / "from elsewhere").touch()
        changes: list[Callable[[], object]] = [
            (base / "a").touch,
            (base / "b").mkdir,
            lambda: (base / "c").symlink_to("nowhere"),
            lambda: os.mkfifo(base / "d"),
            lambda: os.link(base / "a", base / "e"),
            lambda: (base / "e").rename(base / "f"),
            lambda: (base / "f").rename(other / "f"),
            lambda: (other / "from elsewhere").rename(base / "g"),
            lambda: exchange(base / "a", base / "b"),
            lambda: exchange(base / "a", other / "f"),
            (base / "d").unlink,
            (base / "a").unlink,
            lambda: (base / "c").rename(base / "g"),
        ]
        look = Facts(DigestCache(None, counters), None, counters)
        for number, change in enumerate(changes):
            time.sleep(0.025)
            look.evaluate(kind, bytes(base))
            change()
            anew = Facts(DigestCache(None, counters), None, counters)
            assert look.evaluate(kind, bytes(base)) == anew.evaluate(kind, bytes(base)), number


def exchange(one: Path, other: Path) -> None:
    """renameat2(2) with RENAME_EXCHANGE."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.renameat2(-100, bytes(one), -100, bytes(other), 2) == 0, ctypes.get_errno()


def test_a_directory_whose_times_tell_nothing_is_read_each_time(
    look: Facts, reads: list[object]
) -> None:
    """Terminals come and go in /dev/pts without a change of its times."""
    before = look.evaluate(Kind.LISTING, b"/dev/pts")
    time.sleep(0.03)
    assert look.evaluate(Kind.LISTING, b"/dev/pts") == before
    one, other = os.openpty()
    try:
        assert look.evaluate(Kind.LISTING, b"/dev/pts") != before
    finally:
        os.close(one)
        os.close(other)
    assert len(reads) == 3


def test_below_absent_directories_all_is_as_it_is_one_by_one(tmp_path: Path, look: Facts) -> None:
    """What is not there for want of its directory is not looked for again and again."""
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "link").symlink_to("there")
    (tmp_path / "file").touch()
    (tmp_path / "there/b").mkdir(parents=True)
    kinds = (Kind.CONTENT, Kind.LCONTENT, Kind.EXISTS, Kind.LEXISTS, Kind.NOT_DIRECTORY, Kind.LINK)
    keys = [
        (kind, bytes(tmp_path / directory / name))
        for kind in kinds
        for directory in ("absent", "absent/below", "dangling", "file", "link", "there", "absent")
        for name in ("a", "aa", "b", "c", "../there")
    ]
    assert look.values(keys) == [look.evaluate(*key) for key in keys]
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent/aa").touch()
    assert look.values(keys) == [look.evaluate(*key) for key in keys]
