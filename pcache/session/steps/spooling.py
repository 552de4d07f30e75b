"""Taking events from the recorder into a spool file, in a thread, while the command runs."""

from __future__ import annotations

import os
import threading
import time
from _signal import SIG_BLOCK, SIG_SETMASK, pthread_sigmask, valid_signals

from pcache.errors import EnvironmentProblem, PcacheError
from pcache.recorder.ring import complete
from pcache.session.steps.load_probes import Probes

_BYTES_PER_SECOND = 4 << 30
"""Four times what `cat` writes (measured): a pause in which that would fill the area is safe."""
_PAUSES = (0.005, 0.025)
"""Seconds, least and most.  Whoever asks for `news` takes the events out too, and more often: each
time the thread wakes up costs 50 us of what the command could use (measured)."""
_BUSY_BYTES = 1 << 20  # taken at once: do not pause before taking more
_NEWS_BYTES = 1 << 20
"""malloc keeps as many blocks as large as what small objects lie between (measured)."""
_LAST_S = 0.001
"""Between two looks for the last events."""
_PATIENCE_S = 10.0
"""For them: if none has come for so long, none will."""
SPOOL_LIMIT = 4 << 30
"""Bytes; a recording that needs more is given up, the command is not."""


class Spooler:
    """Copies events to `spool` (a descriptor) in a thread until `finish`."""

    def __init__(self, probes: Probes, spool: int) -> None:
        self._probes = probes
        self._spool = spool
        self._size = self._told = 0
        self._taken_at = 0.0
        """When events came the last time, time.monotonic."""
        self._draining = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._copy, name="pcache-ring", daemon=True)
        self.failure = ""
        """Why the spool is incomplete; empty if it is not."""

    def start(self) -> bytes:
        """Attaches the probes.  What the process that is to be recorded must call itself.

        Raises EnvironmentProblem.
        """
        self._probes.attach()
        # A thread inherits the mask: signals for the process must go to the thread that heeds them.
        before = pthread_sigmask(SIG_BLOCK, valid_signals())
        try:
            self._thread.start()
        except RuntimeError as error:
            raise EnvironmentProblem("there is no thread to be had for what is recorded") from error
        finally:
            pthread_sigmask(SIG_SETMASK, before)
        return self._probes.name

    def finish(self) -> dict[str, int]:
        """Detaches, and returns when all that was recorded is in the spool: the kernel's counters,
        none if that failed."""
        if self._thread.ident is None:
            return {}
        counts = None
        try:
            self._probes.ask_to_finish()
            self._taken_at = time.monotonic()
            while counts is None:
                counts = self._probes.finished(_LAST_S)
                self._drain()
                if time.monotonic() - self._taken_at > _PATIENCE_S:
                    raise EnvironmentProblem("the recorder does not answer any more")
        except (PcacheError, OSError) as error:
            self.failure = self.failure or str(error)
        self._stop.set()
        self._thread.join()
        self._drain()
        return counts or {}

    def news(self) -> tuple[bytes, int]:
        """What was recorded since the last call (whole records), and its offset in the spool; not
        more at once than fits into memory easily."""
        if not self._stop.is_set():
            self._drain()
        start, end = self._told, self._size
        if end - start > _NEWS_BYTES:
            blob = os.pread(self._spool, _NEWS_BYTES, start)
            blob = blob[: complete(blob)]
        else:
            blob = os.pread(self._spool, end - start, start)
        self._told = start + len(blob)
        return blob, start

    def _copy(self) -> None:
        while not self._stop.is_set():
            if self._drain() < _BUSY_BYTES:
                self._stop.wait(self._pause())

    def _pause(self) -> float:
        least, most = _PAUSES
        return min(most, max(least, self._probes.area_bytes / _BYTES_PER_SECOND))

    def _drain(self) -> int:
        """Bytes taken out of the area; after a failure they go nowhere."""
        with self._draining:
            return self._take()

    def _take(self) -> int:
        if self._size > SPOOL_LIMIT:
            self.failure = self.failure or f"it needs more than {SPOOL_LIMIT >> 30} GiB of spool"
        try:
            spool = None if self.failure else self._spool
            taken = self._probes.take(spool)
        except OSError as error:
            self.failure = f"cannot write the spool: {error.strerror}"
            return 0
        except PcacheError as error:
            self.failure = str(error)
            return 0
        if taken:
            self._taken_at = time.monotonic()
        if not self.failure:
            self._size += taken  # published last: `news` reads up to here
        return taken
