"""What people do at a terminal, with pcache in front of the command: as without it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.conftest import open_directory
from tests.lib.differential import SETTLE_SECONDS
from tests.lib.verbs import VERBS

pytestmark = [pytest.mark.root, pytest.mark.system_files]

PLAIN = "plain"
PROMPT = "=> "
CTRL_C, CTRL_D, CTRL_Z = "\x03", "\x04", "\x1a"
ASK = "import getpass; print(len(getpass.getpass('word: ')))"
WATCH = "trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 0.05; done"


class Terminal:
    """A terminal at which commands are started with pcache in front."""

    def __init__(self, pcache: str, verb: str, directory: Path) -> None:
        self.directory = directory
        self.prefix = [] if verb == PLAIN else [pcache, *VERBS[verb]]
        self._started: list[pexpect.spawn[str]] = []

    def start(self, *words: str, prefix: bool = True) -> pexpect.spawn[str]:
        program, *arguments = [*(self.prefix if prefix else []), *words]
        env = {
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C",
            "HOME": "/",
            "TERM": "vt100",
            "PS1": PROMPT,
            "LESS": "",
            "XDG_CACHE_HOME": str(self.directory / "cache"),
        }
        child = pexpect.spawn(
            program, arguments, env=env, cwd=str(self.directory), timeout=20, encoding="utf-8"
        )
        self._started.append(child)
        return child

    def shell(self, *, prefix: bool) -> pexpect.spawn[str]:
        """An interactive shell at its first prompt, itself under pcache or not."""
        words = ("bash", "--norc", "--noprofile", "--noediting", "-i")
        child = self.start(*words, prefix=prefix)
        child.expect_exact(PROMPT)
        child.sendline("stty -echo")
        child.expect_exact(PROMPT)
        return child

    def close(self) -> None:
        for child in self._started:
            child.close(force=True)


@pytest.fixture(params=[PLAIN, *VERBS])
def terminal(request: pytest.FixtureRequest, pcache: str) -> Iterator[Terminal]:
    with open_directory() as directory:
        terminal = Terminal(pcache, request.param, directory)
        yield terminal
        terminal.close()


def line(child: pexpect.spawn[str], text: str) -> str:
    """What a shell prints for a line."""
    child.sendline(text)
    child.expect_exact(PROMPT)
    return str(child.before).replace("\r\n", "\n").strip()


def status(child: pexpect.spawn[str]) -> int:
    """Of a command that ends by itself: as a shell shows it."""
    child.expect(pexpect.EOF)
    child.close()
    return 128 + child.signalstatus if child.signalstatus else int(child.exitstatus)


def test_jobs_of_a_shell_under_pcache(terminal: Terminal) -> None:
    shell = terminal.shell(prefix=True)
    assert line(shell, "echo one | cat; (exit 3); echo $?") == "one\n3"
    assert "Running" in line(shell, "sleep 99 & jobs")
    shell.sendline("sleep 98")
    _wait_for(shell, "sleep 98")
    shell.send(CTRL_Z)
    shell.expect_exact("Stopped")
    shell.expect_exact(PROMPT)
    assert line(shell, "jobs | grep -c sleep") == "2"
    shell.sendline("fg %2")
    shell.expect_exact("sleep 98")
    _wait_for(shell, "sleep 98")
    shell.send(CTRL_C)
    shell.expect_exact(PROMPT)
    assert line(shell, "echo $?; kill %1; wait %1; echo $?").endswith("143")
    shell.sendline("exit 4")
    assert status(shell) == 4


@pytest.mark.alone
def test_pcache_as_a_job_of_a_shell(terminal: Terminal) -> None:
    shell = terminal.shell(prefix=False)
    words = " ".join([*terminal.prefix, "sh", "-c", "'echo ready; read x; echo got $x; exit 6'"])
    shell.sendline(words)
    shell.expect_exact("ready")
    shell.send(CTRL_Z)
    shell.expect_exact("Stopped")
    shell.expect_exact(PROMPT)
    shell.sendline("fg")
    shell.expect_exact("read x")
    shell.sendline("text")
    shell.expect_exact("got text")
    shell.expect_exact(PROMPT)
    assert line(shell, "echo $?") == "6"
    shell.sendline(words)
    shell.expect_exact("ready")
    shell.send(CTRL_C)
    shell.expect_exact(PROMPT)
    assert line(shell, "echo $?") == "130"
    shell.sendline(words.replace("read x", "sleep 0.5") + " &")
    shell.expect_exact("ready")
    assert "6" in line(shell, "wait $!; echo $?")


def test_a_password_is_asked_for_unseen(terminal: Terminal) -> None:
    child = terminal.start("/usr/bin/python3", "-c", ASK)
    child.expect_exact("word: ")
    assert child.waitnoecho(10)
    child.sendline("secret")
    child.expect_exact("6")
    assert "secret" not in str(child.before)
    assert status(child) == 0


def test_the_window_changes(terminal: Terminal) -> None:
    child = terminal.start("bash", "-c", WATCH)
    child.expect_exact("ready")
    child.setwinsize(33, 77)
    child.expect_exact("33 77")
    assert status(child) == 5


def test_a_pager(terminal: Terminal) -> None:
    (terminal.directory / "text").write_text("".join(f"line {n}\n" for n in range(1000)))
    child = terminal.start("less", "text")
    child.expect_exact("line 20")
    child.send("G")
    child.expect_exact("line 999")
    child.send("?line 500\n")
    child.expect_exact("line 500")
    child.send("q")
    assert status(child) == 0


def test_the_end_of_what_is_typed(terminal: Terminal) -> None:
    child = terminal.start("sort")
    child.sendline("pear\nfig")
    child.send(CTRL_D)
    child.expect_exact("pear\r\nfig\r\nfig\r\npear\r\n")
    assert status(child) == 0


@pytest.mark.parametrize("command", ["make", "sh make.sh"])
def test_a_build_is_brought_back_at_any_terminal(pcache: str, command: str) -> None:
    """GNU make asks for the names of its terminals (ttyname(3))."""
    with open_directory() as directory:
        (directory / "in").write_text("text\n")
        (directory / "Makefile").write_text("out: in\n\tcp in out\n")
        (directory / "make.sh").write_text("make --silent\n")
        time.sleep(SETTLE_SECONDS)
        build = f"rm -f out; {pcache} run {command}"
        first, other = (Terminal(pcache, PLAIN, directory) for _ in range(2))
        shells = [one.shell(prefix=False) for one in (first, other)]
        assert "brought back as a whole" not in line(shells[0], build)
        for shell in shells:
            assert "brought back as a whole" in line(shell, build)
        first.close()
        other.close()


# What libuv (node) and readline do at their start and end.
_REOPENS = """
import os, sys, termios
modes = termios.tcgetattr(0)
name = os.ttyname(1)
fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
os.set_blocking(fd, False)
os.write(1, b"first\\n")
os.write(fd, f"{open('in').read()}".encode())
os.write(2, b"last\\n")
termios.tcsetwinsize(fd, termios.tcgetwinsize(fd))
termios.tcsetattr(0, termios.TCSANOW, modes)
"""


def test_a_terminal_opened_by_its_name_is_the_one_handed_down(pcache: str) -> None:
    with open_directory() as directory:
        (directory / "in").write_text("text\n")
        (directory / "tell.py").write_text(_REOPENS)
        time.sleep(SETTLE_SECONDS)
        terminal = Terminal(pcache, PLAIN, directory)
        shell = terminal.shell(prefix=False)
        command = f"{pcache} run /usr/bin/python3 -IS tell.py"
        for text in ("text", "text", "other"):
            (directory / "in").write_text(f"{text}\n")
            time.sleep(SETTLE_SECONDS)
            shown = line(shell, command).splitlines()
            assert shown[:3] == ["first", text, "last"]
            back = "brought back as a whole" in line(shell, command).splitlines()[3]
            assert back, shown
        terminal.close()


def test_a_terminal_that_is_not_handed_down_is_not_cached(pcache: str) -> None:
    with open_directory() as directory:
        terminal = Terminal(pcache, PLAIN, directory)
        shell = terminal.shell(prefix=False)
        command = f"{pcache} run sh -c 'echo told >$0' $(tty) <in 2>/dev/null >out; tail -n 1 log"
        (directory / "in").touch()
        time.sleep(SETTLE_SECONDS)
        for _ in range(3):
            assert line(shell, command.replace("2>/dev/null", "2>log")).startswith("told")
        assert "not cacheable" in (directory / "log").read_text()
        terminal.close()


def test_modes_that_are_left_changed_are_not_cached(pcache: str) -> None:
    with open_directory() as directory:
        terminal = Terminal(pcache, PLAIN, directory)
        shell = terminal.shell(prefix=False)
        for mode in ("-ixon", "ixon", "-ixon"):
            assert "not cacheable" in line(shell, f"{pcache} run stty {mode}")
            shown = line(shell, "stty -a | grep -o '.ixon'")
            assert shown.strip() == mode
        terminal.close()


def test_a_name_of_a_terminal_is_an_input(pcache: str) -> None:
    with open_directory() as directory:
        (directory / "tell.sh").write_text("tty; tty <&2 >out; cat out\n")
        time.sleep(SETTLE_SECONDS)
        first, other = (Terminal(pcache, PLAIN, directory) for _ in range(2))
        shells = [one.shell(prefix=False) for one in (first, other)]
        told = [line(shell, "tty") for shell in shells]
        assert told[0] != told[1]
        for number in (0, 0, 1, 0, 1):
            shown = line(shells[number], f"{pcache} run sh tell.sh").splitlines()
            assert shown[:2] == [told[number]] * 2
        assert "brought back as a whole" in shown[2]
        first.close()
        other.close()


def _wait_for(shell: pexpect.spawn[str], command: str) -> None:
    """Until the foreground process group of the terminal runs a command."""
    wanted = command.replace(" ", "\0").encode() + b"\0"
    for _ in range(300):
        try:
            group = os.tcgetpgrp(shell.child_fd)
            if Path(f"/proc/{group}/cmdline").read_bytes() == wanted:
                return
        except OSError:
            pass
        time.sleep(0.02)
    pytest.fail(f"{command} is not in the foreground")
