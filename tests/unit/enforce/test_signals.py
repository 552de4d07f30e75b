"""Signals, terminals and orphans: as with the plain command."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time

import pytest

from tests.conftest import open_directory
from tests.unit.enforce.lab import TIMEOUT, Lab


def read_until(fd: int, text: bytes) -> bytes:
    seen = b""
    while text not in seen:
        assert select.select([fd], [], [], TIMEOUT)[0], f"no {text!r} after {seen!r}"
        seen += os.read(fd, 4096)
    return seen


@pytest.mark.parametrize("number", [1, 2, 6, 9, 11, 13, 15])
def test_death_of_the_command_is_ours(lab: Lab, intercept: str, number: int) -> None:
    assert lab.run(["sh", "-c", f"kill -{number} $$"], intercept).status == -number
    assert lab.run([f"bin/hitsig-{number}"], intercept).status == -number


@pytest.mark.parametrize("number", [1, 2, 3, 10, 12, 15])
def test_signals_are_forwarded(lab: Lab, intercept: str, number: int) -> None:
    """Those of the terminal too: kill -INT of pcache's own pid, as a program that started it would
    do, ends the command."""
    script = f"trap 'exit 7' {number}; echo ready; while :; do sleep 0.05; done"
    with lab.start(["sh", "-c", script], intercept, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        read_until(process.stdout.fileno(), b"ready\n")
        process.send_signal(number)
        assert process.wait(TIMEOUT) == 7


def test_ignored_signals_stay_ignored(lab: Lab, intercept: str) -> None:
    """As under nohup(1): neither we nor the command take notice."""
    script = "echo ready; read x; exit 6"
    command, _ = lab.command(["sh", "-c", script], intercept)
    ignoring = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *command]
    with subprocess.Popen(
        ignoring, env=lab.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        read_until(process.stdout.fileno(), b"ready\n")
        process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        process.stdin.write(b"x\n")
        process.stdin.flush()
        assert process.wait(TIMEOUT) == 6


@pytest.mark.parametrize("key", ["\x03", "\x1c"], ids=["INT", "QUIT"])
def test_key_press_arrives_once(lab: Lab, intercept: str, key: str) -> None:
    """The terminal signals the whole group: passing that on would make it two."""
    name = "INT" if key == "\x03" else "QUIT"
    trap = f"trap 'echo caught' {name}; trap 'exit 7' USR1;"
    words = ["bash", "-c", f"{trap} echo ready; while :; do sleep 0.05; done"]
    command, _ = lab.command(words, intercept)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, lab.environment())
    read_until(terminal, b"ready")
    os.write(terminal, key.encode())
    seen = read_until(terminal, b"caught")
    time.sleep(0.3)
    os.kill(pid, signal.SIGUSR1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    while select.select([terminal], [], [], 0)[0]:
        try:
            seen += os.read(terminal, 4096)
        except OSError:
            break
    os.close(terminal)
    assert (status, seen.count(b"caught")) == (7, 1)


def test_hang_up_of_the_terminal(lab: Lab, intercept: str) -> None:
    """The kernel sends SIGHUP to the leader of the session alone, which is us."""
    with open_directory() as directory:
        script = (
            "trap 'echo hung up >$0/ended; exit 7' HUP; echo ready; while :; do sleep 0.05; done"
        )
        command, _ = lab.command(["sh", "-c", script, str(directory)], intercept)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(command[0], command, lab.environment())
        read_until(terminal, b"ready")
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        assert (directory / "ended").read_text() == "hung up\n"


@pytest.mark.parametrize("trap", ["", "trap 'echo caught; exit 7' INT;"], ids=["default", "trap"])
def test_interrupt_from_the_terminal(lab: Lab, intercept: str, trap: str) -> None:
    words = ["sh", "-c", f"{trap} echo ready; while :; do sleep 0.05; done"]
    command, _ = lab.command(words, intercept)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, lab.environment())
    read_until(terminal, b"ready")
    os.write(terminal, b"\x03")
    if trap:
        read_until(terminal, b"caught")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    assert status == (7 if trap else -signal.SIGINT)


def test_stop_and_continue(lab: Lab, intercept: str) -> None:
    """Ctrl-Z stops command and supervisor; after fg both go on."""
    words = ["sh", "-c", "echo ready; read x; bin/hit-7; exit $?"]
    command, _ = lab.command(words, intercept)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(lab.directory)
        # A process group of its own below a living parent, as a shell makes it: the stop signals
        # of a terminal do nothing in an orphaned group.
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            os.execve(command[0], command, lab.environment())
        try:
            os.setpgid(child, child)
        except PermissionError:
            pass  # it has executed already
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, child)
        stopped = os.waitpid(child, os.WUNTRACED)[1]
        os.write(1, b"stopped" if os.WIFSTOPPED(stopped) else b"ended")
        os.killpg(child, signal.SIGCONT)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    read_until(terminal, b"ready")
    os.write(terminal, b"\x1a")
    read_until(terminal, b"stopped")
    os.write(terminal, b"x\n")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    assert status == 7


def test_orphans_are_reaped(lab: Lab, intercept: str) -> None:
    """Whoever waits for a daemon to vanish by kill(pid, 0) sees it vanish."""
    script = (
        "pid=$(sh -c 'sleep 0.2 >/dev/null & echo $!'); "
        "n=0; while kill -0 $pid 2>/dev/null && test $n -lt 100; do sleep 0.1; n=$((n+1)); done; "
        "kill -0 $pid 2>/dev/null && echo there || echo gone"
    )
    assert lab.run(["bash", "-c", script], intercept).out == "gone\n"


def test_signal_dispositions_are_the_usual_ones(lab: Lab, intercept: str) -> None:
    """Python ignores SIGPIPE and SIGXFSZ, and the supervisor more: the command must not."""
    script = "grep SigIgn /proc/self/status"
    plain = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert lab.run(["sh", "-c", script], intercept).out == plain.stdout


def test_nothing_is_left_behind(lab: Lab, intercept: str) -> None:
    """The guardian ends with the last task."""
    mark = f"PCACHE_TEST_MARK={time.monotonic_ns()}"
    name, value = mark.split("=")
    lab.run(["sh", "-c", "bin/hit-0"], intercept, {name: value})
    deadline = time.monotonic() + TIMEOUT
    while left := marked(mark.encode()):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def marked(text: bytes) -> list[str]:
    """Processes whose environment has an entry."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if text in file.read().split(b"\0"):
                    found.append(pid)
        except OSError:
            continue
    return found
