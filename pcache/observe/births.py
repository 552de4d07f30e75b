"""Where files were made that are somewhere else now: they keep what that directory gave them.

A hit makes a file anew in the directory where it is to be.  That is right where neither that one
nor the one of its birth gives files an access control list, so both are looked at.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from pcache.observe.executions import Execution


def moved(execution: Execution, ts: int, old: bytes, new: bytes) -> None:
    """A file is given another name; told before the change is."""
    directory = posixpath.dirname(old)
    if directory == posixpath.dirname(new):
        return
    for at in execution.chain():
        _, as_it_was = at.origin(old, ts)
        if not as_it_was:
            at.born_in.add(directory)


def born_in(execution: Execution) -> Iterator[bytes]:
    """The directories, those that were there before, in which or below which what was moved out of
    its directory had been made."""
    assert execution.end is not None
    for directory in execution.born_in:
        place = directory
        while execution.made_below(place, execution.end):
            place = posixpath.dirname(place)
        yield place


def gives_list(defaults: bytes) -> bool:
    """Whether a directory with that value of DEFAULTS gives a list to what is made in it."""
    return bool(defaults.partition(b":")[2])
