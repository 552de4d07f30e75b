"""The digest cache reads no file twice, and never believes a file whose times may lie."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import xxhash

from pcache.counters import Counters
from pcache.linux.stamps import RACY_NS, are_exact
from pcache.memo.facts import Facts
from pcache.model import Kind
from pcache.store import digests
from pcache.store.digests import DigestCache


@pytest.fixture
def counters() -> Counters:
    return Counters()


def old_file(path: Path, data: bytes) -> os.stat_result:
    """A file whose last change is old enough for its digest to be remembered."""
    path.write_bytes(data)
    st = path.stat()
    while time.time_ns() - st.st_ctime_ns <= RACY_NS:
        time.sleep(RACY_NS / 1e9)
    return st


@pytest.mark.parametrize("size", [0, 1, 4096, 65535, 65536, (1 << 20) + 7])
def test_digests_of_all_sizes(tmp_path: Path, counters: Counters, size: int) -> None:
    data = os.urandom(size)
    st = old_file(tmp_path / "f", data)
    cache = DigestCache(None, counters)
    expected = xxhash.xxh3_128_digest(data)
    assert cache.file_digest(bytes(tmp_path / "f"), st) == expected
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    os.lseek(fd, 1, os.SEEK_SET)
    assert DigestCache(None, counters).file_digest(fd, st) == expected
    assert os.lseek(fd, 0, os.SEEK_CUR) == 1
    os.close(fd)
    assert counters["bytes hashed"] == 2 * size


def test_remembered_within_and_across_processes(tmp_path: Path, counters: Counters) -> None:
    st = old_file(tmp_path / "f", b"data")
    path, database = bytes(tmp_path / "f"), bytes(tmp_path / "digests.db")
    cache = DigestCache(database, counters)
    digest = cache.file_digest(path, st)
    assert cache.file_digest(path, st) == digest
    assert (counters["files hashed"], counters["digests remembered"]) == (1, 1)
    cache.close()
    cache = DigestCache(database, counters)
    assert cache.file_digest(path, st) == digest
    assert (counters["files hashed"], counters["digests remembered"]) == (1, 2)
    cache.close()


@pytest.mark.skipif(not are_exact(), reason="Linux before 6.13 stamps files by ticks")
@pytest.mark.parametrize("place", ["tmp_path", "/dev/shm"])
def test_every_change_of_a_young_file_is_seen(
    place: str, tmp_path: Path, counters: Counters
) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path if place == "tmp_path" else place) as folder:
        file = Path(folder, "f")
        cache = DigestCache(None, counters)
        for number in range(2000):
            data = b"%04d" % number
            file.write_bytes(data)
            for _ in range(2):
                assert cache.file_digest(bytes(file), file.stat()) == xxhash.xxh3_128_digest(data)
        assert (counters["files hashed"], counters["digests remembered"]) == (2000, 2000)


@pytest.mark.parametrize("mapped", [False, True])
def test_what_is_open_for_writing_is_read_again(
    mapped: bool, tmp_path: Path, counters: Counters
) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"data")
    cache = DigestCache(None, counters)
    time.sleep(RACY_NS / 1e9 * 2)
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(file.open("r+b"))
        if mapped:
            stack.enter_context(mmap.mmap(opened.fileno(), 0))
            opened.close()
        for _ in range(2):
            cache.file_digest(bytes(file), file.stat())
        assert counters["files hashed"] == 2
    for _ in range(2):
        cache.file_digest(bytes(file), file.stat())
    assert counters["files hashed"] == 3


def test_a_young_file_is_read_again_where_times_are_not_exact(
    tmp_path: Path, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "are_exact", lambda: False)
    file = tmp_path / "f"
    cache = DigestCache(None, counters)
    for _ in range(50):
        file.write_bytes(b"data")
        st = file.stat()
        began = time.time_ns()
        cache.file_digest(bytes(file), st)
        if began - st.st_ctime_ns < RACY_NS // 2:
            break
    hashed = counters["files hashed"]
    cache.file_digest(bytes(file), st)
    assert counters["files hashed"] == hashed + 1


def test_a_change_that_the_times_do_not_show_is_seen(tmp_path: Path, counters: Counters) -> None:
    """As within one tick of the clock: same size and times, other content."""
    file = tmp_path / "f"
    cache = DigestCache(bytes(tmp_path / "digests.db"), counters)
    for number in range(200):
        file.write_bytes(b"%03d" % number)
        st = file.stat()
        assert cache.file_digest(bytes(file), st) == xxhash.xxh3_128_digest(b"%03d" % number)
    cache.close()


def test_an_empty_file_need_not_be_read(tmp_path: Path, counters: Counters) -> None:
    """Not even one that is gone: what its reader saw is known all the same."""
    file = tmp_path / "f"
    file.touch()
    st = file.stat()
    cache = DigestCache(None, counters)
    assert cache.file_digest(bytes(file), st) == xxhash.xxh3_128_digest(b"")
    assert cache.settled(st)
    assert cache.remembered_version(digests.stamp(st)) == xxhash.xxh3_128_digest(b"")
    assert counters["files hashed"] == 0


@pytest.mark.root
def test_what_seems_empty_is_read_each_time_where_sizes_are_made_up(
    tmp_path: Path, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows all file systems that say 0 whatever is in a file."""
    monkeypatch.setattr("pcache.store.digests.devices", dict)
    place = tmp_path / "groups"
    place.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "none", place], check=True)
    group = place / f"pcache-unit-{os.getpid()}"
    try:
        group.mkdir()
        time.sleep(RACY_NS / 1e9 * 2)
        procs = group / "cgroup.procs"
        cache = DigestCache(None, counters)
        assert cache.file_digest(bytes(procs), procs.stat()) == xxhash.xxh3_128_digest(b"")
        with subprocess.Popen(["sleep", "60"]) as member:
            procs.write_text(str(member.pid))
            with pytest.raises(OSError, match="changed while it was read"):
                cache.file_digest(bytes(procs), procs.stat())
            member.kill()
        group.rmdir()
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("change", ["content", "times", "replaced", "longer"])
def test_changes_are_noticed(tmp_path: Path, counters: Counters, change: str) -> None:
    file = tmp_path / "f"
    st = old_file(file, b"data")
    cache = DigestCache(None, counters)
    cache.file_digest(bytes(file), st)
    if change == "content":
        file.write_bytes(b"atad")
    elif change == "times":
        os.utime(file, ns=(st.st_atime_ns, st.st_mtime_ns))
    elif change == "replaced":
        (tmp_path / "g").write_bytes(b"atad")
        os.utime(tmp_path / "g", ns=(st.st_atime_ns, st.st_mtime_ns))
        (tmp_path / "g").rename(file)
    else:
        file.write_bytes(b"data+")
    data = file.read_bytes()
    assert cache.file_digest(bytes(file), file.stat()) == xxhash.xxh3_128_digest(data)
    assert counters["files hashed"] == 2


def test_a_file_that_is_not_the_expected_one_is_refused(tmp_path: Path, counters: Counters) -> None:
    st = old_file(tmp_path / "f", b"data")
    (tmp_path / "f").write_bytes(b"other")
    with pytest.raises(OSError) as caught:
        DigestCache(None, counters).file_digest(bytes(tmp_path / "f"), st)
    assert caught.value.errno == errno.ESTALE


def test_a_fifo_does_not_block(tmp_path: Path, counters: Counters) -> None:
    os.mkfifo(tmp_path / "p")
    st = old_file(tmp_path / "f", b"data")
    with pytest.raises(OSError) as caught:
        DigestCache(None, counters).file_digest(bytes(tmp_path / "p"), st)
    assert caught.value.errno == errno.ESTALE


@pytest.mark.mounts  # while an overlay is mounted, nothing is remembered
def test_a_digest_found_elsewhere(tmp_path: Path, counters: Counters) -> None:
    st = old_file(tmp_path / "f", b"data")
    cache = DigestCache(None, counters)
    cache.remember(st, b"d" * 16, st.st_ctime_ns + RACY_NS, None)
    cache.remember(st, b"d" * 16, st.st_ctime_ns + RACY_NS + 1, True)
    assert cache.file_digest(bytes(tmp_path / "f"), st) != b"d" * 16
    cache = DigestCache(None, counters)
    cache.remember(st, b"d" * 16, st.st_ctime_ns + RACY_NS + 1, None)
    assert cache.file_digest(bytes(tmp_path / "f"), st) == b"d" * 16


@pytest.mark.parametrize(
    "damage", [b"not a database at all" * 300, b"", b"SQLite format 3\0" + b"\xff" * 9000]
)
def test_a_damaged_cache_is_made_anew(tmp_path: Path, counters: Counters, damage: bytes) -> None:
    database = tmp_path / "digests.db"
    st = old_file(tmp_path / "f", b"data")
    database.write_bytes(damage)
    for _ in range(2):
        cache = DigestCache(bytes(database), counters)
        assert cache.file_digest(bytes(tmp_path / "f"), st) == xxhash.xxh3_128_digest(b"data")
        cache.close()
    assert (counters["files hashed"], counters["digests remembered"]) == (1, 1)


def test_damage_within_the_cache_never_shows(tmp_path: Path, counters: Counters) -> None:
    database = tmp_path / "digests.db"
    st = old_file(tmp_path / "f", b"data")
    cache = DigestCache(bytes(database), counters)
    cache.file_digest(bytes(tmp_path / "f"), st)
    cache.close()
    sound = database.read_bytes()
    for at in [*range(0, len(sound), 512), *range(len(sound) - 100, len(sound), 4)]:
        damaged = bytearray(sound)
        damaged[at : at + 4] = bytes(byte ^ 0xFF for byte in damaged[at : at + 4])
        database.write_bytes(damaged)
        for name in ("digests.db-wal", "digests.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        for _ in range(2):
            cache = DigestCache(bytes(database), counters)
            found = cache.file_digest(bytes(tmp_path / "f"), st)
            cache.close()
            assert found == xxhash.xxh3_128_digest(b"data")


def test_no_place_for_the_cache_is_no_error(tmp_path: Path, counters: Counters) -> None:
    st = old_file(tmp_path / "f", b"data")
    cache = DigestCache(bytes(tmp_path / "missing/digests.db"), counters)
    assert cache.file_digest(bytes(tmp_path / "f"), st) == xxhash.xxh3_128_digest(b"data")
    cache.close()


def test_times_centuries_away(tmp_path: Path, counters: Counters) -> None:
    old_file(tmp_path / "f", b"data")
    os.utime(tmp_path / "f", ns=(0, -(10**18)))
    st = old_file(tmp_path / "g", b"data")
    time.sleep(RACY_NS / 1e9 + 0.005)
    cache = DigestCache(bytes(tmp_path / "digests.db"), counters)
    for name in ("f", "g"):
        st = (tmp_path / name).stat()
        assert cache.file_digest(bytes(tmp_path / name), st) == xxhash.xxh3_128_digest(b"data")
    cache.close()


def test_the_umask_does_not_matter(tmp_path: Path, counters: Counters) -> None:
    st = old_file(tmp_path / "f", b"data")
    before = os.umask(0o777)
    try:
        for _ in range(2):
            cache = DigestCache(bytes(tmp_path / "digests.db"), counters)
            cache.file_digest(bytes(tmp_path / "f"), st)
            cache.close()
    finally:
        os.umask(before)
    assert counters["digests remembered"] == 1
    assert (tmp_path / "digests.db").stat().st_mode & 0o777 == 0o600


def test_two_processes_at_once_lose_nothing(tmp_path: Path, counters: Counters) -> None:
    files = [tmp_path / f"f{number}" for number in range(40)]
    for file in files:
        file.write_bytes(file.name.encode())
    old_file(tmp_path / "last", b"")
    children = []
    for part in range(4):
        child = os.fork()
        if child == 0:
            cache = DigestCache(bytes(tmp_path / "digests.db"), Counters())
            for file in files[part::4]:
                cache.file_digest(bytes(file), file.stat())
                cache.flush()
            cache.close()
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    cache = DigestCache(bytes(tmp_path / "digests.db"), counters)
    for file in files:
        cache.file_digest(bytes(file), file.stat())
    assert counters["digests remembered"] == len(files)
    cache.close()


@pytest.mark.root
def test_an_image_mounted_in_place_of_one_made_alike_is_another(
    tmp_path: Path, counters: Counters
) -> None:
    """Same device, inode, size and times, as `mke2fs -d` gives them: the mount is the difference,
    and has to be seen by who has remembered the first one."""
    images, place = [], tmp_path / "mounted"
    place.mkdir()
    for text in ("one", "two"):
        source = tmp_path / text
        source.mkdir()
        (source / "f").write_text(text)
        image = tmp_path / f"{text}.img"
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", source, image, "1M"], check=True)
        for field in ("ctime", "mtime"):
            request = f"set_inode_field f {field} 1700000000"
            subprocess.run(["debugfs", "-w", "-R", request, image], check=True, stderr=-3)
        images.append(image.read_bytes())
    disk = tmp_path / "disk"
    disk.write_bytes(images[0])
    loop = subprocess.check_output(["losetup", "--find", "--show", disk], text=True).strip()
    cache = DigestCache(None, counters)
    facts = Facts(cache, None, counters)
    seen, stamps = [], []
    try:
        for image in images:
            Path(loop).write_bytes(image)
            subprocess.run(["mount", loop, place], check=True)
            stamps.append(digests.stamp((place / "f").stat()))
            for _ in range(2):
                cache.file_digest(bytes(place / "f"), (place / "f").stat())
                seen.append(facts.evaluate(Kind.CONTENT, bytes(place / "f")))
            subprocess.run(["umount", place], check=True)
    finally:
        subprocess.run(["umount", "-q", place], check=False)
        subprocess.run(["losetup", "--detach", loop], check=True)
    assert stamps[0] == stamps[1]
    assert seen[0] == seen[1] != seen[2] == seen[3]
    assert counters["files hashed"] == 2
