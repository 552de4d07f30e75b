"""What pcache did, counted: shown by `--json`, and what the tests judge decisions by."""

from __future__ import annotations

from pcache.model import Reason
from pcache.timing import UNTIMED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.timing import Timing

NAMES: dict[str, str] = {
    "executions": "executions that the recorder saw",
    "hits": "executions replayed from the store",
    "misses": "executions that had to run; the sum of all `miss: ...`",
    "miss: never cached": "the program always runs, by default or by a setting",
    "miss: unknown call": "nothing is stored for the call",
    "miss: input changed": "versions are stored, none for the present inputs",
    "miss: non-deterministic": "the inputs match a record that was withdrawn",
    "miss: damaged": "a record or blob was found damaged or missing",
    "miss: store error": "the store could not be read",
    "miss: cannot restore": "the outputs could not be put in place",
    "miss: not applied": "a hit came to nothing: its process, its streams or the disk forbade it",
    "checks": "hits that were run for real instead; the sum of the next three",
    "checks equal": "what they did is what is recorded",
    "checks different": "what they did is not what is recorded: the call is quarantined",
    "checks without result": "what they did could not be compared",
    "uncacheable": "executions that may not be stored; the sum of all `uncacheable: ...`",
    **{
        f"uncacheable: {reason}": f"executions that may not be stored because: {reason}"
        for name, reason in vars(Reason).items()
        if name.isupper()
    },
    "milliseconds skipped": "what the executions that were replayed took when they were recorded",
    "remote look-ups": "calls that the shared store was asked about",
    "remote hits": "records that came from the shared store",
    "remote hits declined": "those left there because running took less than fetching",
    "remote doubts": "look-ups that found what nobody believed has signed, or what makes no sense",
    "remote failures": "look-ups that came to nothing: no answer, none in time, an error",
    "remote bytes received": "bytes of contents of the hits from the shared store",
    "records stored": "new records",
    "records known": "records that were in the store already",
    "records non-deterministic": "records that contradict a stored one with the same inputs",
    "facts checked": "facts evaluated",
    "files hashed": "regular files read to take their digest",
    "bytes hashed": "bytes read to take digests",
    "digests remembered": "digests taken from the digest cache instead of reading the file",
    "blobs stored": "contents added to the store",
    "bytes stored": "bytes of contents added to the store",
    "files restored": "regular files put in place",
    "bytes restored": "bytes of regular files put in place",
    "files kept": "outputs that were right already",
    "paths deleted": "outputs of hits that are deletions",
    "blobs damaged": "contents that were not what their name promises",
    "rows damaged": "rows of the index that failed their checksum",
    "events": "kernel events recorded",
    "events repeated": "accesses that told nothing new and were left out in the kernel",
    "events lost": "kernel events that did not fit into the ring buffer",
    "bytes of events": "bytes of the kernel events recorded",
    "microseconds of analysis": "processor time for making sense of events, records included",
    "milliseconds after": "from the end of the command to the end of its analysis",
}
"""Every counter and what it counts."""


class Counters:
    """A number for each of NAMES, from 0 upwards."""

    __slots__ = ("_counts", "timing")

    def __init__(self, timing: Timing = UNTIMED) -> None:
        self._counts = dict.fromkeys(NAMES, 0)
        self.timing = timing
        """What else is measured of the same session."""

    def inc(self, name: str, n: int = 1) -> None:
        """Adds n.  Raises KeyError for a name that is not in NAMES."""
        self._counts[name] += n

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def as_dict(self) -> dict[str, int]:
        """All counters, in the order of NAMES."""
        return dict(self._counts)

    def nonzero(self) -> dict[str, int]:
        """The counters that counted something."""
        return {name: count for name, count in self._counts.items() if count}
