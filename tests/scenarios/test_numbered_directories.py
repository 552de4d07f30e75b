"""Numbered directories: each run makes the next one, and removes old ones, as pytest does."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Result, Stdio

pytestmark = pytest.mark.root

NUMBERING = """\
import os, shutil, sys, time, uuid
root = os.path.abspath("pytest-of-me")
os.makedirs(root, 0o700, exist_ok=True)

def names():
    found = [one for one in os.listdir(root) if one.startswith("pytest-")]
    return {one: int(one[7:]) if one[7:].isdigit() else -1 for one in found}

number = max(names().values(), default=-1) + 1
new = f"{root}/pytest-{number}"
os.mkdir(new, 0o700)
try:
    os.unlink(f"{root}/pytest-current")
except OSError:
    pass
os.symlink(new, f"{root}/pytest-current")
with open(f"{new}/.lock", "x") as lock:
    lock.write(str(os.getpid()))
with open("input") as text, open(f"{new}/result", "w") as result:
    result.write(text.read().upper())
os.symlink(f"{new}/result", f"{new}/link")
print("made", *sys.argv[1:2], flush=True)
if "tell" in sys.argv:
    print(number)
os.unlink(f"{new}/.lock")
before = time.time() - 60 * 60 * 24 * 3
for one, at in names().items():
    path = f"{root}/{one}"
    if at > number - 3 or at < 0 or os.path.islink(path):
        continue
    if os.path.isfile(f"{path}/.lock"):
        if getattr(os.stat(f"{path}/.lock"), "st_" + "mtime") >= before:
            continue
        os.unlink(f"{path}/.lock")
    with open(f"{path}/.lock", "x"):
        pass
    garbage = f"{root}/garbage-{uuid.uuid4()}"
    os.rename(path, garbage)
    shutil.rmtree(garbage)
for one in os.listdir(root):
    if one.startswith("garbage-"):
        shutil.rmtree(f"{root}/{one}")
    elif os.path.islink(f"{root}/{one}") and not os.path.exists(f"{root}/{one}"):
        os.unlink(f"{root}/{one}")
"""
"""As _pytest/tmpdir.py and _pytest/pathlib.py; the time is asked for as by installed code, which is
not searched for that."""
COMMAND = ("/usr/bin/python3", "-IS", "numbering.py")
SHELL_COMMAND = " ".join(COMMAND)
CHANGES = {
    "nothing": (":", True),
    "other content in old ones": ("echo x >pytest-1/x; mkdir pytest-2/y", True),
    "one fewer": ("rm -r pytest-1", True),
    "none": ("rm -r *", False),
    "none but the link": ("rm -r pytest-[0-9]*", True),
    "an older one": ("mkdir -p pytest-0/x/y; chmod 0 pytest-0/x", True),
    "an old one in use": ("mkdir pytest-0; echo 1 >pytest-0/.lock", True),
    "an old one long in use": ("mkdir pytest-0; touch -d '4 days ago' pytest-0/.lock", False),
    "one in use among those that stay": ("echo 1 >pytest-2/.lock", True),
    "numbers that jump": ("mv pytest-3 pytest-12", True),
    "a file with a number": ("echo 1 >pytest-7", False),
    "a link with a number": ("ln -s pytest-2 pytest-7", False),
    "something else": ("echo 1 >else", False),
    "what others are removing": ("mkdir garbage-1", False),
    "a number that begins with 0": ("mkdir pytest-03", False),
    "another input": ("echo other >../input", False),
}


@pytest.fixture
def numbered(bench: Bench) -> Bench:
    """With three of them."""
    start(bench)
    return bench


def start(bench: Bench) -> None:
    directory = bench.directory
    subprocess.run(["rm", "-rf", *directory.iterdir()], check=True)
    (directory / "numbering.py").write_text(NUMBERING)
    (directory / "input").write_text("text\n")
    (directory / "other").write_text("1\n")
    for number in range(4):
        subprocess.run(COMMAND, cwd=directory, check=True, stdout=subprocess.DEVNULL)
        assert (directory / f"pytest-of-me/pytest-{number}").is_dir()
    time.sleep(SETTLE_SECONDS)


def run(bench: Bench, *command: str, stdio: Stdio | None = None) -> Result:
    time.sleep(SETTLE_SECONDS)
    options = ("-q", "--explain")
    return bench.launcher.run(command, bench.directory, bench.env, stdio or Stdio(), options)


def is_hit(result: Result) -> bool:
    return (result.counters["hits"], result.counters["misses"]) == (1, 0)


def tree(bench: Bench) -> dict[str, tuple[int, str]]:
    """Mode and content of all that is there."""
    found = {}
    for top, directories, files in os.walk(bench.directory):
        for name in (*directories, *files):
            path = Path(top, name)
            mode = path.lstat().st_mode
            content = os.readlink(path) if stat.S_ISLNK(mode) else ""
            if stat.S_ISREG(mode) and name != ".lock":  # the number of a process
                content = path.read_text()
            found[str(path.relative_to(bench.directory))] = mode, content
    return found


def both(bench: Bench, command: tuple[str, ...], prepare: Callable[[], None]) -> Result:
    """What the command does plainly and under pcache, from the same state: all the same."""
    prepare()
    plain = bench.launcher.plain(command, bench.directory, bench.env, Stdio())
    wanted = tree(bench)
    prepare()
    got = run(bench, *command)
    assert (got.status, got.stdout) == (plain.status, plain.stdout), got.own
    assert tree(bench) == wanted, got.own
    return got


@pytest.mark.parametrize("change", CHANGES)
def test_the_next_one(numbered: Bench, change: str) -> None:
    script, hit = CHANGES[change]
    recorded = run(numbered, *COMMAND)
    assert "recorded as a whole" in recorded.own or "stored" in recorded.own, recorded.own

    def prepare() -> None:
        start(numbered)
        place = numbered.directory / "pytest-of-me"
        subprocess.run(["bash", "-euc", script], cwd=place, check=True)

    got = both(numbered, COMMAND, prepare)
    assert is_hit(got) == hit, got.own


def test_again_and_again(numbered: Bench) -> None:
    run(numbered, *COMMAND)
    for number in range(5, 14):
        result = run(numbered, *COMMAND)
        assert is_hit(result), result.own
        place = numbered.directory / "pytest-of-me"
        there = {f"pytest-{number - ago}" for ago in range(3)} | {"pytest-current"}
        assert set(os.listdir(place)) == there
        assert os.readlink(place / "pytest-current") == str(place / f"pytest-{number}")
        assert os.readlink(place / f"pytest-{number}/link") == str(
            place / f"pytest-{number}/result"
        )
        assert (place / "pytest-current/result").read_text() == "TEXT\n"


@pytest.mark.parametrize(
    "script",
    [
        f"{SHELL_COMMAND}; cat other",
        f"{SHELL_COMMAND} one; {SHELL_COMMAND} two; cat other",
        "; ".join(f"{SHELL_COMMAND} {word}" for word in ("a", "b", "c", "d", "e")),
    ],
)
def test_below_something_else(numbered: Bench, script: str) -> None:
    """Its children come back where it does not, and it where nothing has changed."""
    command = ("sh", "-c", script)

    def other() -> None:
        start(numbered)
        (numbered.directory / "other").write_text("2\n")

    run(numbered, *command)
    assert is_hit(both(numbered, command, lambda: start(numbered)))
    edited = both(numbered, command, other)
    if "other" in script:
        assert not is_hit(edited)
        assert edited.counters["hits"] == script.count(SHELL_COMMAND), edited.own
    assert is_hit(both(numbered, command, other))


@pytest.mark.parametrize(
    "script",
    [
        f"ls pytest-of-me; {SHELL_COMMAND}",
        f"{SHELL_COMMAND}; ls pytest-of-me | wc -l",
        f"{SHELL_COMMAND} tell",
        f"(cd pytest-of-me; rm -r pytest-2); {SHELL_COMMAND}",
        f"cat pytest-of-me/pytest-1/result; rm -r pytest-of-me/pytest-1; {SHELL_COMMAND}",
        f"{SHELL_COMMAND}; readlink pytest-of-me/pytest-current",
        f"{SHELL_COMMAND}; ls -d pytest-of-me/pytest-3",
        f"{SHELL_COMMAND}; echo 1 >pytest-of-me/pytest-3/more",
    ],
)
def test_whoever_makes_more_of_the_numbers(numbered: Bench, script: str) -> None:
    command = ("sh", "-c", script)
    run(numbered, *command)

    def later(count: int) -> None:
        start(numbered)
        for at in range(count):
            subprocess.run(COMMAND, cwd=numbered.directory, check=True)
            (numbered.directory / f"pytest-of-me/pytest-{at + 2}/result").write_text(f"{at}\n")

    for count in (0, 1, 3):
        both(numbered, command, partial(later, count))


def test_what_cannot_be_printed_is_taken_back(numbered: Bench) -> None:
    """The program runs all the same, and finds what it would have found."""
    run(numbered, *COMMAND)
    command = ("sh", "-c", f"exec {SHELL_COMMAND} 2>/dev/null >/dev/full")
    both(numbered, command, lambda: start(numbered))
    assert not is_hit(both(numbered, command, lambda: start(numbered)))
