"""`pcache trace`: run a command under the recorder, then store what can be vouched for."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import tempfile
import time
from types import FrameType

from .. import image
from ..counters import Counters
from ..errors import (
    CommandNotExecutable,
    CommandNotFound,
    PcacheError,
    PrivilegeError,
    StoreError,
)
from ..observe import program
from ..observe.executions import Execution
from ..observe.recording import Recording
from ..store.gc import collect_if_over
from ..store.index import Store
from ..user import User
from .analysis import Analysis

DEFAULT_RING_BYTES = 64 << 20
_PAUSE_MS = 5


class Options:
    """What the user asked of a trace.  `json`: file for counters, or None."""

    def __init__(
        self,
        *,
        as_root: bool = False,
        quiet: bool = False,
        explain: bool = False,
        json: str | None = None,
        ring_bytes: int = DEFAULT_RING_BYTES,
    ) -> None:
        self.as_root = as_root
        self.quiet = quiet
        self.explain = explain
        self.json = json
        self.ring_bytes = ring_bytes


class Trace:
    """One command under the recorder.  Raises CommandNotFound, CommandNotExecutable."""

    def __init__(self, command: list[bytes], options: Options) -> None:
        self._options = options
        self._counters = Counters()
        self._command = command
        self._user = self._find_user()
        self._path = self._find(command[0])
        self._interrupted: list[int] = []
        self._pid = 0

    def run(self) -> int:
        """Runs the command; its exit status.  Dies by the command's signal if it did."""
        try:
            if os.geteuid() != 0:
                raise PrivilegeError("recording needs root", "run: sudo pcache trace ...")
            recorder = program.Recorder(program.image(), self._options.ring_bytes)
            self._act_as_user()
            store = Store.open(self._user.store_dir, counters=self._counters)
            spool, copies = _spool(self._user.store_dir), _spool(self._user.store_dir)
        except PcacheError as error:
            _say(error.report())
            _say("pcache: the command runs without being recorded")
            return self._plainly()
        recording = Recording(recorder, spool)
        analysis = Analysis(store, spool, copies, self._counters)
        status = self._supervise(recording, analysis)
        try:
            with store:
                self._store(analysis, recording.failure)
                collect_if_over(store)
        except (PcacheError, OSError) as error:
            message = error if isinstance(error, PcacheError) else StoreError(str(error))
            _say(message.report())
            _say("pcache: not everything of this run was stored")
        self._report(status)
        return _end(status)

    # ---- the command ----

    def _find_user(self) -> User:
        if os.geteuid() != 0:
            return User.current()
        return User.invoking(self._options.as_root)

    def _find(self, name: bytes) -> bytes:
        try:
            return image.which(name, self._user.env.get(b"PATH"), os.getcwdb())
        except FileNotFoundError:
            raise CommandNotFound(f"{os.fsdecode(name)}: no such command") from None
        except OSError as error:
            raise CommandNotExecutable(
                f"{os.fsdecode(name)}: cannot be executed: {error.strerror}",
                "check its permissions: ls -l shows them",
            ) from None

    def _act_as_user(self) -> None:
        """From now on the permissions of the store's owner count; `_act_as_root` takes it back."""
        self._act_as_root()
        os.setgroups(self._user.groups)
        os.setegid(self._user.gid)
        os.seteuid(self._user.uid)

    @staticmethod
    def _act_as_root() -> None:
        os.seteuid(0)
        os.setegid(0)

    def _execute(self) -> int:
        """Becomes the command; returns an exit status if that fails."""
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by Python
            signal.signal(number, signal.SIG_DFL)
        try:
            if os.getuid() == 0:
                self._act_as_root()
            self._user.become()
            try:
                os.execve(self._path, self._command, self._user.env)
            except OSError as error:
                if error.errno != 8:  # ENOEXEC
                    raise
                path, argv, _ = image.resolve_command(
                    self._path, tuple(self._command), os.getcwdb()
                )
                os.execve(path, list(argv), self._user.env)
        except PcacheError as error:
            _say(error.report())
            return error.status
        except OSError as error:
            _say(f"pcache: {os.fsdecode(self._command[0])}: {error.strerror}")
            return 127 if error.errno == 2 else 126

    def _plainly(self) -> int:
        self._write_json(None)
        return self._execute()

    def _supervise(self, recording: Recording, analysis: Analysis) -> int:
        """Starts the command behind a gate, records it until it ends; its wait status."""
        gate, opener = os.pipe()
        pid = self._pid = os.fork()
        if pid == 0:
            status = 126
            try:
                os.close(opener)
                opened = os.read(gate, 1)
                os.close(gate)
                if opened:
                    status = self._execute()
            finally:
                os._exit(status)
        os.close(gate)
        # The terminal's signals go to the command too; how it takes them decides.
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self._note_signal)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._forward_signal)
        analysis.tree.root(pid)
        try:
            self._act_as_root()
            recording.start(pid)
        except OSError as error:
            recording.failure = f"the probes cannot be attached: {error}"
        self._act_as_user()
        os.write(opener, b"g")
        os.close(opener)
        ended = select.poll()
        ended.register(os.pidfd_open(pid), select.POLLIN)
        while not ended.poll(_PAUSE_MS):
            analysis.feed(*recording.news())
        status = os.waitpid(pid, 0)[1]
        recording.finish()
        self._act_as_root()
        self._counters.inc("events lost", recording.lost())
        recording.close()
        self._act_as_user()
        analysis.feed(*recording.news())
        return status

    def _note_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._interrupted.append(time.monotonic_ns())

    def _forward_signal(self, number: int, frame: FrameType | None) -> None:
        self._note_signal(number, frame)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    # ---- what it did ----

    def _store(self, analysis: Analysis, failure: str) -> None:
        lost = self._counters["events lost"]
        if lost:
            failure = f"{lost} kernel events did not fit into the ring"
        if failure:
            _say(f"pcache: nothing of this run is stored: {failure}")
        if lost:
            _say("pcache: a larger ring may help: --ring-size MIB")
        analysis.store(failure, self._interrupted, self._explain)

    def _explain(self, verdict: str, execution: Execution) -> None:
        if self._options.explain:
            _say(f"pcache: {verdict}   {execution.label()}")

    # ---- what the user sees ----

    def _report(self, status: int) -> None:
        if not self._options.quiet:
            counters = self._counters
            _say(
                f"pcache: trace: {counters['executions']} executions, "
                f"{counters['records stored']} stored, {counters['records known']} known, "
                f"{counters['uncacheable']} not cacheable, "
                f"{counters['bytes stored'] / 1e6:.1f} MB"
            )
        self._write_json(status)

    def _write_json(self, status: int | None) -> None:
        if self._options.json is None:
            return
        import json

        try:
            with open(self._options.json, "w", encoding="ascii") as file:
                json.dump({"status": status, "counters": self._counters.as_dict()}, file, indent=1)
                file.write("\n")
        except OSError as error:
            _say(f"pcache: cannot write {self._options.json}: {error.strerror}")


def _spool(directory: bytes) -> int:
    """A nameless file beside the store.  Raises StoreError."""
    try:
        with tempfile.TemporaryFile(dir=os.fsdecode(directory)) as file:
            return os.dup(file.fileno())
    except OSError as error:
        raise StoreError(
            f"cannot make a spool file in {os.fsdecode(directory)}: {error.strerror}"
        ) from error


def _end(status: int) -> int:
    number = status & 0x7F
    if not number:
        return status >> 8 & 0xFF
    from ..enforce import signals, syscalls

    syscalls.forbid_core(0)
    signals.die_by(number)
    return 128 + number


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, text.encode(errors="surrogateescape") + b"\n")
