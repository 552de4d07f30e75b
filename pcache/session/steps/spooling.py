"""Taking events out of the ring into a spool file, in a thread, while the command runs."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque

from pcache.probes.recorder import Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BYTES_PER_SECOND = 4 << 30
"""Four times what `cat` writes (measured): a pause in which that would fill the ring is safe."""
_PAUSES = (0.005, 0.025)
"""Seconds, least and most.  Whoever asks for `news` takes the events out too, and more often: each
time the thread wakes up costs 50 us of what the command could use (measured)."""
_BUSY_BYTES = 1 << 20  # taken at once: do not pause before taking more
_PIECE = 8 << 20
"""Bytes analysed at once, about: see `Tree.feed`, which looks ahead in them."""
SPOOL_LIMIT = 4 << 30
"""Bytes; a recording that needs more is given up, the command is not."""


class Spooler:
    """Copies the ring to `spool` (a descriptor) in a thread until `finish`."""

    def __init__(self, recorder: Recorder, spool: int) -> None:
        self._recorder = recorder
        self._spool = spool
        self._size = self._told = 0
        self._ends: deque[int] = deque()
        """Where each piece that was taken ends, and `news` has not told it."""
        self._draining = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._copy, name="pcache-ring", daemon=True)
        self.failure = ""
        """Why the spool is incomplete; empty if it is not."""

    def start(self, pid: int) -> None:
        """Attaches the probes and follows `pid`, which must not have started its command yet."""
        self._recorder.track(pid)
        self._recorder.attach()
        # A thread inherits the mask: signals for the process must go to the thread that heeds them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def finish(self) -> None:
        """Detaches, and returns when all that was recorded is in the spool."""
        self._recorder.detach()
        self._stop.set()
        if self._thread.ident is not None:  # it was started
            self._thread.join()

    def counts(self) -> dict[str, int]:
        """See `Recorder.counts`."""
        return self._recorder.counts()

    def news(self) -> Iterator[tuple[bytes, int]]:
        """What was recorded since the last call (whole records), and its offset in the spool; piece
        by piece, as the command may be far ahead."""
        if not self._stop.is_set():
            self._drain(last=False)
        size = self._size
        while self._told < size:
            start = end = self._told
            while end < size and end - start < _PIECE:
                end = self._ends.popleft()
            self._told = end
            yield os.pread(self._spool, end - start, start), start

    def _copy(self) -> None:
        while True:
            last = self._stop.is_set()
            taken = self._drain(last=last)
            if last and not taken:
                return
            if taken < _BUSY_BYTES and not last:
                self._stop.wait(self._pause())

    def _pause(self) -> float:
        least, most = _PAUSES
        return min(most, max(least, self._recorder.rings.size / _BYTES_PER_SECOND))

    def _drain(self, *, last: bool) -> int:
        """Bytes taken out of the ring; after a failure they go nowhere."""
        with self._draining:
            return self._take(last)

    def _take(self, last: bool) -> int:
        if self._size > SPOOL_LIMIT:
            self.failure = self.failure or f"it needs more than {SPOOL_LIMIT >> 30} GiB of spool"
        try:
            spool = None if self.failure else self._spool
            taken = self._recorder.rings.drain(spool, self._size, last=last)
        except OSError as error:
            self.failure = f"cannot write the spool: {error.strerror}"
            return 0
        if not self.failure:
            if taken:
                self._ends.append(self._size + taken)
            self._size += taken  # published last: `news` reads up to here
        return taken
