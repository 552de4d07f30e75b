"""Digests of large files that other threads take: entered where they hold, and only there."""

from __future__ import annotations

import os
import time
from hashlib import sha256
from pathlib import Path

import pytest

from pcache.counters import Counters
from pcache.linux.stamps import RACY_NS
from pcache.model import Key, Kind
from pcache.remote import ahead
from pcache.remote.ahead import Ahead
from pcache.store.digests import Algorithm, DigestCache

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
    found = Ahead(digests, keys)
    assert found.busy or len(os.sched_getaffinity(0)) == 1
    found.learn()
    for _, path in keys[:4]:
        st = os.stat(path)
        expected = sha256(Path(os.fsdecode(path)).read_bytes()).digest()
        assert digests.file_digest(path, st) == expected
    table = counters.as_dict()
    assert table["files hashed"] == 1 or not found.busy
    # All of it is remembered now: there is nothing to do.
    assert not Ahead(digests, keys).busy


def test_what_changes_meanwhile_is_not_entered(
    tmp_path: Path, digests: DigestCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = made(tmp_path, LARGE)
    path = tmp_path / "0"
    real = ahead.content_digest

    def changed(*args: object) -> bytes:
        digest = real(*args)  # type: ignore[arg-type]
        path.write_bytes(b"x" * LARGE)
        return digest

    monkeypatch.setattr(ahead, "content_digest", changed)
    found = Ahead(digests, keys)
    found.learn()
    assert digests.file_digest(bytes(path), path.stat()) == sha256(b"x" * LARGE).digest()


def test_what_somebody_can_write_to_is_not_entered(tmp_path: Path, digests: DigestCache) -> None:
    """By a mapping, for example, of which the times of a file tell late."""
    keys = made(tmp_path, LARGE)
    with (tmp_path / "0").open("r+b"):
        found = Ahead(digests, keys)
        found.learn()
        assert digests.remembered((tmp_path / "0").stat()) is None
    found = Ahead(digests, keys)
    found.learn()
    assert digests.remembered((tmp_path / "0").stat()) or not found.busy


def test_giving_up(tmp_path: Path, digests: DigestCache) -> None:
    found = Ahead(digests, made(tmp_path, LARGE, LARGE, LARGE))
    found.stop()
    found.learn()  # ends
