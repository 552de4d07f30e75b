"""Numbered directories as they are now: whether what a run did with them can be said of these."""

from __future__ import annotations

import os
from stat import S_ISREG
from time import time

from pcache.memo.questions import entries_of
from pcache.settings.numbered import (
    EXPIRED,
    LOCK,
    LOCKED,
    PASSING,
    UNLOCKED,
    NumberedNames,
    Series,
    number_of,
    numbered_value,
    numbers_in,
    series_in,
    series_of,
)
from pcache.values import error_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcache.model import Key, Output
    from pcache.settings.stand_ins import StandIns

_TIMEOUT_SECONDS = 60 * 60 * 24 * 3
"""_pytest/pathlib.py, LOCK_TIMEOUT"""
_MARGIN_SECONDS = 60
"""What may pass until the program would look."""


def numbered_now(path: bytes) -> bytes:
    """Value of NUMBERED."""
    series = series_of(path)
    try:
        entries = entries_of(os.path.dirname(series.place))
    except OSError as error:
        return error_value(error.errno)
    last = _first(series, entries) + series.made - 1
    return numbered_value(entries, series, last, _state)


def unlocked(path: bytes) -> frozenset[tuple[bytes, int]]:
    """What is there, with its type, but for what stays because it is locked.  Raises OSError."""
    series = series_of(path)
    directory, beginning = os.path.split(series.place)
    entries = entries_of(directory)
    last = _first(series, entries) + series.made - 1

    def stays(name: bytes) -> bool:
        number = number_of(name, beginning)
        old = number is not None and last - number > series.kept
        return (old or name.startswith(PASSING)) and _state(b"%b/%b" % (directory, name)) == LOCKED

    return frozenset(entry for entry in entries if not stays(entry[0]))


def _state(path: bytes) -> str:
    try:
        st = os.stat(path + LOCK)
    except FileNotFoundError:
        return UNLOCKED
    except OSError:
        return EXPIRED
    left = st.st_mtime + _TIMEOUT_SECONDS - time()
    return LOCKED if S_ISREG(st.st_mode) and left > _MARGIN_SECONDS else EXPIRED


def _first(series: Series, entries: list[tuple[bytes, int]]) -> int:
    """The number that is made next."""
    beginning = series.place.rpartition(b"/")[2]
    numbers = [number_of(name, beginning) for name, _ in entries]
    return max([number for number in numbers if number is not None], default=-1) + 1


def names_now(keys: Sequence[Key], within: StandIns | None) -> StandIns | None:
    """What stands for the names in a record with these keys: `within`, and the numbers that the
    next directories get.  Raises OSError."""
    found = series_in(keys)
    if not found:
        return within
    firsts = []
    for series in found:
        try:
            entries = entries_of(os.path.dirname(series.place))
        except FileNotFoundError:
            entries = []
        firsts.append((series, _first(series, entries)))
    return NumberedNames(firsts, within)


def new_and_outdated(output: Output) -> tuple[frozenset[bytes], list[bytes]]:
    """The directories of a series that a hit makes, and those that it removes.  Raises OSError."""
    first, made, upto = numbers_in(output)
    directory, beginning = os.path.split(output.path)
    numbers = [number_of(name, beginning) for name in os.listdir(directory)]
    old = [b"%b%d" % (output.path, at) for at in numbers if at is not None and at <= upto]
    new = frozenset(b"%b%d" % (output.path, first + at) for at in range(made))
    return new, [path for path in old if _state(path) == UNLOCKED]


def remove_all(paths: list[bytes]) -> None:
    """Removes directories with what is in them, as far as that can be: as pytest does, which tries
    again next time."""
    from shutil import rmtree

    while paths:
        path = paths.pop()
        rmtree(path, ignore_errors=True)
        if os.path.lexists(path):  # somebody's rights kept it
            for directory, _, _ in os.walk(path):
                try:
                    os.chmod(directory, 0o700)
                except OSError:
                    continue
            rmtree(path, ignore_errors=True)
