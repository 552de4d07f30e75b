"""The shape of a session in time: who ran when, what each waited for, and what all of it did."""

from __future__ import annotations

from heapq import heappop, heappush

from pcache.history.entries import HIT, NONDETERMINISTIC, REFUSED
from pcache.history.log import UNKNOWN
from pcache.model import Kind
from pcache.report import words
from pcache.report.why import refusals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcache.history.entries import Entry
    from pcache.history.sessions import Session
    from pcache.report.why import Refusal

Interval = tuple[int, int]
"""Beginning and end, ns since the session began."""


class Segment:
    """A time in which an execution went on while none of those that it started did."""

    __slots__ = ("end_ns", "number", "slot", "start_ns")

    def __init__(self, number: int, start_ns: int, end_ns: int) -> None:
        self.number = number
        self.start_ns = start_ns
        self.end_ns = end_ns
        self.slot = 0
        """As many slots as programs went on at the same time."""


class Dependency:
    """An input, and what would have to run if it changed."""

    __slots__ = ("executions", "path", "wall_ns")

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.executions = 0
        self.wall_ns = 0
        """What these take, without what they start."""


class Shape:
    """All of it; only of executions whose end is known."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.entries = entries = session.entries
        self.children: list[list[int]] = [[] for _ in entries]
        for number, entry in enumerate(entries):
            if entry.parent != UNKNOWN:
                self.children[entry.parent].append(number)
        self.own_ns = [0] * len(entries)
        """Of each execution, the time in which none that it started went on."""
        self.segments = self._find_segments()
        self.critical = self._find_critical_path()
        self.refusals: list[Refusal] = refusals(entries)

    @property
    def slots(self) -> int:
        return 1 + max((segment.slot for segment in self.segments), default=-1)

    def waited_ns(self, number: int) -> tuple[int, int, int]:
        """Of an execution: on a processor, for executions that it started, for something else."""
        entry = self.entries[number]
        cpu = min(entry.cpu_ns, self.own_ns[number])
        return cpu, entry.wall_ns - self.own_ns[number], self.own_ns[number] - cpu

    def _span(self, number: int) -> Interval | None:
        entry = self.entries[number]
        return (entry.start_ns, entry.end_ns) if entry.wall_ns > 0 else None

    def _find_segments(self) -> list[Segment]:
        found = []
        for number in range(len(self.entries)):
            span = self._span(number)
            if span is None:
                continue
            at = span[0]
            spans = [inner for child in self.children[number] if (inner := self._span(child))]
            for start, end in [*sorted(spans), (span[1], span[1])]:
                if start > at:
                    found.append(Segment(number, at, min(start, span[1])))
                at = max(at, end)
        for segment in found:
            self.own_ns[segment.number] += segment.end_ns - segment.start_ns
        found.sort(key=_start)
        free: list[int] = []
        busy: list[Interval] = []
        slots = 0
        for segment in found:
            while busy and busy[0][0] <= segment.start_ns:
                heappush(free, heappop(busy)[1])
            if free:
                segment.slot = heappop(free)
            else:
                segment.slot, slots = slots, slots + 1
            heappush(busy, (segment.end_ns, segment.slot))
        return found

    def _find_critical_path(self) -> list[Segment]:
        """From the end backwards: whoever ended last before is who was waited for."""
        if not self.entries or self._span(0) is None:
            return []
        path: list[Segment] = []
        # An explicit stack: a tree may be deeper than Python's.
        stack: list[tuple[int, int, int]] = []  # execution, since when, position among its children
        number, until = 0, self.entries[0].end_ns
        ordered = {0: self._by_end(0)}
        position = len(ordered[0])
        while True:
            entry = self.entries[number]
            while position and self.entries[ordered[number][position - 1]].end_ns > until:
                position -= 1
            if position:
                child = ordered[number][position - 1]
                end = self.entries[child].end_ns
                if end < until:
                    path.append(Segment(number, end, until))
                stack.append((number, self.entries[child].start_ns, position - 1))
                number, until = child, end
                ordered[number] = self._by_end(number)
                position = len(ordered[number])
                continue
            if until > entry.start_ns:
                path.append(Segment(number, entry.start_ns, until))
            if not stack:
                return path[::-1]
            number, until, position = stack.pop()

    def _by_end(self, number: int) -> list[int]:
        ended = [child for child in self.children[number] if self._span(child)]
        return sorted(ended, key=lambda child: self.entries[child].end_ns)

    def colour(self, number: int) -> str:
        """`hit`, `ran`, or `bad` if it is not cacheable, nor is what contains it."""
        entry = self.entries[number]
        if entry.verdict == HIT:
            return "hit"
        refused = entry.verdict in (REFUSED, NONDETERMINISTIC)
        return "bad" if refused and not entry.covered(self.entries) else "ran"

    def costs(self) -> dict[str, int]:
        """What executions take, without what they start, by colour; ns."""
        found = {"hit": 0, "ran": 0, "bad": 0}
        for number, own in enumerate(self.own_ns):
            found[self.colour(number)] += own
        return found

    def dependencies(self) -> list[Dependency]:
        """The files that executions read: first what would make most run again."""
        found: dict[bytes, Dependency] = {}
        for number, entry in enumerate(self.entries):
            cost = entry.saved_ns if entry.verdict == HIT else self.own_ns[number]
            for kind, path in self.session.keys(entry):
                if kind in (Kind.CONTENT, Kind.LCONTENT):
                    at = found.get(path)
                    if at is None:
                        at = found[path] = Dependency(path)
                    at.executions += 1
                    at.wall_ns += cost
        return sorted(found.values(), key=lambda at: (-at.wall_ns, at.path))

    def slowest(self, limit: int) -> list[int]:
        """The executions with most time of their own."""
        numbers = sorted(range(len(self.entries)), key=lambda number: -self.own_ns[number])
        return numbers[:limit]

    def label(self, number: int) -> str:
        return words.command(self.entries[number].argv)


def _start(segment: Segment) -> Interval:
    return segment.start_ns, segment.number


def by_program(shape: Shape, path: Sequence[Segment]) -> list[tuple[str, int]]:
    """The time of segments by the name of the program, the longest first."""
    found: dict[str, int] = {}
    for segment in path:
        name = words.program(_entry(shape, segment))
        found[name] = found.get(name, 0) + segment.end_ns - segment.start_ns
    return sorted(found.items(), key=lambda pair: -pair[1])


def _entry(shape: Shape, segment: Segment) -> Entry:
    return shape.entries[segment.number]
