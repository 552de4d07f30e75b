"""What the tests of store, restore and decide share."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pcache.model import Call, Fact, Kind, Outcome, Record
from pcache.store.fingerprint import path_set, strong_fingerprint, weak_fingerprint
from tests.conftest import SUDO


def make_call(*arguments: bytes, env: tuple[bytes, ...] = (b"A=1",)) -> Call:
    return Call(
        b"/bin/tool",
        (b"tool", *arguments),
        env,
        b"/",
        0o22,
        os.geteuid(),
        os.getegid(),
        (b"null", b"pipe", b"pipe"),
    )


def make_record(
    *arguments: bytes,
    facts: tuple[Fact, ...] = (Fact(Kind.CONTENT, b"/in", b"fX"),),
    outcome: Outcome | None = None,
) -> Record:
    call = make_call(*arguments)
    return Record(call, weak_fingerprint(call), facts, outcome or Outcome(0))


MANY = tuple(Fact(Kind.CONTENT, b"/usr/include/x%d.h" % number, b"-") for number in range(500))
"""More than a set of paths usually has."""


def strong_of(record: Record) -> bytes:
    paths = path_set((fact.kind, fact.path) for fact in record.facts)
    values = {(fact.kind, fact.path): fact.value for fact in record.facts}
    return strong_fingerprint(record.weak, paths.digest, [values[key] for key in paths.keys])


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A file system that is soon full, owned by the caller."""
    place.mkdir()
    options = f"size={size},uid={os.getuid()},gid={os.getgid()},mode=755"
    subprocess.run([*SUDO, "mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run([*SUDO, "umount", "--lazy", str(place)], check=True)
