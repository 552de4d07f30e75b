"""Ctrl-C at random moments: the command ends as it would without pcache, and so does pcache."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from tests.lib.differential import Bench
from tests.lib.tree import Snapshot
from tests.lib.verbs import VERBS

pytestmark = [pytest.mark.root, pytest.mark.system_files]

CTRL_C = b"\x03"
PATIENCE_S = 30.0
SCRIPT = """\
for n in 1 2 3 4 5 6; do seq $n 3000 >data.$n; sort -r data.$n >sorted.$n; done
mkdir out; mv data.* out; wc -l sorted.1; echo end
"""
STAYS = ("sh", "-c", f"{SCRIPT}: >ended; exec sleep 600")
PRINTED = {b"3000", b"sorted.1", b"end"}
ENDS = ("sh", "-c", f"{SCRIPT}: >ended")


class Typed:
    """A command as somebody starts it at a terminal of its own."""

    def __init__(self, words: Sequence[str], bench: Bench) -> None:
        self.said = b""
        self._terminal, theirs = os.openpty()
        # -c: the terminal is its controlling one from before the command is executed.
        self._process = subprocess.Popen(
            ["setsid", "-c", *words],
            cwd=bench.directory,
            env=bench.env,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._reader = Thread(target=self._read)
        self._reader.start()
        while not self.ended and os.tcgetpgrp(self._terminal) != self._process.pid:
            time.sleep(0.0005)

    def _read(self) -> None:
        with suppress(OSError):  # EIO: nobody has the terminal any more
            while data := os.read(self._terminal, 65536):
                self.said += data

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def type(self, keys: bytes) -> None:
        os.write(self._terminal, keys)

    def wait(self, name: str) -> int:
        """Its status.  `name`: what the command lines of pcache's processes have in them."""
        deadline = time.monotonic() + PATIENCE_S
        try:
            status = self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"goes on: {self._remaining(name)}, {self.said!r}") from None
        while left := self._remaining(name):
            assert time.monotonic() < deadline, f"left behind: {left}, {self.said!r}"
            time.sleep(0.002)
        self._reader.join()
        return status

    def _remaining(self, name: str) -> list[bytes]:
        """Command lines of its processes."""
        found = []
        for entry in os.listdir("/proc"):
            with suppress(ProcessLookupError, FileNotFoundError):
                if entry.isdigit() and int(entry) != os.getpid():
                    line = Path(f"/proc/{entry}/cmdline").read_bytes()
                    if line and (
                        os.getsid(int(entry)) == self._process.pid or os.fsencode(name) in line
                    ):
                        found.append(line)
        return found

    def wait_for(self, path: Path) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not path.exists():
            assert time.monotonic() < deadline and not self.ended, self.said
            time.sleep(0.001)

    def wait_for_python(self, name: str) -> None:
        """Until pcache is being started below sudo, which loses keys while it starts."""
        deadline = time.monotonic() + PATIENCE_S
        while not any(b"python" in line.split(b"\0")[0] for line in self._remaining(name)):
            assert time.monotonic() < deadline and not self.ended, self.said

    def close(self) -> None:
        if not self.ended:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        os.close(self._terminal)


@contextmanager
def typed(words: Sequence[str], bench: Bench) -> Iterator[Typed]:
    command = Typed(words, bench)
    try:
        yield command
    finally:
        command.close()


def interrupted(
    words: Sequence[str], bench: Bench, start: Path, name: str, rounds: int, by_sudo: bool = False
) -> Iterator[tuple[int, bool, bytes]]:
    """For each Ctrl-C the status, whether the script had come to its end, and what was printed.

    The moments are chosen by how long all takes; half of them are while it starts.
    """
    source = random.Random(rounds)
    whole = 0.0
    for number in range(-2, rounds):
        bench.states.restore(start)
        bench.own()
        ended = bench.directory / "ended"
        with typed(words, bench) as one:
            if by_sudo:
                one.wait_for_python(name)
            since = time.monotonic()
            if number < 0:
                one.wait_for(ended)
            else:
                time.sleep(source.uniform(0, whole / (1 if number % 2 else 4)))
            one.type(CTRL_C)
            status = one.wait(name)
            whole = max(whole, time.monotonic() - since) if number < 0 else whole
        yield status, ended.exists(), one.said.replace(b"^C", b"")
        assert list(bench.directory.rglob(".pcache-*")) == []


@pytest.mark.rounds(8, 250)
@pytest.mark.parametrize("command", [STAYS, ENDS], ids=["stays", "ends"])
@pytest.mark.parametrize("verb", VERBS)
def test_ctrl_c(bench: Bench, rounds: int, verb: str, command: tuple[str, ...]) -> None:
    pcache = bench.launcher.pcache
    name = str(Path(pcache).parent)
    start = bench.states.save()
    with typed([pcache, *VERBS["run"], *ENDS], bench) as recording:
        assert recording.wait(name) == 0
    plain = Snapshot.take(bench.directory, 0, 0)
    words = [pcache, *VERBS[verb], *command]
    for status, ended, said in interrupted(words, bench, start, name, rounds):
        assert status == -signal.SIGINT or (status == 0 and ended and command is ENDS), said
        assert set(said.split()) <= PRINTED, said
    bench.states.restore(start)
    with typed([pcache, *VERBS["replay"], *ENDS], bench) as replay:
        assert replay.wait(name) == 0
    assert plain.difference(Snapshot.take(bench.directory, 0, 0)) == []


@pytest.mark.rounds(4, 100)
@pytest.mark.parametrize("verb", ["run", "trace"])
@pytest.mark.parametrize("way", ["sudo", "service"])
def test_of_a_user(user_bench: Bench, service: str, rounds: int, verb: str, way: str) -> None:
    """With sudo's own terminal in between, or the recorder in another tree of processes."""
    name = f"interrupted-{os.getpid()}"
    *command, script = STAYS
    words = [user_bench.launcher.pcache, verb, "-q", *command, f": {name}; {script}"]
    words = ["sudo", *words] if way == "sudo" else ["env", f"PCACHE_SOCKET={service}", *words]
    exact = user_bench.launcher.words(words, user_bench.env)
    start = user_bench.states.save()
    for status, _, said in interrupted(exact, user_bench, start, name, rounds, way == "sudo"):
        assert status == -signal.SIGINT and set(said.split()) <= PRINTED, (status, said)
