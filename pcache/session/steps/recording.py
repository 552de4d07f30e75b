"""The recording of one command, from the recorder's events to the store."""

from __future__ import annotations

import errno
import os
import time

from pcache.counters import Counters
from pcache.errors import PcacheError, StoreError
from pcache.linux.user import User
from pcache.session.steps.load_probes import Probes
from pcache.session.steps.reporting import say
from pcache.store.database import DamagedIndex
from pcache.store.index import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.observe.executions import Execution
    from pcache.session.steps.analyse import Analysis
    from pcache.session.steps.options import Options
    from pcache.session.steps.spooling import Spooler

_A_TICK = 8 << 20
"""Bytes that are taken in by one of `tick`, while the command waits for who ticks."""
_KERNEL_COUNTERS = {
    "events": "events",
    "repeated": "events repeated",
    "lost": "events lost",
    "bytes": "bytes of events",
}


class Recording:
    """The recording of one command: `load`, `open_gate`, `tick` while it runs, `finish`."""

    nothing = "nothing of this run is stored"
    """What it means for the user if the recording is worthless."""

    def __init__(
        self, user: User, options: Options, store: Store, counters: Counters, probes: Probes
    ) -> None:
        self._user = user
        self._options = options
        self._store = store
        self._counters = counters
        self._timing = counters.timing
        self._probes = probes
        self._interrupted: list[int] = []
        self._root = 0
        self._ended = False
        """Whether all events have come."""
        self._spooler: Spooler
        self._analysis: Analysis | None = None
        self.failed = False
        """Whether the records could not be stored, which the user has been told."""
        self.damaged_index = False
        """Whether the index was found damaged: it should be set aside."""

    def load(self) -> None:
        """Loads the probes.  Raises PrivilegeError, EnvironmentProblem or StoreError."""
        from pcache.session.steps.spooling import Spooler

        self._spool, self._copies = _spool(self._user.store_dir), _spool(self._user.store_dir)
        since = self._timing.now()
        self._probes.ready()
        self._timing.spent("probes", since)
        self._spooler = Spooler(self._probes, self._spool)

    @property
    def begun(self) -> bool:
        """Whether the command may have run."""
        return self._root > 0

    @property
    def analysis(self) -> Analysis:
        """Made when the command runs already: it is most of what has to be imported."""
        if self._analysis is None:
            from pcache.session.steps.analyse import Analysis

            self._analysis = Analysis(self._store, self._spool, self._copies, self._counters)
            self._analysis.tree.root(self._root)
        return self._analysis

    @property
    def seen(self) -> tuple[int, int]:
        """How many processes run, and how many executions there were: as far as is known."""
        if self._analysis is None:
            return 0, 0
        return self._analysis.tree.running, len(self._analysis.tree.executions)

    def open_gate(self, pid: int) -> bytes:
        """Starts recording a process that waits to execute its command: what it has to call itself
        before (syscalls.set_name), empty if it is not recorded."""
        self._root = pid
        try:
            return self._spooler.start()
        except PcacheError as error:
            self._spooler.failure = str(error)
            return b""

    def tick(self) -> None:
        """Takes in what was recorded since the last time."""
        if self._probes.lost and not self._spooler.failure:
            # Nothing of it will be kept: what comes now need not be taken in.
            self._spooler.failure = "kernel events did not fit into the ring"
        if self._spooler.failure:
            return
        since = self._timing.now()
        try:
            analysis = self.analysis
            used = time.thread_time_ns()
            fed = 0
            while self._ended or fed < _A_TICK:
                blob, offset = self._spooler.news()
                if not blob:
                    break
                analysis.feed(blob, offset)
                fed += len(blob)
            self._analysed(used)
            self._timing.spent("analysis", since)
        except PcacheError as error:
            self._spooler.failure = str(error)
            self.damaged_index |= isinstance(error, DamagedIndex)
        except Exception as error:  # a bug of ours must not end the command's run
            if "PCACHE_DEBUG" in os.environ:
                from traceback import print_exc

                print_exc()
            self._spooler.failure = f"internal error: {error!r}"

    def _analysed(self, used: int) -> None:
        """Counts the processor's time since `used`: what passes is time of the command too."""
        self._counters.inc("microseconds of analysis", (time.thread_time_ns() - used) // 1000)

    def interrupted(self) -> None:
        """A signal came from outside: what runs now must not be stored."""
        self._interrupted.append(time.monotonic_ns())

    def finish(self) -> None:
        """Ends the recording, stores what can be vouched for, and closes the store."""
        ended_ns = time.monotonic_ns()
        since = self._timing.now()
        counts = self._spooler.finish()
        self._ended = True
        self._probes.leave()
        for name, counter in _KERNEL_COUNTERS.items():
            self._counters.inc(counter, counts.get(name, 0))
        self._timing.spent("last events", since)
        try:
            self._keep(counts.get("lost", 0))
        finally:
            self._probes.close()
            passed_ns = time.monotonic_ns() - ended_ns
            self._counters.inc("milliseconds after", passed_ns // 1_000_000)

    def _keep(self, lost: int) -> None:
        try:
            self.tick()
            failure = self._spooler.failure
            if lost:
                # However it was told before.
                failure = f"{lost} kernel events did not fit into the ring"
            if failure:
                say(f"pcache: {self.nothing}: {failure}")
            if lost:
                say("pcache: a larger ring may help: --ring-size MIB")
            since = self._timing.now()
            used = time.thread_time_ns()
            self.conclude(failure, self._interrupted)
            self._analysed(used)
            since = self._timing.spent("records", since)
            self._make_room()
            since = self._timing.spent("room", since)
            self._store.close()
            self._timing.spent("closing", since)
        except (PcacheError, OSError) as error:
            self.failed = True
            self.damaged_index |= isinstance(error, DamagedIndex)
            if self._spooler.failure:
                return  # one message is enough: a full disk fails more than once
            message = error if isinstance(error, PcacheError) else StoreError(str(error))
            say(f"{message.report()}\npcache: {self.nothing}")

    def conclude(self, failure: str, interrupted: list[int]) -> None:
        """What becomes of the recording, at its end: see `Analysis.settled`."""
        self.analysis.store(failure, interrupted, self._explain)

    def _make_room(self) -> None:
        from pcache.store.gc import collect_if_over

        try:
            collect_if_over(self._store)
        except StoreError as error:
            self.damaged_index |= isinstance(error, DamagedIndex)
            say(error.report())

    def _explain(self, verdict: str, execution: Execution) -> None:
        if self._options.explain:
            say(f"pcache: {verdict}   {execution.label()}")


def _spool(directory: bytes) -> int:
    """A nameless file beside the store.  Raises StoreError."""
    try:
        return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
            raise StoreError(
                f"cannot make a spool file in {os.fsdecode(directory)}: {error.strerror}"
            ) from error
    path = directory + b"/spool.%d.%d" % (os.getpid(), time.monotonic_ns())
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    return fd
