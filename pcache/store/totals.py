"""What all sessions with a store did, added up in a file that each appends one short line to.

A row of the index would cost each replay a transaction; a line costs one write(2), which O_APPEND
makes whole.  Losing the file costs statistics, and one measuring of the store.
"""

from __future__ import annotations

import os

from pcache.linux.files import open_file, open_private_file, replace_private_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.counters import Counters

COLUMNS = ("hits", "misses", "milliseconds skipped", "bytes stored")
"""Names of counters.  "bytes stored" is, after `replace`, what contents occupy in all."""

LONG = 1 << 16
"""Bytes of the file from which on it is worth writing it anew."""


class Totals:
    """The totals of one store.  No method fails: nothing that matters depends on it."""

    def __init__(self, directory: bytes) -> None:
        self._path = directory + b"/tally"

    def add(self, before: tuple[int, ...], counters: Counters) -> None:
        """Adds what was counted since `before` (as `counted` gave it)."""
        after = counted(counters)
        if after == before:
            return
        line = b" ".join([b"%d" % (b - a) for a, b in zip(before, after, strict=True)])
        try:
            fd = open_private_file(self._path, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(fd, line + b"\n")
            finally:
                os.close(fd)
        except OSError:
            return

    def total(self) -> dict[str, int] | None:
        """All lines added up; None if there are none."""
        sums = [0] * len(COLUMNS)
        try:
            with open(open_file(self._path), "rb", buffering=0) as file:
                lines = file.readall().splitlines()
        except OSError:
            return None
        for line in lines:
            fields = line.split()
            if len(fields) == len(COLUMNS) and all(field.isdigit() for field in fields):
                sums = [a + int(b) for a, b in zip(sums, fields, strict=True)]
        return dict(zip(COLUMNS, sums, strict=True))

    def is_long(self) -> bool:
        try:
            return os.stat(self._path).st_size > LONG
        except OSError:
            return False

    def replace(self, sums: dict[str, int]) -> None:
        """Writes the file anew.  A line added at this moment may be lost."""
        line = b" ".join([b"%d" % sums[name] for name in COLUMNS]) + b"\n"
        try:
            replace_private_file(self._path, line)
        except OSError:
            return


def counted(counters: Counters) -> tuple[int, ...]:
    """The columns as they stand."""
    return tuple([counters[name] for name in COLUMNS])
