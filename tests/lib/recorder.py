"""Records commands with the real recorder and gives what became of them.

One recorder is loaded for all tests; each `record` attaches it, runs one command and analyses its
events as `pcache trace` does.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from xxhash import xxh3_128_digest

from pcache.counters import Counters
from pcache.enforce import syscalls
from pcache.linux.user import User
from pcache.model import Kind, Output, Record, Uncacheable
from pcache.observe.executions import Execution
from pcache.probes.syscall_table import NUMBERS
from pcache.session.steps.analyse import Analysis
from pcache.session.steps.load_probes import Probes
from pcache.session.steps.spooling import Spooler
from pcache.store import fingerprint
from pcache.store.index import Store

PROBES = Path(__file__).resolve().parent.parent / "probes"
RING_BYTES = 128 << 20
TIMEOUT = 30
SETTLE_SECONDS = 0.04
"""What was written less than the clock's grain before it is read is not trusted."""

PLAIN_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


class Ref:
    """The result of an earlier call of the `calls` probe, by its position."""

    def __init__(self, index: int) -> None:
        self.index = index


class Buffer:
    """Zeroed memory."""

    def __init__(self, size: int) -> None:
        self.size = size


class Vector:
    """An array of struct iovec."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces


class Strings(Vector):
    """An array of strings ended by a null pointer."""


Argument = int | str | bytes | Path | Ref | Buffer | Vector
FORK = "-"


def call(name: str, *arguments: Argument) -> str:
    """One argument of the `calls` probe."""
    return ",".join([str(NUMBERS[name]), *map(_word, arguments)])


def _word(argument: Argument) -> str:
    match argument:
        case int():
            return f"i{argument}"
        case Ref():
            return f"r{argument.index}"
        case Buffer():
            return f"b{argument.size}"
        case Vector():
            letter = "a" if isinstance(argument, Strings) else "v"
            return letter + ":".join(piece.hex() for piece in argument.pieces)
        case bytes():
            return "s" + argument.hex()
        case _:
            return "s" + os.fsencode(argument).hex()


NAP = call("nanosleep", struct.pack("<qq", 0, 60_000_000), 0)
"""Long enough for what the calls before it looked at to be hashed."""


class Seen:
    """One execution and what is kept of it: a record, or the reasons why there is none."""

    def __init__(
        self, execution: Execution, result: Record | list[Uncacheable], store: Store, label: str
    ) -> None:
        self.execution = execution
        self.label = label
        self._result = result
        self._store = store

    @property
    def reasons(self) -> dict[str, str]:
        """Reason -> evidence; empty for what is cacheable."""
        if isinstance(self._result, Record):
            return {}
        return {uncacheable.reason: uncacheable.evidence for uncacheable in self._result}

    @property
    def record(self) -> Record:
        assert isinstance(self._result, Record), self.reasons
        return self._result

    @property
    def facts(self) -> dict[tuple[bytes, bytes], bytes]:
        return {(fact.kind, fact.path): fact.value for fact in self.record.facts}

    def fact(self, kind: bytes, path: Path | bytes | str) -> bytes | None:
        return self.facts.get((kind, os.fsencode(path)))

    def content(self, path: Path | bytes | str) -> bytes | None:
        return self.fact(Kind.CONTENT, path)

    @property
    def outputs(self) -> dict[bytes, Output]:
        return {output.path: output for output in self.record.outcome.outputs}

    def output(self, path: Path | str) -> tuple[str, int, bytes] | None:
        """(kind, mode, content) of one postcondition; of a file, new or written in place, `f` and
        the bytes themselves."""
        output = self.outputs.get(os.fsencode(path))
        if output is None:
            return None
        content = output.content
        if output.kind in (b"f", b"w"):
            return "f", output.mode, self._store.blobs.get_bytes(content)
        return output.kind.decode(), output.mode, content

    @property
    def status(self) -> int:
        return self.record.outcome.status

    @property
    def chunks(self) -> list[tuple[int, bytes]]:
        """(descriptor, bytes) in the order written, runs merged."""
        outcome = self.record.outcome
        data = self._store.blobs.get_bytes(outcome.data) if outcome.data else b""
        chunks, at = [], 0
        for fd, length in outcome.chunks:
            chunks.append((fd, data[at : at + length]))
            at += length
        return chunks

    def stream(self, fd: int) -> bytes:
        return b"".join(data for number, data in self.chunks if number == fd)

    @property
    def strong(self) -> bytes:
        """The strong fingerprint."""
        facts = self.record.facts
        paths = fingerprint.path_set([(fact.kind, fact.path) for fact in facts])
        values = [fact.value for fact in facts]
        return fingerprint.strong_fingerprint(self.record.weak, paths.digest, values)


class Recorded:
    """What one recording gave, in the order of the executions' start."""

    def __init__(self, all_seen: list[Seen], status: int, lost: int) -> None:
        self.all = all_seen
        self.status = status
        """Wait status of the command."""
        self.lost = lost

    @property
    def root(self) -> Seen:
        return self.all[0]

    def find(self, words: str) -> Seen:
        """The only execution whose command line has these words in it, as the last one started
        (a shell's own command line holds those of all it starts)."""
        found = [seen for seen in self.all[1:] if words in seen.label]
        assert len(found) == 1, (words, [seen.label for seen in self.all])
        return found[0]


class Lab:
    def __init__(self, directory: Path, ring_bytes: int = RING_BYTES) -> None:
        self.directory = directory
        self._ring_bytes = ring_bytes
        self.store = Store.open(os.fsencode(directory / "store"), counters=Counters())

    def close(self) -> None:
        self.store.close()

    def probe(self, name: str, *options: str) -> str:
        """The compiled tests/probes/NAME.c."""
        target = self.directory / name
        if not target.exists():
            source = str(PROBES / f"{name}.c")
            subprocess.run(
                ["gcc", "-O1", "-pthread", "-Wall", "-Wextra", "-o", target, source, *options],
                check=True,
            )
        return str(target)

    @staticmethod
    def value(content: str | bytes, mode: int = 0o644) -> bytes:
        """Value of a CONTENT fact for a regular file."""
        data = content.encode() if isinstance(content, str) else content
        return b"f%o:%d:%d:%b" % (mode, os.geteuid(), os.getegid(), xxh3_128_digest(data))

    def calls(self, *calls: str, **keywords: object) -> Recorded:
        """Records the `calls` probe making these system calls."""
        return self.record(self.probe("calls"), *calls, **keywords)  # type: ignore[arg-type]

    def shell(self, text: str, **keywords: object) -> Recorded:
        """Records `sh -c`."""
        return self.record("/bin/sh", "-c", text, **keywords)  # type: ignore[arg-type]

    def record(
        self,
        *command: str | bytes | Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        fds: Mapping[int, int] | None = None,
        prepare: Callable[[], object] | None = None,
        during: Callable[[int], object] | None = None,
        capture: bool = False,
        late: bool = False,
    ) -> Recorded:
        """Runs a command under the recorder.

        fds: descriptors of the command (0, 1 and 2 are /dev/null unless given).  `prepare` is
        called in the child before the command, `during` with its pid in this process once it runs.
        capture: stdout is a file, as what is written to /dev/null is not kept.
        late: no event is looked at before the command has ended.
        """
        time.sleep(SETTLE_SECONDS)
        executable = os.fsencode(command[0])
        argv = [os.fsencode(word) for word in command]
        with _spool(self.directory) as spool, _spool(self.directory) as copies:
            analysis = Analysis(self.store, spool.fileno(), copies.fileno(), Counters())
            gc.enable()  # the tests' process lives on
            probes = Probes(self._ring_bytes)
            probes.fork(User.current())
            probes.ready()
            recording = Spooler(probes, spool.fileno())
            gate, opener = os.pipe()
            pid = os.fork()
            if pid == 0:
                if capture:
                    fds = {
                        1: os.open(
                            self.directory / "stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                        ),
                        **(fds or {}),
                    }
                _become(gate, opener, executable, argv, cwd, env, fds or {}, prepare)
            os.close(gate)
            analysis.tree.root(pid)
            os.write(opener, recording.start())
            os.close(opener)
            if during is not None:
                during(pid)
            status, lost = self._follow(pid, recording, analysis, late=late)
            probes.close()
            # Before they are settled, which gives up what the labels are made of.
            labels = {seen: seen.label() for seen in analysis.tree.executions}
            seen = [
                Seen(execution, result, self.store, labels[execution])
                for execution, result in analysis.settled("", ())
            ]
            return Recorded(seen, status, lost)

    @staticmethod
    def _follow(pid: int, recording: Spooler, analysis: Analysis, *, late: bool) -> tuple[int, int]:
        pidfd = os.pidfd_open(pid)
        ended = select.poll()
        ended.register(pidfd, select.POLLIN)
        deadline = time.monotonic() + TIMEOUT
        while not ended.poll(5):
            if not late:
                analysis.feed(*recording.news())
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
        os.close(pidfd)
        status = os.waitpid(pid, 0)[1]
        lost = recording.finish()["lost"]
        news = recording.news()
        while news[0]:
            analysis.feed(*news)
            news = recording.news()
        return status, lost


def _spool(directory: Path) -> tempfile._TemporaryFileWrapper[bytes]:
    return tempfile.TemporaryFile(dir=directory)  # type: ignore[return-value]


def _become(
    gate: int,
    opener: int,
    executable: bytes,
    argv: list[bytes],
    cwd: Path,
    env: Mapping[str, str] | None,
    fds: Mapping[int, int],
    prepare: Callable[[], object] | None,
) -> None:
    """In the child: waits for the gate, then becomes the command; never returns."""
    try:
        os.close(opener)
        syscalls.set_name(os.read(gate, 16))
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        # Out of the way first: a source may have the number of a target.
        high = {fd: os.dup(source) for fd, source in fds.items()}
        moved = {fd: _at_least(source, 100) for fd, source in high.items()}
        for fd in range(3):
            os.dup2(moved.get(fd, null), fd)
        for fd, source in moved.items():
            os.dup2(source, fd)
        os.chdir(cwd)
        os.umask(0o022)
        if prepare is not None:
            prepare()
        os.execve(executable, argv, dict(env if env is not None else PLAIN_ENV))
    finally:
        os._exit(125)


def _at_least(fd: int, lowest: int) -> int:
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest)
