"""Loading the probes in a thread, while the main one does other things: imports, mostly.

Light on imports itself, since what it waits for (the kernel makes a ring of 128 MiB in 25 ms,
measured) should begin as early as can be.
"""

from __future__ import annotations

import os

from pcache.errors import PrivilegeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from threading import Thread

    from pcache.probes.recorder import Recorder


class Probes:
    """Gets a `Recorder`.  Between `start` and `wait` this process must keep root's permissions:
    they are those of all its threads."""

    def __init__(self, ring_bytes: int) -> None:
        self._ring_bytes = ring_bytes
        self._thread: Thread | None = None
        self._recorder: Recorder | None = None
        self._failure: Exception | None = None

    def start(self) -> None:
        """Begins to load it.  Does nothing if it has begun, or without root."""
        if self._thread is None and os.getuid() == 0:
            from threading import Thread

            self._thread = Thread(target=self._load, name="pcache-load", daemon=True)
            self._thread.start()

    @property
    def started(self) -> bool:
        """Whether it is being loaded, or was."""
        return self._thread is not None

    def wait(self) -> None:
        """Until it is there or has failed."""
        if self._thread is not None:
            self._thread.join()

    def recorder(self) -> Recorder:
        """It is closed by `close`.  Raises PrivilegeError or EnvironmentProblem."""
        self.start()
        self.wait()
        if self._failure is not None:
            raise self._failure
        if self._recorder is None:
            raise PrivilegeError(
                "recording needs root",
                "put sudo in front: sudo pcache trace ..., sudo pcache run ...",
            )
        return self._recorder

    def close(self) -> None:
        """Closes it if there is one, now or when it comes.  The kernel takes 15 ms (measured)."""
        self.wait()
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    def _load(self) -> None:
        try:
            from pcache.probes.recorder import open_recorder

            self._recorder = open_recorder(self._ring_bytes)
        except Exception as error:  # raised in the thread that asks for it
            self._failure = error
