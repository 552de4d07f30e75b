"""Finds modification times in contents, in the encodings that programs write them in.

Times are few and contents are large, so that the search is one of whole pieces by C functions
(8 ms a MB): of numbers the three or four most significant bytes are compared first, by a bit for
each of eight groups of times; of texts their shape, once all digits are alike.
"""

from __future__ import annotations

import os
import struct
import time

LARGEST = 64 << 20
"""Bytes: larger contents are not searched, and count as holding every time."""

_PIECE = 1 << 17
_OVERLAP = 32
"""Bytes: more than any encoding is long."""
_SECOND_NS = 1_000_000_000
_EARLY = 1 << 27
"""Seconds: the encodings of times before (in 1974) are short or mostly zeros."""
_FILETIME = 11_644_473_600
"""Seconds from 1601, where Windows and 7z count from, to 1970."""
_DOS_YEARS = range(1980, 2108)
_ALIKE = bytes.maketrans(b"123456789/.", b"000000000--")
_MARK = b"\0" + b"\1" * 255
_DIGITS = b"00000000"
_SHAPES = (_DIGITS, b"00:00:00", b"0000-00-00")
_LENGTHS = tuple(range(8, 13))
"""Of texts."""
_BEGINNING = 3

_NONE: frozenset[int] = frozenset()
_Times = set[int]
_Patterns = dict[bytes, _Times]


def _note(patterns: _Patterns, pattern: bytes, times: _Times) -> None:
    """More times that look like this.  A set that is kept is never changed: most are shared by all
    the patterns of one time, as sets are large."""
    known = patterns.get(pattern)
    patterns[pattern] = times if known is None else known | times


class _Numbers:
    """Binary encodings whose `depth` most significant bytes are not all zeros."""

    def __init__(self, depth: int) -> None:
        self._groups = [bytearray(256) for _ in range(depth)]
        self._little: dict[int, _Patterns] = {}
        self._big: dict[int, _Patterns] = {}
        self._loose: dict[int, _Patterns] = {}

    def add(self, number: int, times: _Times) -> None:
        big = self._mark(number)
        _note(self._big.setdefault(len(big), {}), big, times)
        _note(self._little.setdefault(len(big), {}), big[::-1], times)

    def add_loose(self, number: int, times: _Times) -> None:
        """One that does not tell the second, with its least significant byte first."""
        big = self._mark(number)
        _note(self._loose.setdefault(len(big), {}), big[::-1], times)

    def _mark(self, number: int) -> bytes:
        big = number.to_bytes((number.bit_length() + 7) // 8, "big")
        bit = 1 << ((big[0] * 5 + big[1]) & 7)
        for groups, byte in zip(self._groups, big, strict=False):
            groups[byte] |= bit
        return big

    def mark_between(self, lowest: int, highest: int) -> None:
        """Has `marks` tell of every number between these too, both included."""
        while lowest <= highest:
            size = (lowest.bit_length() + 7) // 8
            last = min(highest, (1 << 8 * size) - 1)
            shift = max(size - len(self._groups), 0) * 8
            for top in range(lowest >> shift, (last >> shift) + 1):
                self._mark(top)
            lowest = last + 1

    def marks(self, data: bytes) -> int:
        """A byte for each of a content, not 0 where a number may begin or end."""
        first, *others = [
            int.from_bytes(data.translate(bytes(groups)), "little") for groups in self._groups
        ]
        little = big = first
        for at, other in enumerate(others):
            little &= other << 8 * (at + 1)
            big &= other >> 8 * (at + 1)
        return little | big

    def find(self, data: bytes, exact: _Times, loose: _Times) -> None:
        if not self._big:
            return
        marks = self.marks(data)
        if not marks:
            return
        marked = marks.to_bytes(len(data), "little").translate(_MARK)
        at = marked.find(b"\1")
        while at >= 0:
            for length, patterns in self._little.items():
                exact |= patterns.get(data[max(at + 1 - length, 0) : at + 1], _NONE)
            for length, patterns in self._loose.items():
                loose |= patterns.get(data[max(at + 1 - length, 0) : at + 1], _NONE)
            for length, patterns in self._big.items():
                exact |= patterns.get(data[at : at + length], _NONE)
            at = marked.find(b"\1", at + 1)


class EmbeddedTimes:
    """Times to look for, in ns."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._waiting: set[int] = set()
        """Those of `_known` whose encodings are still to be made: when something is searched."""
        self._later: set[int] = set()
        """Those of which the encodings of their seconds alone have been made: of many files, hardly
        ever is one in a content, and `_spans` tells."""
        self._spans = _Numbers(4)
        self._zones: set[bytes] = set()
        self._short, self._long = _Numbers(3), _Numbers(4)
        self._seconds: _Patterns = {}
        self._fractions: _Patterns = {}
        self._loose: _Patterns = {}
        """Texts that do not tell the day, or the second."""
        self._beginnings: set[bytes] = set()
        """How all these begin."""
        self._early: _Patterns = {}
        """Encodings that are looked for one by one."""

    def add(self, times_ns: set[int]) -> None:
        """More times to look for."""
        new = times_ns - self._known
        self._known |= new
        self._waiting |= new

    def add_zone(self, zone: bytes) -> None:
        """Local times are those of this value of TZ too."""
        if zone not in self._zones:
            self._zones.add(zone)
            self._waiting |= self._known

    def _make_encodings(self) -> None:
        """Files that were made together have the second in common, and with it most of this; what
        they have not in common is left for later."""
        in_second: dict[int, _Times] = {}
        for ns in self._waiting:
            if 0 <= ns < 1 << 62:
                in_second.setdefault(ns // _SECOND_NS, set()).add(ns)
        self._waiting.clear()
        for seconds, times in in_second.items():
            self._add_second(seconds, times)
            if seconds < _EARLY:
                for ns in times:
                    self._add(ns)
            else:
                self._later |= times
                self._add_spans(seconds)

    def _make_rest(self, data: bytes) -> None:
        """Makes the encodings that were left for later, if one of them may be in a piece of a
        content."""
        if self._later and (_DIGITS in data.translate(_ALIKE) or self._spans.marks(data)):
            for ns in self._later:
                self._add(ns)
            self._later.clear()

    def _add_spans(self, seconds: int) -> None:
        """Marks what all `_numbers` of times within a second begin with, the next one included: to
        which a double may be rounded."""
        ends = (_numbers(ns * _SECOND_NS) for ns in (seconds, seconds + 1))
        for lowest, highest in zip(*ends, strict=True):
            self._spans.mark_between(lowest, highest)

    def _add_second(self, seconds: int, times: _Times) -> None:
        for text in (b"%d" % seconds, b"%o" % seconds):
            if seconds >= _EARLY:
                self._add_text(self._seconds, text, times)
            else:
                _note(self._early, text, times)
        if seconds < _EARLY:
            for form in ("<I", ">I"):
                _note(self._early, struct.pack(form, seconds), times)
        else:
            self._short.add(seconds, times)
        self._add_local(seconds, times)

    def _add(self, ns: int) -> None:
        fraction = ns % _SECOND_NS
        times = {ns}
        if fraction:
            self._add_text(self._fractions, b"%09d" % fraction, times)
        if ns >= _SECOND_NS:
            for number in _numbers(ns):
                self._long.add(number, times)

    def _add_text(self, texts: _Patterns, text: bytes, times: _Times) -> None:
        _note(texts, text, times)
        self._beginnings.add(text[:_BEGINNING])

    def _add_local(self, seconds: int, times: _Times) -> None:
        for at in self._local(seconds):
            date = b"%04d-%02d-%02d" % at[:3]
            digits = date.replace(b"-", b"")
            texts = [date, date.replace(b"-", b"/"), date.replace(b"-", b"."), digits]
            texts += [b"%02d:%02d:%02d" % at[3:6], digits[2:] + b"%02d%02d" % at[3:5]]
            for text in texts:
                self._add_text(self._loose, text, times)
        # Of zip archives: local, and to two seconds, be they rounded up (Info-ZIP) or down.
        for even in {seconds & ~1, (seconds + 1) & ~1}:
            for year, month, day, hour, minute, second in self._local(even):
                if year in _DOS_YEARS:
                    number = (year - 1980) << 25 | month << 21 | day << 16
                    number |= hour << 11 | minute << 5 | second >> 1
                    self._short.add_loose(number, times)

    def _local(self, seconds: int) -> set[tuple[int, ...]]:
        """Year, month, day, hour, minute and second, in all time zones."""
        times = {time.gmtime(seconds)[:6], time.localtime(seconds)[:6]}
        return times | {_localtime(seconds, zone) for zone in self._zones}

    def find(self, data: bytes) -> tuple[set[int], set[int]]:
        """Which of the times are in a content, and which may be, going by the day or the time of
        day alone."""
        exact: _Times = set()
        loose: _Times = set()
        if not self._known or not data:
            return exact, loose
        self._make_encodings()
        for start in range(0, max(len(data) - _OVERLAP, 1), _PIECE):
            piece = data[start : start + _PIECE + _OVERLAP]
            self._make_rest(piece)
            self._short.find(piece, exact, loose)
            self._long.find(piece, exact, loose)
            self._find_texts(piece, exact, loose)
        for pattern, times in self._early.items():
            if _has_early(data, pattern):
                exact |= times
        return exact, loose | exact

    def _find_texts(self, data: bytes, exact: _Times, loose: _Times) -> None:
        alike = data.translate(_ALIKE)
        for shape in _SHAPES:
            at = alike.find(shape)
            while at >= 0:
                if data[at : at + _BEGINNING] in self._beginnings:
                    for length in _LENGTHS:
                        text = data[at : at + length]
                        exact |= self._fractions.get(text, _NONE)
                        times = self._seconds.get(text)
                        if times is not None:
                            exact |= _with_fraction(times, data, at + length)
                        loose |= self._loose.get(text, _NONE)
                at = alike.find(shape, at + 1)


def _numbers(ns: int) -> tuple[int, ...]:
    """In nanoseconds, micro- and milliseconds, as the bits of a double of seconds, as a FILETIME:
    none is smaller for a later time."""
    (double,) = struct.unpack("<Q", struct.pack("<d", ns / _SECOND_NS))
    return ns, ns // 1000, ns // 1_000_000, double, _FILETIME * 10_000_000 + ns // 100


def _with_fraction(times: _Times, data: bytes, end: int) -> _Times:
    """Those of some times in the same second that fit what follows after the seconds, if all nine
    digits do."""
    digits = data[end : end + 10].lstrip(b".")[:9]
    if len(digits) < 9 or not digits.isdigit():
        return times
    return {ns for ns in times if ns % _SECOND_NS == int(digits)}


def _has_early(data: bytes, pattern: bytes) -> bool:
    """Digits only as a whole number, and not among others."""
    at = data.find(pattern)
    if not pattern.isdigit():
        return at >= 0
    while at >= 0:
        around = data[max(at - 1, 0) : at] + data[at + len(pattern) : at + len(pattern) + 1]
        if not any(chr(byte).isdigit() for byte in around):
            return True
        at = data.find(pattern, at + 1)
    return False


def _localtime(seconds: int, zone: bytes) -> tuple[int, ...]:
    """The first six numbers of localtime(3) in another zone."""
    before = os.environb.get(b"TZ")
    os.environb[b"TZ"] = zone
    try:
        time.tzset()
        return time.localtime(seconds)[:6]
    finally:
        if before is None:
            del os.environb[b"TZ"]
        else:
            os.environb[b"TZ"] = before
        time.tzset()
