"""The live line, in real terminals: it disturbs nothing of what a command prints."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SUDO, open_directory

pytestmark = [pytest.mark.root, pytest.mark.system_files]

ROWS, COLUMNS = 14, 90
PRINTS = (
    "for n in 1 2 3 4 5 6 7 8 9; do echo line $n; sleep 0.4; done; printf left; sleep 1; echo right"
)
SIZE = f"stty rows {ROWS} columns {COLUMNS}; "
LINE = re.compile(r"^ pcache: [\d.]+ m?s, (\d+ running, )?\d+ ran, \d+ brought back")


class Screen:
    """A terminal of tmux, with a shell in it."""

    def __init__(self, directory: Path) -> None:
        self._socket = str(directory / "tmux")
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS),
                   f"env -i PATH=/usr/bin:/bin TERM=screen HOME={directory} PS1='$ '"
                   f" XDG_CACHE_HOME={directory}/cache sh")  # fmt: skip
        self.wait_for(r"^\$$")

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-S", self._socket, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def type(self, text: str) -> None:
        self._tmux("send-keys", text)

    def enter(self, *words: str) -> None:
        self._tmux("send-keys", "-l", shlex.join(words))
        self._tmux("send-keys", "Enter")

    def rows(self) -> list[str]:
        """What is to be seen, row by row."""
        return self._tmux("capture-pane", "-p").split("\n")[:ROWS]

    def all_lines(self) -> list[str]:
        """With what has scrolled away."""
        return self._tmux("capture-pane", "-p", "-S", "-").rstrip("\n").split("\n")

    def resize(self, rows: int) -> None:
        self._tmux("resize-window", "-x", str(COLUMNS), "-y", str(rows))

    def wait_for(self, pattern: str, seconds: float = 30) -> list[str]:
        """The rows as soon as one of them matches."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            rows = self.rows()
            if any(re.search(pattern, row) for row in rows):
                return rows
            time.sleep(0.05)
        raise AssertionError(f"{pattern!r} does not appear: {self.rows()}")

    def close(self) -> None:
        self._tmux("kill-server")


@pytest.fixture
def directory() -> Iterator[Path]:
    with open_directory() as made:
        yield made


@pytest.fixture
def screen(directory: Path) -> Iterator[Screen]:
    made = Screen(directory)
    yield made
    made.close()


@pytest.mark.parametrize("verb", ["run", "trace", "replay"])
def test_it_has_a_row_of_its_own(pcache: str, screen: Screen, verb: str) -> None:
    screen.enter(*([] if verb == "replay" else SUDO), pcache, verb, "sh", "-c", PRINTS)
    rows = screen.wait_for(LINE.pattern)
    (place,) = (number for number, row in enumerate(rows) if LINE.match(row))
    assert place == ROWS - 1
    rows = screen.wait_for("left")
    assert LINE.match(rows[-1])
    screen.wait_for(r"pcache: \d+ (of|programs)")
    rows = screen.wait_for(r"^\$$")
    assert not any(LINE.match(row) for row in rows)
    lines = screen.all_lines()
    at = lines.index("line 1")
    assert lines[at : at + 10] == [f"line {n}" for n in range(1, 10)] + ["leftright"]
    assert lines[at + 10].startswith("pcache: ")
    # The whole screen scrolls again, its last row too.
    screen.enter("seq", "100")
    screen.wait_for("^100$")
    end = time.monotonic() + 10
    while screen.rows()[-3:] != ["99", "100", "$"]:
        assert time.monotonic() < end, screen.rows()
        time.sleep(0.05)


def test_it_moves_with_the_size_of_the_window(pcache: str, screen: Screen) -> None:
    screen.enter(pcache, "replay", "sh", "-c", "sleep 6; echo done")
    screen.wait_for(LINE.pattern)
    screen.resize(ROWS + 6)
    end = time.monotonic() + 4
    while not LINE.match(screen._tmux("capture-pane", "-p").split("\n")[ROWS + 5]):
        assert time.monotonic() < end
        time.sleep(0.1)
    screen.wait_for("^done")


@pytest.mark.parametrize("verb", ["run", "trace", "replay"])
def test_the_shell_has_the_whole_screen_while_it_is_stopped(
    pcache: str, screen: Screen, verb: str
) -> None:
    screen.enter(pcache, verb, "sh", "-c", "sleep 5; echo done")
    screen.wait_for(LINE.pattern)
    screen.type("C-z")
    rows = screen.wait_for(r"^\$$")
    assert not any(LINE.match(row) for row in rows)
    screen.enter("seq", "100")
    screen.wait_for("^100$")
    end = time.monotonic() + 10
    while screen.rows()[-3:] != ["99", "100", "$"]:
        assert time.monotonic() < end, screen.rows()
        time.sleep(0.05)
    screen.enter("fg")
    rows = screen.wait_for(LINE.pattern)
    assert LINE.match(rows[-1])
    screen.wait_for("^done")
    screen.wait_for(r"^pcache: .*program")
    assert not any(LINE.match(row) for row in screen.wait_for(r"^\$$"))


def test_whole_screens_are_left_alone(pcache: str, screen: Screen, directory: Path) -> None:
    (directory / "text").write_text("".join(f"row {n}\n" for n in range(1000)))
    screen.enter(pcache, "replay", "less", str(directory / "text"))
    screen.wait_for("row 5")
    time.sleep(3)
    rows = screen.rows()
    assert not any(LINE.match(row) for row in rows)
    assert rows[ROWS - 2] == f"row {ROWS - 2}"
    screen.type("q")
    screen.wait_for("pcache: ")


def test_through_script(pcache: str, directory: Path) -> None:
    """What script(1) writes down has every byte of the command in its order."""
    inner = f"{SIZE}{pcache} replay --progress always sh -c {shlex.quote(PRINTS)}"
    record = directory / "typescript"
    env = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "TERM": "xterm", "SHELL": "/bin/sh"}
    subprocess.run(["script", "-qefc", inner, record], env=env, check=True, capture_output=True)
    text = record.read_bytes().split(b"\n", 1)[1]
    assert b"\x1b7" in text
    drawn = re.compile(
        rb"(?:\x1bD\x1bM\x1b7\x1b\[1;\d+r\x1b8)?"  # room is made
        rb"\x1b7(?:\x1b\[r)?\x1b\[\d+;1H\x1b\[2K(?:\x1b\[7m[^\x1b]*\x1b\[0m)?\x1b8"
    )
    left = drawn.sub(b"", text)
    assert b"\x1b" not in left
    expected = b"".join(b"line %d\r\n" % n for n in range(1, 10)) + b"leftright\r\n"
    assert left.startswith(expected)


@pytest.mark.parametrize(
    ("options", "variables"),
    [(("--no-progress",), {}), (("-q",), {}), ((), {"CI": "1"}), ((), {"TERM": "dumb"}),
     (("--progress=never",), {})],
)  # fmt: skip
def test_where_there_is_none(
    pcache: str, directory: Path, options: tuple[str, ...], variables: dict[str, str]
) -> None:
    inner = SIZE + shlex.join([pcache, "replay", *options, "sh", "-c", "sleep 2.7; echo done"])
    env = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "TERM": "xterm", **variables}
    command = ["script", "-qefc", inner, directory / "typescript"]
    subprocess.run(command, env=env, check=True, capture_output=True)
    text = (directory / "typescript").read_bytes()
    assert b"done\r\n" in text and b"\x1b" not in text


def test_not_into_a_pipe(pcache: str, directory: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "TERM": "xterm"}
    command = [pcache, "replay", "--progress", "always", "sh", "-c", "sleep 2.7"]
    done = subprocess.run(command, env=env, check=True, capture_output=True)
    assert b"\x1b" not in done.stderr


def test_bad_use(pcache: str) -> None:
    command = [pcache, "run", "--progress", "often", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "one of auto, always, never" in done.stderr
