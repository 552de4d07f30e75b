"""Descriptors and terminals that were handed down: the result is that of the plain command."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from tests.scenarios.test_handed_down import Place

pytestmark = pytest.mark.root

PERL_FLAGS = "perl -MFcntl -e 'print +(fcntl(STDOUT, F_GETFL, 0) & O_APPEND) ? 1 : 0, qq(\\n)'"
PERL_OFFSET = "perl -e 'print sysseek(STDOUT, 0, 1) + 0, qq(\\n)'"
PYTHON_LIST = "/usr/bin/python3 -IS -c 'import os; print(sorted(os.listdir(\"/proc/self/fd\")))'"


@pytest.fixture
def place(tmp_path: Path, pcache: str) -> Place:
    return Place(tmp_path, pcache)


@pytest.mark.parametrize(
    ("script", "usual", "other"),
    [
        ("echo hi >&3 || echo no", "", "3>f"),
        ("[ -e /dev/fd/5 ] && echo there || echo not", "", "5</dev/null"),
        ("[ -e /proc/self/fd/5 ] && echo there || echo not", "", "5</dev/null"),
        ("test -t 3; echo $?; cat <&3 || echo no", "", "3</dev/null"),
        ("/usr/bin/python3 -IS -c 'import os; print(os.get_inheritable(3))'", "", "3</dev/null"),
        ("/usr/bin/python3 -IS -c 'import fcntl; fcntl.fcntl(3, 0)' || echo no", "", "3</dev/null"),
        (PYTHON_LIST, "", "3</dev/null"),
        ("echo hi >&3; echo out", "3>&1", "3>f"),
        ("echo hi >&3; echo out", "3>f", "3>&1"),
        ("echo hi >&4; echo out >&3", "3>f 4>f", "3>f 4>&3"),
        ("echo hi >&4; echo out >&3", "3>f 4>&3", "3>g 4>f"),
        ("echo hi >&2", "2>f", "2>&1"),
        (PERL_FLAGS, ">f", ">>f"),
        (PERL_OFFSET, ">f", ">>f"),
        (PERL_OFFSET, ">>f", ">>f"),
        ("/usr/bin/python3 -IS -c 'import os; print(os.lseek(0, 0, 1))'", "<g", "<h"),
        ("sh -c 'read a; echo $a'", "<g", "<h"),
    ],
)
def test_descriptors(place: Place, script: str, usual: str, other: str) -> None:
    def line(redirections: str, *prefix: str) -> tuple[str, ...]:
        """`other` runs where g and h have another offset, and f has content."""
        before = "printf '1\\n2\\n' >g; ln -f g h; exec <h; read x;" if redirections == "<h" else ""
        before += "printf '1\\n2\\n' >g;" if redirections == "<g" else ""
        before += (
            "echo old >f;" if redirections in (">>f", "3>&1") and redirections == other else ""
        )
        opened = "" if redirections == "<h" else redirections
        return ("sh", "-c", f'{before} "$@" {opened}; cat f 2>/dev/null; rm -f f', "sh", *prefix)

    command = ("sh", "-c", f"{script}; :")
    trace = (place.pcache, "trace", "-q", "--as-root")
    replay = (place.pcache, "replay", "-q")
    for circumstances in (usual, other, usual):
        expected = place.run(*line(circumstances), *command)
        assert place.run(*line(circumstances, *replay), *command) == expected
        assert place.run(*line(circumstances, *trace), *command) == expected
        assert place.run(*line(circumstances, *replay), *command) == expected
    # Of a command below, which is found by the supervisor.
    for circumstances in (other, usual):
        below = ("sh", "-c", f"sh -c '$0; :' {circumstances if '<' not in circumstances else ''}")
        expected = place.run(*below, script)
        assert place.run(*replay, *below, script) == expected
        (place.directory / "f").unlink(missing_ok=True)


def in_terminal(place: Place, columns: int, erase: int, *command: str) -> bytes:
    """What a command prints on a terminal of that width and erase character."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    modes = termios.tcgetattr(theirs)
    modes[6][termios.VERASE] = bytes([erase])
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
    env = {
        "PATH": "/usr/bin:/bin",
        "XDG_CACHE_HOME": f"{place.directory}/cache",
        "TERM": "xterm",
    }
    with subprocess.Popen(
        command, cwd=place.directory, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        found = b""
        try:
            while data := os.read(ours, 4096):
                found += data
        except OSError:
            pass
        assert process.wait() == 0
    os.close(ours)
    return found


@pytest.mark.parametrize(
    "script",
    ["stty size", "stty -a", "tput cols", "test -t 1 && echo terminal", "tty -s && echo y"],
)
def test_terminal(place: Place, script: str) -> None:
    trace = (place.pcache, "trace", "-q", "--as-root", "sh", "-c", f"{script}; :")
    replay = (place.pcache, "replay", "-q", "sh", "-c", f"{script}; :")
    for columns, erase in ((80, 8), (40, 8), (80, 127), (80, 8)):
        plain = in_terminal(place, columns, erase, "sh", "-c", f"{script}; :")
        for command in (replay, trace, replay):
            assert in_terminal(place, columns, erase, *command) == plain


def test_a_terminal_of_the_same_size_is_a_hit(place: Place) -> None:
    counters = place.directory / "counters"
    command = ("--json", str(counters), "sh", "-c", "stty size; tput cols")
    in_terminal(place, 80, 8, place.pcache, "trace", "-q", "--as-root", *command)
    in_terminal(place, 80, 8, place.pcache, "replay", "-q", *command)
    assert '"hits": 1' in counters.read_text()
