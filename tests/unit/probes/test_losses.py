"""What the recorder could not take in makes uncacheable whom it concerns, and all above."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pcache.model import Reason
from tests.lib.recorder import Lab, Recorded, Seen

pytestmark = pytest.mark.root

PIECE = 102400
TAKEN = (33 * 32 - 1) * PIECE
"""Bytes of one write that the recorder takes: tail calls and the chunks of each."""


@pytest.fixture(scope="module")
def small(lab: Lab) -> Iterator[Lab]:
    """A recorder whose ring holds a few hundred events."""
    directory = lab.directory / "small"
    directory.mkdir()
    laboratory = Lab(directory, ring_bytes=1 << 16)
    yield laboratory
    laboratory.close()


def lost(seen: Seen) -> str:
    """The evidence for lost events."""
    assert Reason.EVENTS_LOST in seen.reasons, (seen.label, seen.reasons)
    return seen.reasons[Reason.EVENTS_LOST]


def test_ring_overflows(small: Lab, work: Path) -> None:
    """Of those beside it nothing is missing."""
    (work / "burst.py").write_text(
        "import os, time\n"
        "for n in range(20000):\n"
        "    os.path.exists(f'missing-{n}')\n"
        "time.sleep(0.2)\n"
    )
    (work / "beside").write_text("one")
    script = "/bin/cat beside; sh -c 'python3 -IS burst.py; true'; /bin/cat beside"
    seen = small.shell(script, cwd=work)
    assert seen.lost > 0
    root, before, shell, burst, after = seen.all
    for one in (burst, shell, root):
        assert lost(one).endswith("events of the process were lost")
    for beside in (before, after):
        assert beside.content(work / "beside") == small.value("one")


@pytest.mark.parametrize("how", ["readlink", "stat", "before"])
def test_result_written_over_the_path(lab: Lab, work: Path, how: str) -> None:
    (work / "looked-at").symlink_to("/etc/passwd")
    seen = lab.shell(f"{lab.probe('losing')} {how} looked-at; true", cwd=work)
    call = "readlink" if how == "readlink" else "stat"
    assert lost(seen.find("losing")) == lost(seen.root) == f"{call}: unreadable argument"


def test_argument_not_in_memory(lab: Lab, work: Path) -> None:
    """The page with the path is dropped while the call waits."""
    os.mkfifo(work / "fifo")
    (work / "page").write_bytes(b"fifo".ljust(4096, b"\0"))
    seen = lab.shell(f"{lab.probe('losing')} gone page; true", cwd=work)
    # The C library's open(3) is openat(2).
    assert lost(seen.find("losing")) == lost(seen.root) == "openat: unreadable argument"


def test_more_written_at_once_than_is_taken(lab: Lab, work: Path) -> None:
    code = f"import os; os.write(1, bytes({TAKEN} + {PIECE + 1}))"
    (work / "write.py").write_text(code)
    seen = lab.shell("python3 -IS write.py; true", cwd=work, capture=True)
    assert lost(seen.find("python3")) == lost(seen.root) == "bytes written to descriptor 1"
    (work / "write.py").write_text(code.replace(f" + {PIECE + 1}", ""))
    seen = lab.shell("python3 -IS write.py; true", cwd=work, capture=True)
    assert len(seen.root.stream(1)) == TAKEN


def deep_shell(lab: Lab, work: Path, depth: int, script: str) -> Recorded:
    """Runs a script in a directory of that depth."""
    directory = work
    for _ in range(depth - len(work.parts) + 1):
        directory = directory / "d"
    directory.mkdir(parents=True)
    (directory / "in").write_text("one")
    return lab.shell(script.replace("DEEP", str(directory)), cwd=work, capture=True)


@pytest.mark.parametrize("depth", [16, *range(416, 544, 16), 600])
def test_directories_too_deep_to_be_followed(lab: Lab, work: Path, depth: int) -> None:
    """A program is started in a directory, and a file of it opened."""
    seen = deep_shell(lab, work, depth, "cd DEEP; /bin/cat in; true")
    if depth < 100:
        assert seen.root.stream(1) == b"one"
    for one in seen.all:
        assert Reason.EVENTS_LOST in one.reasons or one.stream(1) == b"one", one.label
    if depth > 528:
        assert {lost(one) for one in seen.all}


def test_file_too_deep_to_be_followed(lab: Lab, work: Path) -> None:
    seen = deep_shell(lab, work, 600, "/bin/cat DEEP/in >/dev/null; true")
    assert lost(seen.find("cat")) == lost(seen.root) == "openat: a path cut short"


def test_clock_is_set(lab: Lab, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was stamped before can be compared with what is stamped after."""
    (work / "in").write_text("one")
    real = time.clock_gettime_ns

    def stepped(clock: int) -> int:
        return real(clock) + (10**9 if clock == time.CLOCK_REALTIME else 0)

    def during(_pid: int) -> None:
        monkeypatch.setattr(time, "clock_gettime_ns", stepped)

    seen = lab.shell("/bin/cat in; true", cwd=work, during=during)
    assert {lost(one) for one in seen.all} == {"the system clock was set meanwhile"}
    assert len(seen.all) == 2
