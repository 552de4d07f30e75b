"""Whether there is to be a live line; what draws it is imported only then."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from pcache.counters import Counters
    from pcache.session.steps.progress import Progress

State = tuple[int, int, int, int]
"""Programs that run now (negative: nobody knows), that ran or run, that were brought back, and what
those took when they were recorded (ns)."""

ALWAYS, NEVER = "always", "never"


def deciding(counters: Counters, running: int = -1) -> State:
    """The state of a session that decides what runs."""
    saved_ns = counters["milliseconds skipped"] * 1_000_000
    return running, counters["misses"], counters["hits"], saved_ns


class Live:
    """A live line while something is done, if there is to be one."""

    def __init__(self, mode: str, state: Callable[[], State]) -> None:
        self._mode = mode
        self._state = state
        self._progress: Progress | None = None

    def __enter__(self) -> None:
        if _wanted(self._mode):
            from pcache.session.steps.progress import Progress

            self._progress = Progress(self._state)
            self._progress.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()


def _wanted(mode: str) -> bool:
    if mode == NEVER or not os.isatty(2):
        return False
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    return mode == ALWAYS or not (dumb or "CI" in os.environ)
