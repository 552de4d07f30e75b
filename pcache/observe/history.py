"""When the recorded tree changed what.

Files are hashed some milliseconds after the event that made them interesting, while the tree runs
on.  Whether a later change had slipped in by then is known only when the events up to that moment
have been seen, so it is asked of this history at the end.
"""

from __future__ import annotations

from bisect import bisect_right


class History:
    """Times (CLOCK_MONOTONIC ns, ascending up to the jitter between CPUs) by canonical name."""

    def __init__(self) -> None:
        self._times: dict[bytes, list[int]] = {}

    def add(self, name: bytes, ts: int) -> None:
        times = self._times.setdefault(name, [])
        if times and ts < times[-1]:
            times.insert(bisect_right(times, ts), ts)
        else:
            times.append(ts)

    def last(self, name: bytes) -> int:
        """The last change so far; 0 if there was none."""
        times = self._times.get(name)
        return times[-1] if times else 0

    def between(self, name: bytes, after: int, until: int) -> bool:
        """Whether there was a change later than `after` and not later than `until`."""
        times = self._times.get(name)
        if not times:
            return False
        index = bisect_right(times, after)
        return index < len(times) and times[index] <= until

    def before(self, name: bytes, ts: int) -> bool:
        """Whether there was a change earlier than `ts`."""
        times = self._times.get(name)
        return bool(times) and times is not None and times[0] < ts
