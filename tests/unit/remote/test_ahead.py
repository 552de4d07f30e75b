"""Digests of large files that other threads take: entered where they hold, and only there."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from pcache.counters import Counters
from pcache.linux.stamps import RACY_NS, is_coarse
from pcache.model import Key, Kind
from pcache.remote import ahead
from pcache.remote.ahead import Ahead
from pcache.store.digests import XXH3, Algorithm, DigestCache

pytestmark = pytest.mark.mounts  # while an overlay is mounted, nothing is remembered

ALGORITHM = Algorithm("sha-256", sha256, lambda data: sha256(data).digest())
LARGE = 3 << 20


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def digests(tmp_path: Path, counters: Counters) -> DigestCache:
    return DigestCache(bytes(tmp_path / "digests.db"), counters, ALGORITHM)


def made(directory: Path, *sizes: int) -> list[Key]:
    keys: list[Key] = []
    for number, size in enumerate(sizes):
        path = directory / str(number)
        path.write_bytes(bytes([number]) * size)
        keys.append((Kind.CONTENT, bytes(path)))
    time.sleep(RACY_NS / 1e9 + 0.01)
    return keys


def test_what_is_large_is_not_read_again(
    tmp_path: Path, digests: DigestCache, counters: Counters
) -> None:
    keys = made(tmp_path, LARGE, 100, LARGE + 1)
    (tmp_path / "link").symlink_to("0")
    keys += [(Kind.CONTENT, bytes(tmp_path / "link")), (Kind.CONTENT, bytes(tmp_path / "none"))]
    other = DigestCache(None, Counters())
    found = Ahead((other, digests), keys)
    assert found.bytes == 2 * LARGE + 1
    assert [found.has(path) for _, path in keys] == [True, False, True, True, False]
    found.learn()
    for _, path in keys[:4]:
        st = os.stat(path)
        content = Path(os.fsdecode(path)).read_bytes()
        assert digests.file_digest(path, st) == sha256(content).digest()
        assert other.file_digest(path, st) == XXH3.digest(content)
    assert counters["files hashed"] == 1
    # All of it is remembered now: there is nothing to do.
    assert Ahead((digests,), keys).bytes == 0


@contextmanager
def an_image(tmp_path: Path) -> Iterator[Path]:
    """A mounted file system whose times have no fractions of a second, as images have them."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source/0").write_bytes(b"x" * LARGE)
    image, place = tmp_path / "image", tmp_path / "place"
    place.mkdir()
    make = ["mke2fs", "-q", "-t", "ext4", "-d", tmp_path / "source", image, "16M"]
    subprocess.run(make, check=True)
    request = "set_inode_field 0 ctime 1700000000"
    subprocess.run(["debugfs", "-w", "-R", request, image], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["mount", "-o", "loop,ro", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.root
@pytest.mark.alone  # while an overlay is mounted, nothing is remembered
def test_of_an_image(tmp_path: Path, digests: DigestCache, counters: Counters) -> None:
    with an_image(tmp_path) as place:
        path = bytes(place / "0")
        assert is_coarse(os.stat(path).st_ctime_ns)
        Ahead((digests,), [(Kind.CONTENT, path)]).learn()
        assert digests.file_digest(path, os.stat(path)) == sha256(b"x" * LARGE).digest()
    assert counters["files hashed"] == 0


def test_what_changes_meanwhile_is_not_entered(
    tmp_path: Path, digests: DigestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = made(tmp_path, LARGE)
    path = tmp_path / "0"
    real = ahead.content_digests

    def changed(*args: object) -> list[bytes]:
        found = real(*args)  # type: ignore[arg-type]
        path.write_bytes(b"x" * LARGE)
        return found

    monkeypatch.setattr(ahead, "content_digests", changed)
    Ahead((digests,), keys).learn()
    assert digests.file_digest(bytes(path), path.stat()) == sha256(b"x" * LARGE).digest()


def test_what_somebody_can_write_to_is_not_entered(tmp_path: Path, digests: DigestCache) -> None:
    """By a mapping, for example, of which the times of a file tell late."""
    keys = made(tmp_path, LARGE)
    with (tmp_path / "0").open("r+b"):
        Ahead((digests,), keys).learn()
        assert digests.remembered((tmp_path / "0").stat()) is None
    Ahead((digests,), keys).learn()
    assert digests.remembered((tmp_path / "0").stat())


def test_being_interrupted(
    tmp_path: Path, digests: DigestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others that read for it end as well."""

    def interrupted(*args: object) -> list[bytes]:
        raise KeyboardInterrupt

    monkeypatch.setattr(ahead, "_THREADS", 1)
    monkeypatch.setattr(ahead, "content_digests", interrupted)
    found = Ahead((digests,), made(tmp_path, LARGE, LARGE))
    with pytest.raises(KeyboardInterrupt):
        found.learn()
    with pytest.raises(InterruptedError):
        found._check()
