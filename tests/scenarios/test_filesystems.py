"""Inputs and outputs on other kinds of file systems than the one that tests usually run on."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SUDO, open_directory
from tests.lib.differential import SETTLE_SECONDS, Bench, Differential
from tests.lib.edits import append, rename, touch, write
from tests.lib.launch import Launcher, Stdio
from tests.lib.scenario import only, step
from tests.lib.scripts import script
from tests.scenarios.conftest import PLAIN_ENV

pytestmark = [pytest.mark.root, pytest.mark.system_files]

_IMAGE_BYTES = 320 << 20
"""What mkfs.xfs asks for at least."""


def _image(kind: str, base: Path, *options: str) -> tuple[str, ...]:
    image = base / "image"
    with image.open("wb") as file:
        file.truncate(_IMAGE_BYTES)
    subprocess.run([f"mkfs.{kind}", "-q", *options, image], check=True)
    return ("mount", "-o", "loop", str(image))


def _overlay(base: Path) -> tuple[str, ...]:
    """Its upper directory must not be on an overlay itself, as a container's files are."""
    layers = base / "layers"
    layers.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", layers], check=True)
    for name in ("lower", "upper", "work"):
        (layers / name).mkdir()
    (layers / "lower/one").write_text("of the image\n")
    (layers / "lower/two").hardlink_to(layers / "lower/one")
    options = f"lowerdir={layers}/lower,upperdir={layers}/upper,workdir={layers}/work"
    return ("mount", "-t", "overlay", "-o", options, "none")


def _fuse(base: Path) -> tuple[str, ...]:
    (base / "behind").mkdir()
    return ("bindfs", str(base / "behind"))


def _mount(kind: str, base: Path) -> Path:
    place = base / "mounted"
    place.mkdir()
    how = {
        "tmpfs": lambda: ("mount", "-t", "tmpfs", "none"),
        "xfs": lambda: _image("xfs", base),
        "btrfs": lambda: _image("btrfs", base),
        "ext4 without nanoseconds": lambda: _image("ext4", base, "-I", "128"),
        "overlay": lambda: _overlay(base),
        "fuse": lambda: _fuse(base),
    }[kind]
    subprocess.run([*how(), place], check=True)
    return place


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, pcache: str) -> Iterator[Bench]:
    """Where scenarios run on a file system of the kind that the test names."""
    with open_directory() as base:
        place = _mount(request.param, base)
        try:
            yield Bench(place, Launcher(pcache, place, as_root=SUDO), PLAIN_ENV)
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)
            if (base / "layers").exists():
                subprocess.run(["umount", "--lazy", base / "layers"], check=True)


SCENARIO = script(
    "files come and go",
    "cat a b >joined\ncp joined copy\nmkdir -p made\nls >made/list\nln -sf a link\ncat link\n",
    write("a", "pear\n"),
    write("b", "kiwi\n"),
    steps=(
        step("touched", touch("a")),
        step("edited", append("a", "plum\n"), expect=only("dash run.sh", "cat", "cp")),
        step(
            "another file of that name",
            rename("a", "c"),
            write("a", "fig\n"),
            expect=only("dash run.sh", "cat", "cp", "ls"),
        ),
    ),
)


@pytest.mark.parametrize("elsewhere", ["tmpfs", "xfs", "btrfs", "overlay"], indirect=True)
def test_on(elsewhere: Bench) -> None:
    Differential(SCENARIO, elsewhere).check()


@pytest.mark.parametrize("elsewhere", ["overlay"], indirect=True)
@pytest.mark.parametrize(
    "command", ["cat ../one", "stat -c %h ../one ../two", "du -b ../one ../two"]
)
def test_names_below_an_overlay(elsewhere: Bench, command: str) -> None:
    """A file of an image that has several there."""
    arguments = (tuple(command.split()), elsewhere.directory, elsewhere.env, Stdio())
    place = elsewhere.directory.parent
    plain = elsewhere.launcher.plain(*arguments)
    assert elsewhere.launcher.trace(*arguments).ended == plain.ended
    hit = elsewhere.launcher.replay(*arguments)
    assert (hit.ended, hit.counters["hits"]) == (plain.ended, 1)
    (place / "three").hardlink_to(place / "one")  # which makes it another file than `two`
    plain = elsewhere.launcher.plain(*arguments)
    for verb in ("replay", "run", "replay"):
        assert getattr(elsewhere.launcher, verb)(*arguments).ended == plain.ended
    (place / "three").unlink()
    plain = elsewhere.launcher.plain(*arguments)
    for verb in ("replay", "run", "replay"):
        assert getattr(elsewhere.launcher, verb)(*arguments).ended == plain.ended


@pytest.mark.parametrize("elsewhere", ["fuse"], indirect=True)
@pytest.mark.parametrize("seconds", [0, 0.5])
def test_changed_behind_the_file_system(elsewhere: Bench, seconds: float) -> None:
    """The kernel asks for a file's times once in a second, but what is read is new."""
    file = elsewhere.directory / "a"
    behind = elsewhere.directory.parent.parent / "behind" / "here" / "a"
    arguments = (("sh", "-c", "cat a"), elsewhere.directory, elsewhere.env, Stdio())
    file.write_text("one\n")
    file.stat()  # else what the kernel takes for its times is not what they are
    time.sleep(SETTLE_SECONDS)
    elsewhere.launcher.trace(*arguments)
    assert elsewhere.launcher.replay(*arguments).counters["hits"] == 1
    file.stat()
    behind.write_text("two\n")
    time.sleep(seconds)
    done = elsewhere.launcher.replay(*arguments)
    assert done.stdout == b"two\n"
    assert done.counters["hits"] == 0
    elsewhere.launcher.trace(*arguments)
    assert elsewhere.launcher.replay(*arguments).counters["hits"] == 1


@pytest.mark.parametrize("elsewhere", ["ext4 without nanoseconds"], indirect=True)
def test_changed_within_the_second(elsewhere: Bench) -> None:
    """The times are those that it had, but it was read well after it had got them."""
    file = elsewhere.directory / "a"
    arguments = (("cat", "a"), elsewhere.directory, elsewhere.env, Stdio())
    for text in [f"text {number:02}\n" for number in range(20)]:
        while not 0 < time.time() % 2 < 0.1:
            time.sleep(0.01)
        file.write_text(text)
        before = file.stat()
        time.sleep(0.1)
        elsewhere.launcher.trace(*arguments)
        file.write_text(text.upper())
        done = elsewhere.launcher.replay(*arguments)
        assert done.stdout == text.upper().encode()
        if file.stat().st_ctime_ns == before.st_ctime_ns:
            return
    raise AssertionError("too slow to write to a file twice in a second")


@pytest.mark.parametrize("elsewhere", ["ext4 without nanoseconds"], indirect=True)
def test_what_is_old_enough_where_times_are_coarse(elsewhere: Bench) -> None:
    """Inputs can be told from what they become; nobody could tell who changed an output last."""
    (elsewhere.directory / "a").write_text("one\n")
    time.sleep(2.1)
    place = elsewhere.directory, elsewhere.env, Stdio()
    elsewhere.launcher.trace(("cat", "a"), *place)
    assert elsewhere.launcher.replay(("cat", "a"), *place).counters["hits"] == 1
    done = elsewhere.launcher.trace(("cp", "a", "b"), *place, options=("--explain",))
    assert done.refused["cp a b"].endswith("b, where times have no fractions of a second")
