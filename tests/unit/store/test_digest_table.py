"""The table of remembered digests, in which neighbours are read along with what is asked for."""

from __future__ import annotations

import random
from pathlib import Path

import xxhash

from pcache.store.digest_table import DigestTable, Version


def version(inode: int, device: int = 1 << 20) -> Version:
    return device, inode, 1 + inode % 7, 10**18 + inode % 997, 10**18 + inode % 991


def digest(of: Version) -> bytes:
    return xxhash.xxh3_128_digest(repr(of).encode())


def test_each_is_found_in_whatever_order_they_are_asked_for(tmp_path: Path) -> None:
    """Also those of other devices, in gaps, at both ends, and never one that is not there."""
    path = bytes(tmp_path / "digests.db")
    inodes = [*range(1, 3000, 2), 1 << 40, (1 << 64) - 1]
    known = [version(inode, device) for inode in inodes for device in (1, 1 << 20)]
    table = DigestTable(path, 16)
    for one in known:
        table.put(one, digest(one))
    table.close()
    missing = [version(inode, device) for inode in range(0, 3004, 2) for device in (0, 1, 2)]
    asked = [(one, digest(one)) for one in known] + [(one, None) for one in missing]
    for seed in range(4):
        random.Random(seed).shuffle(asked)
        for order in (asked, sorted(asked, key=lambda item: item[0])):
            table = DigestTable(path, 16)
            assert [table.find(one) for one, _ in order] == [found for _, found in order]
            table.close()


def test_of_another_version_of_a_file_nothing_is_known(tmp_path: Path) -> None:
    path = bytes(tmp_path / "digests.db")
    table = DigestTable(path, 16)
    for inode in range(1000):
        table.put(version(inode), digest(version(inode)))
    table.close()
    table = DigestTable(path, 16)
    for inode in range(1000):
        device, _, size, mtime, ctime = version(inode)
        assert table.find((device, inode, size, mtime, ctime + 1)) is None
    table.close()
