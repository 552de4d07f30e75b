"""When a file was changed, by its times and by the recorder's clock."""

from __future__ import annotations

import time

from pcache.linux.stamps import is_coarse, latest_ns
from pcache.observe.events import Stamp

GRAIN_NS = 20_000_000
"""A file whose ctime is younger than this when it is opened may change unseen (FACTS: measured
0 of all changes at 10 ms; kernel ticks are 4 ms)."""


class Clock:
    """Compares the recorder's CLOCK_MONOTONIC with the realtime of file stamps."""

    def __init__(self) -> None:
        self._offset = _realtime_offset()

    def realtime(self, monotonic: int) -> int:
        return monotonic + self._offset

    def stepped(self) -> bool:
        """Whether the system clock was set since: then no stamp can be judged."""
        return abs(_realtime_offset() - self._offset) > GRAIN_NS // 4

    def tells_changes(self, stamp: Stamp, ts: int) -> bool:
        """Whether any change after `ts` gives the file another version than it had then."""
        if stamp.queried and not is_coarse(stamp.st_ctime_ns):
            return True
        return self.realtime(ts) - latest_ns(stamp.st_ctime_ns) > GRAIN_NS

    def is_after(self, stamp_ns: int, ts: int) -> bool:
        """Whether the time of a file is certainly later than `ts`."""
        return stamp_ns > self.realtime(ts) + GRAIN_NS

    def is_at(self, stamp_ns: int, ts: int) -> bool:
        """Whether the time of a file may be that of what was done to it at `ts`."""
        return abs(stamp_ns - self.realtime(ts)) <= GRAIN_NS


def _realtime_offset() -> int:
    return time.clock_gettime_ns(time.CLOCK_REALTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
