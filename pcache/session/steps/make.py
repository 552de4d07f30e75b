"""What root makes once and keeps for everybody: the compiled probes, and seccomp filters.

Done in a process of its own that is root's (pcache/recorder/helper.py), from constants of the
code.  What it is told are words of closed lists: which filter, and no byte of it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.intercept import Interception
    from pcache.enforce.sandbox import Sandbox

RECORDER, FILTER = b"recorder", b"filter"


def words(place: Interception, sandbox: Sandbox) -> bytes:
    """For `make`: the filter of a session."""
    kind = type(place).__name__.encode()
    how = b"deterministic" if sandbox.deterministic else b"-"
    return b" ".join([FILTER, kind, how, *sorted(name.encode() for name in sandbox.denied)])


def make(words: bytes) -> None:
    """As root.  Raises PcacheError, OSError, and ValueError for words that are not of the list."""
    import os

    os.umask(0o022)  # everybody may read what root keeps
    what, *more = words.split(b" ")
    if what == RECORDER:
        from pcache.probes.program import image

        image()
    elif what == FILTER:
        from pcache.enforce import filter
        from pcache.enforce.intercept import Entry, Nowhere
        from pcache.enforce.sandbox import DENIED, Sandbox

        kind, how, *names = more
        denied = frozenset(name.decode() for name in names)
        chosen = Sandbox.choose(DENIED - denied, denied - DENIED, how == b"deterministic")
        place: Interception = Entry() if kind == b"Entry" else Nowhere()
        filter.keep_program(place.program(filter.ROOT_CACHE, chosen))
        filter.keep_program(filter.load_refusals(chosen, filter.ROOT_CACHE, native=False))
    else:
        raise ValueError("nothing that is kept")
