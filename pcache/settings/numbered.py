"""Directories with numbers, of which each run makes the one after the highest, as pytest does.

What such a program makes of a listing is the next number; what it does with the others is to remove
old ones.  Its record has a stand-in for each number that it made, and what it did with the others
by how old they are (`pcache.memo.numbered` says whether that can be said of those that are there
now, `pcache.observe.conditions.numbered` when it was so).
"""

from __future__ import annotations

import errno

from pcache.model import SERIES, Kind, Output
from pcache.settings.stand_ins import MARKS, StandIns
from pcache.values import error_value, listing_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pcache.model import Key, Outcome

_DIRECTORY, _BEGINNING = b"pytest-of-", b"pytest-"
"""_pytest/tmpdir.py, TempPathFactory.getbasetemp; it makes nothing else of what it finds there."""
PASSING = b"garbage-"
LOCK = b"/.lock"
"""_pytest/pathlib.py, get_lock_path and maybe_delete_a_numbered_dir: of what may be in use, and how
what is being removed is called."""
LOCKED, UNLOCKED, EXPIRED = "locked", "unlocked", "expired"
"""A lock counts for three days."""
_DT_DIR = 4
"""d_type of an entry, getdents64(2)."""


def known_place(name: bytes) -> tuple[bytes, int] | None:
    """Where such a directory is, with the beginning of its name, and its number; None of others."""
    directory, _, leaf = name.rpartition(b"/")
    if not is_for_numbered(directory):
        return None
    number = number_of(leaf, _BEGINNING)
    return None if number is None else (b"%b/%b" % (directory, _BEGINNING), number)


def is_for_numbered(directory: bytes) -> bool:
    """Whether such directories are made in one."""
    return directory.rpartition(b"/")[2].startswith(_DIRECTORY)


def number_of(leaf: bytes, beginning: bytes) -> int | None:
    """The number in a name that is nothing but a beginning and a number."""
    digits = leaf.removeprefix(beginning)
    if digits == leaf or not digits.isdigit() or digits != b"%d" % int(digits):
        return None
    return int(digits)


class Series:
    """The directories at one place: what a run did.

    Ages are counted back from the last one that it made: that one's is 0.
    """

    __slots__ = ("kept", "made", "place", "removed")

    def __init__(self, place: bytes, made: int, kept: int, removed: int) -> None:
        self.place = place
        """Path of the directory that they are in, and how their names begin."""
        self.made = made
        """How many it made."""
        self.kept = kept
        """The greatest age that it let be, 0 for none."""
        self.removed = removed
        """The least age that it removed, 0 for none."""

    @property
    def path(self) -> bytes:
        """That of the fact of kind NUMBERED."""
        return b"%d,%d,%d:%b" % (self.made, self.kept, self.removed, self.place)

    def is_decided(self, age: int) -> bool:
        """Whether it is known what becomes of one of this age."""
        return age <= self.kept or 0 < self.removed <= age


def series_of(path: bytes) -> Series:
    """What `Series.path` said."""
    numbers, _, place = path.partition(b":")
    made, kept, removed = map(int, numbers.split(b","))
    return Series(place, made, kept, removed)


def numbered_value(
    entries: Iterable[tuple[bytes, int]],
    series: Series,
    last: int,
    state: Callable[[bytes], str],
) -> bytes:
    """Value of NUMBERED: that of LISTING for what else is in the directory, if it is known what
    becomes of each of the others when the last one that is made has the number `last`.

    `state` says of a path whether it is locked, that is, stays whatever its number is."""
    beginning = series.place.rpartition(b"/")[2]
    others = []
    for name, kind in entries:
        number = number_of(name, beginning)
        if number is None and not name.startswith(PASSING):
            others.append((name, kind))
        elif kind != _DT_DIR:
            return error_value(errno.ENOTDIR)
        elif number is None or last - number > series.kept:
            lock = state(series.place.removesuffix(beginning) + name)
            decided = number is not None and series.is_decided(last - number)
            if lock == EXPIRED or (lock == UNLOCKED and not decided):
                return error_value(errno.EEXIST)
    return listing_value(others)


class NumberedNames(StandIns):
    """Stand-ins for the numbers, beside those of others if need be."""

    __slots__ = ("_firsts", "_within")

    def __init__(
        self, firsts: Sequence[tuple[Series, int]], within: StandIns | None = None
    ) -> None:
        """`firsts`: the first number that is made in each series."""
        super().__init__(() if within is None else within.stems)
        self._firsts = tuple(firsts)
        self._within = within

    @property
    def names(self) -> tuple[bytes, ...]:
        """The names of what is made."""
        return tuple(
            b"%b%d" % (series.place.rpartition(b"/")[2], first + at)
            for series, first in self._firsts
            for at in range(series.made)
        )

    def hide(self, text: bytes) -> bytes:
        for series, first in self._firsts:
            if series.place in text:
                text = _hidden(text, series, first)
        return text if self._within is None else self._within.hide(text)

    def show(self, hidden: bytes) -> bytes:
        if self._within is not None:
            hidden = self._within.show(hidden)
        for series, first in self._firsts:
            for at in range(series.made):
                hidden = hidden.replace(_mark(series, at), b"%b%d" % (series.place, first + at))
        return hidden

    def hide_outcome(self, outcome: Outcome) -> Outcome:
        hidden = super().hide_outcome(outcome)
        return hidden.with_outputs(tuple(map(self._hide_output, hidden.outputs)))

    def _hide_output(self, output: Output) -> Output:
        if output.kind == b"l":
            return _with_content(output, self.hide(output.content))
        return _with_content(output, b"") if output.kind == SERIES else output

    def show_outcome(self, hidden: Outcome) -> Outcome:
        shown = super().show_outcome(hidden)
        return shown.with_outputs(tuple(map(self._show_output, shown.outputs)))

    def _show_output(self, output: Output) -> Output:
        if output.kind == b"l":
            return _with_content(output, self.show(output.content))
        for series, first in self._firsts:
            if output.kind == SERIES and output.path == series.place:
                return series_output(series, first)
        return output


def series_output(series: Series, first: int) -> Output:
    """The output for a series, the first number made being this: its content is that, how many are
    made, and the number up to which all are removed."""
    last = first + series.made - 1
    upto = last - series.removed if series.removed else -1
    return Output(SERIES, series.place, 0, b"%d %d %d" % (first, series.made, upto))


def numbers_in(output: Output) -> tuple[int, int, int]:
    """What the content of such an output says."""
    first, made, upto = map(int, output.content.split())
    return first, made, upto


def series_in(keys: Iterable[Key]) -> list[Series]:
    """Those that a record's facts are about; they come first."""
    found = []
    for kind, path in keys:
        if kind != Kind.NUMBERED:
            break
        found.append(series_of(path))
    return found


def _mark(series: Series, at: int) -> bytes:
    opening, closing = MARKS
    return b"%b%b+%d%b" % (series.place, opening, at, closing)


def _hidden(text: bytes, series: Series, first: int) -> bytes:
    head, *parts = text.split(series.place)
    for part in parts:
        rest = part.lstrip(b"0123456789")
        digits = part[: len(part) - len(rest)]
        at = int(digits) - first if digits and digits == b"%d" % int(digits) else -1
        head += _mark(series, at) + rest if 0 <= at < series.made else series.place + part
    return head


def _with_content(output: Output, content: bytes) -> Output:
    return Output(output.kind, output.path, output.mode, content, output.mtime_ns, output.extents)
