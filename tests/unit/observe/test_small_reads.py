"""Small files whose content the events tell: nobody opens them again, and what is taken from there
is what a look at them would have given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from xxhash import xxh3_128_digest

from pcache.linux.descriptors import OwnFds
from pcache.linux.filesystems import EXACT
from pcache.memo.facts import Facts
from pcache.model import Digest, Kind
from tests.lib.recorder import Lab

pytestmark = pytest.mark.root


def hashed(lab: Lab) -> int:
    return lab.store.counters["files hashed"]


def remembered(lab: Lab, file: Path) -> Digest | None:
    status = os.stat(file)
    if lab.store.digests.kind(status.st_dev) != EXACT:
        pytest.skip("only where the kernel's own numbers are those of stat(2)")
    return lab.store.digests.remembered(status)


def test_what_was_read_is_not_read_again(lab: Lab, work: Path) -> None:
    lab.record("/bin/cat", "none", cwd=work)
    names = [f"file{number}" for number in range(200)]
    for name in names:
        (work / name).write_text(name)
    before = hashed(lab)
    root = lab.record("/bin/cat", *names, cwd=work).root
    for name in names:
        assert root.content(work / name) == lab.value(name)
        assert remembered(lab, work / name) == xxh3_128_digest(name.encode())
    assert hashed(lab) - before < len(names) / 2  # cat itself may have to be


def test_opened_and_not_read(lab: Lab, work: Path) -> None:
    (work / "one").write_text("one")
    root = lab.shell("exec <one", cwd=work).root
    assert root.content(work / "one") == lab.value("one")
    assert remembered(lab, work / "one") == xxh3_128_digest(b"one")


def test_file_with_a_hole(lab: Lab, work: Path) -> None:
    (work / "hole").touch()
    os.truncate(work / "hole", 3000)
    root = lab.record("/bin/cat", "hole", cwd=work).root
    now = Facts(lab.store.digests, OwnFds(), lab.store.counters)
    assert root.content(work / "hole") == now.evaluate(Kind.CONTENT, os.fsencode(work / "hole"))


def test_somebody_may_write_to_it_unseen(lab: Lab, work: Path) -> None:
    """Who has it open for writing may change it such that its times do not tell."""
    (work / "log").write_text("one")
    with (work / "log").open("r+"):
        lab.record("/bin/cat", "log", cwd=work)
    assert remembered(lab, work / "log") is None


def test_read_under_another_name(lab: Lab, work: Path) -> None:
    (work / "one").write_text("one")
    os.link(work / "one", work / "two")
    root = lab.shell("exec 3<one 4<two; cat <&3; cat one two", cwd=work).root
    assert root.content(work / "one") == root.content(work / "two")
    now = Facts(lab.store.digests, OwnFds(), lab.store.counters)
    assert root.content(work / "one") == now.evaluate(Kind.CONTENT, os.fsencode(work / "one"))
