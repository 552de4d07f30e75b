"""Files that are somewhere else, or nowhere, by the time they are looked into."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pcache.model import Reason
from tests.lib.recorder import Lab

pytestmark = pytest.mark.root

GRAIN_NS = 20_000_000
"""The time in which nobody else can have changed the mode (conditions/clock.py)."""
TICK_NS = 10_000_000
"""By how much the times of files may lag behind the clock: a tick of CONFIG_HZ=100, at most."""


@pytest.mark.parametrize(
    "then",
    [
        "mv x.tmp x",
        "mkdir d; mv x.tmp d/y; mv d/y x",
        "echo old >x; mv -f x.tmp x",
        "mv x.tmp x; echo other >x.tmp",
        "mv x.tmp x; ln -s x l; mv l m",
    ],
)
def test_output_that_was_renamed(lab: Lab, work: Path, then: str) -> None:
    (work / "a").write_text("one\n")
    seen = lab.shell(f"cp a x.tmp; {then}", cwd=work, late=True)
    copied = seen.find("cp a")
    assert copied.output(work / "x.tmp") == ("f", 0o644, b"one\n")
    assert seen.root.output(work / "x") == ("f", 0o644, b"one\n")


def test_output_that_was_written_to_twice(lab: Lab, work: Path) -> None:
    script = "echo one >x; echo two >>x; echo three >y; echo four >y"
    seen = lab.shell(f"sh -c '{script}'; mv x z; sleep 0.1", cwd=work, late=True)
    writer = seen.find("echo one")
    assert writer.output(work / "x") == ("f", 0o644, b"one\ntwo\n")
    assert writer.output(work / "y") == ("f", 0o644, b"four\n")


@pytest.mark.parametrize("pause", ["", "sleep 0.1; "])
def test_mode_given_by_the_writer(lab: Lab, work: Path, pause: str) -> None:
    (work / "a").write_text("one\n")
    seen = lab.shell(f"install -m 750 a x.tmp; {pause}mv x.tmp x", cwd=work, late=True)
    install, renamed = seen.find("install"), seen.root.execution.changes[bytes(work / "x")].first
    assert install.execution.end is not None
    gap = renamed - install.execution.end
    if gap <= GRAIN_NS - TICK_NS:
        assert install.output(work / "x.tmp") == ("f", 0o750, b"one\n")
    elif gap > GRAIN_NS + TICK_NS:  # Somebody else may have changed the mode in between.
        assert install.reasons.keys() == {Reason.OUTPUT_OVERWRITTEN}
    assert not pause or gap > GRAIN_NS + TICK_NS


@pytest.mark.parametrize(
    "then",
    [
        "mv x.tmp x; echo more >>x",
        "mv x.tmp x; echo other >x",
        "mv x.tmp x; chmod 600 x",
        "echo more >>x.tmp; mv x.tmp x",
        "chmod 600 x.tmp; mv x.tmp x",
        "rm x.tmp; echo other >x.tmp",
        "rm x.tmp; cp b x.tmp; mv x.tmp x",
        "cp b y; mv y x.tmp; mv x.tmp x",
        "mkdir d; mv x.tmp d; mv d e; echo more >>e/x.tmp",
        "mv x.tmp x; ln x y; echo more >>y",
    ],
)
def test_output_that_was_changed_on_its_way(lab: Lab, work: Path, then: str) -> None:
    (work / "a").write_text("one\n")
    (work / "b").write_text("two\n")
    seen = lab.shell(f"cp a x.tmp; {then}", cwd=work, late=True)
    assert seen.find("cp a").reasons.keys() == {Reason.OUTPUT_OVERWRITTEN}


def _append(path: Path) -> None:
    with open(path, "a") as file:
        file.write("more\n")


def _rewrite(path: Path) -> None:
    path.write_text("two\n")


def _chmod(path: Path) -> None:
    path.chmod(0o600)


def _replace(path: Path) -> None:
    (path.parent / "other").write_text("two\n")
    os.replace(path.parent / "other", path)


@pytest.mark.parametrize("change", [_append, _rewrite, _chmod, _replace])
def test_output_that_somebody_else_changed(
    lab: Lab, work: Path, change: Callable[[Path], None]
) -> None:
    (work / "a").write_text("one\n")

    def during(_pid: int) -> None:
        while not (work / "x").exists():
            time.sleep(0.01)
        time.sleep(0.1)
        change(work / "x")

    seen = lab.shell("cp a x.tmp; mv x.tmp x; sleep 0.4", cwd=work, late=True, during=during)
    assert seen.find("cp a").reasons.keys() == {Reason.OUTPUT_OVERWRITTEN}


def test_output_that_was_removed(lab: Lab, work: Path) -> None:
    script = "open('x', 'w').write('one\\n'); import time; time.sleep(0.2)"
    seen = lab.shell(f'python3 -ISc "{script}"; rm x', cwd=work)
    assert seen.find("python3").output(work / "x") == ("f", 0o644, b"one\n")
    assert seen.root.output(work / "x") == ("-", 0, b"")


def test_input_that_was_renamed(lab: Lab, work: Path) -> None:
    (work / "a").write_text("one\n")
    seen = lab.shell("cp a x; wc x; mv x y", cwd=work, late=True)
    assert seen.find("wc x").content(work / "x") == lab.value("one\n")


def test_input_that_was_renamed_and_changed(lab: Lab, work: Path) -> None:
    (work / "a").write_text("more than is told of what was read\n" * 200)
    seen = lab.shell("cp a x; wc x; mv x y; echo more >>y", cwd=work, late=True)
    assert seen.find("wc x").reasons.keys() == {Reason.INPUT_CHANGED}


def test_program_that_was_removed(lab: Lab, work: Path) -> None:
    """What the kernel opened to start it counts all the same."""
    seen = lab.shell("cp /bin/sleep prog; ./prog 0.2; rm prog", cwd=work)
    program = seen.find("./prog")
    assert program.content(work / "prog") == lab.value(Path("/bin/sleep").read_bytes(), 0o755)
    assert program.content("/lib64/ld-linux-x86-64.so.2") is not None


def test_descriptors_are_closed(lab: Lab, work: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    lab.shell("for i in $(seq 400); do echo $i >f$i; done; mv f1 g; sleep 0.1", cwd=work)
    assert len(os.listdir("/proc/self/fd")) == before
