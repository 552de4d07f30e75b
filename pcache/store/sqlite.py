"""SQLite as the C half of Python's module gives it, without what importing it would import.

Not from `sqlite3`: what that adds (dates, collections.abc) is 3 ms of start-up and of no use here.
The C half looks up `functools.lru_cache` (Modules/_sqlite/module.c), to keep the prepared
statements of a connection in, and `functools` imports `collections`: that is 3 of the 18 ms that a
whole hit takes.  So, unless it is loaded already, it finds what that function comes down to.
"""

from __future__ import annotations

import os
import sys
from _functools import _lru_cache_wrapper
from stat import S_ISREG

from pcache.linux.files import NoFile, make_private_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _lru_cache(maxsize: int) -> Callable[[Callable[..., Any]], Any]:
    return lambda function: _lru_cache_wrapper(function, maxsize, False, tuple)


if "functools" in sys.modules:
    from _sqlite3 import DatabaseError, OperationalError, connect
else:
    sys.modules["functools"] = type(sys)("functools")
    vars(sys.modules["functools"])["lru_cache"] = _lru_cache
    try:
        from _sqlite3 import DatabaseError, OperationalError, connect
    finally:
        del sys.modules["functools"]

__all__ = ["DatabaseError", "OperationalError", "connect", "make_private_database"]

BESIDE = (b"-wal", b"-shm")
"""What SQLite keeps beside a database: suffixes of its name."""


def make_private_database(path: bytes) -> None:
    """An empty file for `connect`, unless there is one.

    Raises OSError: NoFile if SQLite would open something else in its place or beside it.
    """
    make_private_file(path)
    for suffix in BESIDE:
        try:
            mode = os.lstat(path + suffix).st_mode
        except FileNotFoundError:
            continue
        if not S_ISREG(mode):
            raise NoFile(path + suffix)
