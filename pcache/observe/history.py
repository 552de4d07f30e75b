"""When the recorded tree changed what.

Files are hashed some milliseconds after the event that made them interesting, while the tree runs
on.  Whether a later change had slipped in by then is known only when the events up to that moment
have been seen, so it is asked of this history at the end.
"""

from __future__ import annotations

from bisect import bisect_right, insort

_LAST = b"\xff"
"""Sorts behind every absolute path."""


class History:
    """Times (CLOCK_MONOTONIC ns) by canonical name, of changes to content or existence and, apart
    from them, to mode and times."""

    def __init__(self) -> None:
        self._content: dict[bytes, list[int]] = {}
        self._attributes: dict[bytes, list[int]] = {}
        self._departures: dict[bytes, list[tuple[int, bytes]]] = {}
        """When what was at a name left it, and to where: another name, or empty if it is gone."""
        self._appends: dict[bytes, set[int]] = {}
        """Those of the changes to content by which what was there stays at the beginning."""
        self._opens: dict[bytes, set[int]] = {}
        """Those of the changes to content that are none if the file's times are what they were."""
        self._links: dict[bytes, list[int]] = {}
        """When what was at a name was given another one as well."""
        self._names: dict[bytes, list[tuple[int, int]]] = {}
        """When what was at a name at first was given another one (1), or lost such a one (-1)."""
        self._link_writes: list[int] = []
        """When any file of several names was changed, by whichever."""

    def add(self, name: bytes, ts: int, *, attributes: bool) -> None:
        times = (self._attributes if attributes else self._content).setdefault(name, [])
        if times and ts < times[-1]:  # events of two CPUs may come in the wrong order
            times.insert(bisect_right(times, ts), ts)
        else:
            times.append(ts)

    def moved(self, old: bytes, new: bytes, ts: int) -> None:
        """A file or directory was renamed; what was at its new name is gone."""
        self._depart(new, ts, b"")
        self._depart(old, ts, new)

    def linked(self, name: bytes, ts: int) -> None:
        """What is at a name was given another one: its ctime moved, and nothing else."""
        insort(self._links.setdefault(name, []), ts)

    def count_names(self, name: bytes, ts: int, more: int) -> None:
        """What was at a name before all links that were made to it has so many names more."""
        self._names.setdefault(name, []).append((ts, more))

    def names_gained(self, name: bytes, after: int, until: int) -> int:
        """How many of the names that it has are of that time."""
        return sum(more for ts, more in self._names.get(name, ()) if after < ts <= until)

    def was_linked(self, name: bytes, until: int) -> bool:
        """Whether what is at a name had been given another one by then."""
        return _between(self._links.get(name), 0, until)

    def link_written(self, ts: int) -> None:
        """A file of several names was changed, which is told of one of them."""
        insort(self._link_writes, ts)

    def links(self, name: bytes, after: int, until: int) -> list[int]:
        """When what was at `name` at the time `after` was given another one, wherever it was."""
        return [
            ts
            for at, since, last in self.way(name, after, until)
            for ts in self._links.get(at, ())
            if since < ts <= last
        ]

    def removed(self, name: bytes, ts: int) -> None:
        """What was at a name is gone, or is at a name that is not known."""
        self._depart(name, ts, b"")

    def _depart(self, name: bytes, ts: int, where: bytes) -> None:
        insort(self._departures.setdefault(name, []), (ts, where))

    def way(self, name: bytes, after: int, until: int) -> list[tuple[bytes, int, int]]:
        """Where what was at `name` at the time `after` has been since: (name, after, until), such
        that the renames themselves are in none of the times.  It ends where the file is gone."""
        passed: list[tuple[bytes, int, int]] = []
        while name:
            departures = self._departures.get(name, [])
            index = bisect_right(departures, (after, _LAST))
            if index == len(departures) or departures[index][0] > until:
                passed.append((name, after, until))
                break
            ts, where = departures[index]
            passed.append((name, after, ts - 1))
            name, after = where, ts
        return passed

    def left_alone(self, name: bytes, after: int, until: int) -> bool:
        """Whether what was at `name` at the time `after` was taken from there, and nothing else had
        been done to it."""
        stays = self.way(name, after, until)
        return len(stays) == 1 and stays[0][2] < until and not self.touched(*stays[0])

    def is_at(self, place: bytes, name: bytes, after: int, until: int) -> bool:
        """Whether what was at `name` at the time `after` was at `place` at the time `until`."""
        at, _, last = self.way(name, after, until)[-1]
        return at == place and last == until

    def changed_on_way(self, name: bytes, after: int, until: int) -> bool:
        """As `changed`, of what was at `name` at the time `after`, wherever it was until then."""
        return any(self.changed(*stay) for stay in self.way(name, after, until))

    def touched_on_way(self, name: bytes, after: int, until: int) -> bool:
        """The same as `touched`."""
        return any(self.touched(*stay) for stay in self.way(name, after, until))

    def knows(self, name: bytes) -> bool:
        """Whether there was any change so far."""
        return any(name in times for times in (self._content, self._attributes, self._links))

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

    def appended(self, name: bytes, ts: int) -> None:
        """By the change at that time nothing comes to be written but at the end of the file."""
        self._appends.setdefault(name, set()).add(ts)

    def opened(self, name: bytes, ts: int) -> None:
        """The change at that time is that a file was opened to be modified, and may not have
        been."""
        self._opens.setdefault(name, set()).add(ts)

    def first_written(self, checks: list[tuple[bytes, int, int]]) -> bytes | None:
        """The first name, of (name, after, until), that `changed`, by more than having been opened;
        None if there is none."""
        if self.first_changed(checks) is None:
            return None
        for name, after, until in checks:
            opens = self._opens.get(name, set())
            if any(after < ts <= until and ts not in opens for ts in self._content.get(name, ())):
                return name
        return None

    def only_appended(self, name: bytes, since: int, until: int) -> bool:
        """Whether the content at a name was appended to, and not changed in another way, from
        `since` until then, the changes of both moments included."""
        appends = self._appends.get(name)
        return appends is not None and all(
            ts in appends for ts in self._content[name] if since <= ts <= until
        )

    def first_changed(self, checks: list[tuple[bytes, int, int]]) -> bytes | None:
        """The first name, of (name, after, until), that `changed`; None if there is none."""
        content = self._content
        for name, after, until in checks:
            times = content.get(name)
            if times is not None and _between(times, after, until):
                return name
        return None

    def touched(self, name: bytes, after: int, until: int) -> bool:
        """Whether anything changed in that time, mode and times included."""
        return (
            self.changed(name, after, until)
            or _between(self._attributes.get(name), after, until)
            or (
                _between(self._links.get(name), after, until)
                and _between(self._link_writes, after, until)
            )
        )

    def changed_below(self, prefix: bytes, after: int, until: int) -> bool:
        """Whether anything whose name begins so was touched in that time."""
        return any(
            _between(times, after, until)
            for history in (self._content, self._attributes, self._links)
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
        last = max(self._last(self._attributes, name), self._last(self._links, name))
        return last > ts and not self._last(self._content, name) >= ts


def _between(times: list[int] | None, after: int, until: int) -> bool:
    if not times:
        return False
    index = bisect_right(times, after)
    return index < len(times) and times[index] <= until
