"""When the recorded tree changed what.

Files are hashed some milliseconds after the event that made them interesting, while the tree runs
on.  Whether a later change had slipped in by then is known only when the events up to that moment
have been seen, so it is asked of this history at the end.
"""

from __future__ import annotations

from bisect import bisect_right


class History:
    """Times (CLOCK_MONOTONIC ns) by canonical name, of changes to content or existence and, apart
    from them, to mode and times."""

    def __init__(self) -> None:
        self._content: dict[bytes, list[int]] = {}
        self._attributes: dict[bytes, list[int]] = {}

    def add(self, name: bytes, ts: int, *, attributes: bool) -> None:
        times = (self._attributes if attributes else self._content).setdefault(name, [])
        if times and ts < times[-1]:  # events of two CPUs may come in the wrong order
            times.insert(bisect_right(times, ts), ts)
        else:
            times.append(ts)

    def last(self, name: bytes) -> int:
        """The last change of any kind so far; 0 if there was none."""
        return max(self._last(self._content, name), self._last(self._attributes, name))

    @staticmethod
    def _last(history: dict[bytes, list[int]], name: bytes) -> int:
        times = history.get(name)
        return times[-1] if times else 0

    def changed(self, name: bytes, after: int, until: int) -> bool:
        """Whether content or existence changed later than `after` and not later than `until`."""
        return _between(self._content.get(name), after, until)

    def touched(self, name: bytes, after: int, until: int) -> bool:
        """Whether anything changed in that time, mode and times included."""
        return self.changed(name, after, until) or _between(
            self._attributes.get(name), after, until
        )

    def changed_below(self, prefix: bytes, after: int, until: int) -> bool:
        """Whether anything whose name begins so was touched in that time."""
        return any(
            _between(times, after, until)
            for history in (self._content, self._attributes)
            for name, times in history.items()
            if name.startswith(prefix)
        )

    def withdraw(self, name: bytes, ts: int) -> None:
        """There was no change of content at that time after all."""
        times = self._content.get(name, [])
        if ts in times:
            times.remove(ts)

    def only_attributes_since(self, name: bytes, ts: int) -> bool:
        """Whether mode or times changed later than `ts`, and the content not since then: nor at
        `ts`, when the file may have been opened to be modified."""
        return self._last(self._attributes, name) > ts and not self._last(self._content, name) >= ts


def _between(times: list[int] | None, after: int, until: int) -> bool:
    if not times:
        return False
    index = bisect_right(times, after)
    return index < len(times) and times[index] <= until
