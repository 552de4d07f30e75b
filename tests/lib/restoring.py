"""Putting outputs in place, for the tests of it."""

from __future__ import annotations

import os
from pathlib import Path

from pcache.linux.descriptors import OwnFds
from pcache.memo.restore import Plan
from pcache.model import Outcome, Output
from pcache.store.index import Store


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


def in_place(store: Store, path: Path, data: bytes, mode: int = 0o644) -> Output:
    return Output(b"w", bytes(path), mode, store.blobs.put_bytes(data))
