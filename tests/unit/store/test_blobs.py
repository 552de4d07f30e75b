"""Contents come back as they were or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcache.errors import DamagedBlob, StoreError
from pcache.linux.files import reflink
from pcache.store import blobs as module
from pcache.store.blobs import SMALL
from pcache.store.index import Store
from tests.conftest import SUDO
from tests.lib.stores import make_record, small_disk

SIZES = [0, 1, SMALL - 1, SMALL, SMALL + 1, (1 << 20) + 3]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(bytes(tmp_path / "store")) as opened:
        yield opened


def objects(store: Store) -> list[Path]:
    return [path for path in Path(os.fsdecode(store.directory), "objects").glob("*/*")]


def temporaries(store: Store) -> list[Path]:
    return list(Path(os.fsdecode(store.directory), "tmp").iterdir())


def read(fd: int) -> bytes:
    with open(fd, "rb") as file:
        return file.read()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", ["bytes", "path", "descriptor"])
def test_contents_come_back(store: Store, tmp_path: Path, size: int, way: str) -> None:
    data = os.urandom(size)
    source = tmp_path / "source"
    source.write_bytes(data)
    if way == "bytes":
        digest = store.blobs.put_bytes(data)
    elif way == "path":
        digest = store.blobs.put_file(bytes(source))
    else:
        fd = os.open(source, os.O_RDONLY)
        os.lseek(fd, 5, os.SEEK_SET)
        digest = store.blobs.put_file(fd)
        assert os.lseek(fd, 0, os.SEEK_CUR) == 5
        os.close(fd)
    assert digest == xxhash.xxh3_128_digest(data)
    assert store.blobs.has(digest)
    assert store.blobs.get_bytes(digest) == data
    assert read(store.blobs.open(digest)) == data
    target = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    assert store.blobs.copy_to(digest, target) == size
    assert os.pread(target, size + 1, 0) == data
    os.close(target)
    assert len(objects(store)) == (size > SMALL)
    assert temporaries(store) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=3 * SMALL))
def test_any_bytes(store: Store, data: bytes) -> None:
    assert store.blobs.get_bytes(store.blobs.put_bytes(data)) == data


def test_the_same_content_is_stored_once(store: Store, tmp_path: Path) -> None:
    data = os.urandom(10000)
    (tmp_path / "f").write_bytes(data)
    for _ in range(2):
        store.blobs.put_bytes(data)
        digest = store.blobs.put_file(bytes(tmp_path / "f"))
        store.blobs.put_file(bytes(tmp_path / "gone"), known=digest)
        store.blobs.put_bytes(b"small")
    assert len(objects(store)) == 1
    assert store.counters["blobs stored"] == 2
    assert store.counters["bytes stored"] == 10005


def test_the_store_shares_no_inode_with_the_source(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "f"
    source.write_bytes(b"x" * 10000)
    digest = store.blobs.put_file(bytes(source))
    source.write_bytes(b"y" * 10000)
    assert store.blobs.get_bytes(digest) == b"x" * 10000
    assert source.stat().st_nlink == 1
    (stored,) = objects(store)
    assert stored.stat().st_mode & 0o777 == 0o400


def test_a_source_that_cannot_be_read_is_the_callers_matter(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.blobs.put_file(bytes(tmp_path / "missing"))
    with pytest.raises(IsADirectoryError):
        store.blobs.put_file(bytes(tmp_path))
    assert temporaries(store) == []


@pytest.mark.parametrize("damage", ["flipped", "short", "empty", "long", "missing"])
def test_a_damaged_object_is_found_and_replaced(store: Store, tmp_path: Path, damage: str) -> None:
    data = os.urandom(9000)
    digest = store.blobs.put_bytes(data)
    (stored,) = objects(store)
    stored.chmod(0o600)
    if damage == "flipped":
        stored.write_bytes(data[:4000] + bytes([data[4000] ^ 1]) + data[4001:])
    elif damage == "short":
        os.truncate(stored, 8999)
    elif damage == "empty":
        os.truncate(stored, 0)
    elif damage == "long":
        os.truncate(stored, 9001)
    else:
        stored.unlink()
    target = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    with pytest.raises(DamagedBlob):
        store.blobs.get_bytes(digest)
    with pytest.raises(DamagedBlob):
        store.blobs.open(digest)
    with pytest.raises(DamagedBlob) as caught:
        store.blobs.copy_to(digest, target)
    os.close(target)
    assert caught.value.remedy
    assert store.blobs.put_bytes(data) == digest
    assert store.blobs.get_bytes(digest) == data


def test_a_damaged_row_is_found_and_replaced(store: Store, tmp_path: Path) -> None:
    digest = store.blobs.put_bytes(b"small")
    with store.batch() as database:
        database.change("UPDATE blobs SET data = x'00'")
    target = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    for reading in (
        store.blobs.get_bytes,
        store.blobs.open,
        lambda digest: store.blobs.copy_to(digest, target),
    ):
        with pytest.raises(DamagedBlob):
            reading(digest)
    os.close(target)
    store.blobs.put_bytes(b"small")
    assert store.blobs.get_bytes(digest) == b"small"


def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "512k") as disk:
        store = Store.open(bytes(disk / "store"))
        kept = store.blobs.put_bytes(b"kept" * 10000)
        (tmp_path / "large").write_bytes(os.urandom(600_000))
        with pytest.raises(StoreError, match="no space") as caught:
            store.blobs.put_file(bytes(tmp_path / "large"))
        assert caught.value.remedy
        with pytest.raises(StoreError, match="no space"):
            store.blobs.put_bytes(os.urandom(600_000))
        assert temporaries(store) == []
        with pytest.raises(StoreError, match="no space"):
            for number in range(1000):
                store.blobs.put_bytes(b"%d" % number * 800)
            store.blobs.flush()
        assert store.blobs.get_bytes(kept) == b"kept" * 10000
        store.close()
        with Store.open(bytes(disk / "store")) as store:
            assert store.blobs.get_bytes(kept) == b"kept" * 10000


def test_a_file_that_changes_while_it_is_copied_is_stored_as_it_was_read(
    store: Store, tmp_path: Path
) -> None:
    source = tmp_path / "f"
    source.write_bytes(bytes(4 << 20))
    stop = threading.Event()

    def scribble() -> None:
        with open(source, "r+b", buffering=0) as file:
            while not stop.is_set():
                os.pwrite(file.fileno(), os.urandom(1000), int.from_bytes(os.urandom(2)) * 60)

    thread = threading.Thread(target=scribble)
    thread.start()
    try:
        digests = [store.blobs.put_file(bytes(source)) for _ in range(5)]
    finally:
        stop.set()
        thread.join()
    for digest in digests:
        assert len(store.blobs.get_bytes(digest)) == 4 << 20


def test_small_contents_wait_for_a_record(tmp_path: Path, store: Store) -> None:
    """So that nobody waits for another process's transaction while a command runs."""
    with Store.open(bytes(tmp_path / "store")) as other:
        digest = store.blobs.put_bytes(b"small")
        assert store.blobs.has(digest) and store.blobs.get_bytes(digest) == b"small"
        assert not other.blobs.has(digest)
        store.add(make_record())
        assert other.blobs.get_bytes(digest) == b"small"
        with store.batch():
            again = store.blobs.put_bytes(b"another")
            assert not other.blobs.has(again)
        assert other.blobs.has(again)


def test_many_small_contents_do_not_stay_in_memory(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PENDING", 9000)
    digests = [store.blobs.put_bytes(b"%d" % number * 4000) for number in range(5)]
    with Store.open(bytes(tmp_path / "store")) as other:
        assert [other.blobs.has(digest) for digest in digests] == [True] * 3 + [False] * 2


def test_several_threads_store_the_same(tmp_path: Path) -> None:
    data = [b"%d" % number * 3000 for number in range(30)]

    def put() -> None:
        with Store.open(bytes(tmp_path / "store")) as store:
            for content in data:
                store.blobs.put_bytes(content)
            store.blobs.flush()

    threads = [threading.Thread(target=put) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store.open(bytes(tmp_path / "store")) as store:
        assert temporaries(store) == []
        for content in data:
            assert store.blobs.get_bytes(xxhash.xxh3_128_digest(content)) == content


def test_blocks_are_shared_where_the_file_system_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On btrfs or XFS in a loop device if one can be made; elsewhere with the ioctl replaced by
    what it does, so that the path behind it is taken."""
    cloned = []

    def clone(target: int, request: int, source: int) -> int:
        assert request == 0x40049409
        if os.fstat(target).st_size:
            raise OSError(errno.EINVAL, "not empty")
        size = os.fstat(source).st_size
        assert os.pwrite(target, os.pread(source, size, 0), 0) == size
        cloned.append(target)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", clone)
    with Store.open(bytes(tmp_path / "store")) as store:
        data = os.urandom(300_000)
        (tmp_path / "f").write_bytes(data)
        digest = store.blobs.put_file(bytes(tmp_path / "f"))
        target = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
        assert store.blobs.copy_to(digest, target) == len(data)
        os.close(target)
        assert (tmp_path / "target").read_bytes() == data
        assert len(cloned) == 2
        (stored,) = objects(store)
        stored.chmod(0o600)
        stored.write_bytes(b"\0" + data[1:])
        target = os.open(tmp_path / "again", os.O_RDWR | os.O_CREAT)
        with pytest.raises(DamagedBlob):
            store.blobs.copy_to(digest, target)
        os.close(target)


def test_reflink_refuses_politely(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    try:
        assert not reflink(reading, fd)
    finally:
        for each in (reading, writing, fd):
            os.close(each)


def test_another_user_cannot_look_into_the_store(as_user, user_dir: Path) -> None:  # type: ignore[no-untyped-def]
    store = user_dir / "store"
    env = {"PYTHONPATH": os.pathsep.join(p for p in __import__("sys").path if p)}
    code = (
        "import sys\nfrom pcache.store.index import Store\n"
        "with Store.open(sys.argv[1]) as store:\n"
        "    store.blobs.put_bytes(b'secret' * 2000)\n"
    )
    done = as_user(["python3", "-c", code, str(store)], env=env)
    assert done.returncode == 0, done.stderr
    found = subprocess.run(
        [*SUDO, "find", str(store), "!", "-perm", "/077", "-printf", "."],
        capture_output=True,
        check=True,
    )
    everything = subprocess.run(
        [*SUDO, "find", str(store), "-printf", "."], capture_output=True, check=True
    )
    assert found.stdout == everything.stdout
    assert len(found.stdout) > 5
