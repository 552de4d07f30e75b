"""The line with which a session ends: what was saved, what ran, and why."""

from __future__ import annotations

from pcache.history.entries import HIT, KNOWN, NONDETERMINISTIC, REFUSED, STORED
from pcache.model import Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcache.history.entries import Entry
    from pcache.history.log import Summary

_REASONS = 3
"""How many are named."""


def seconds(ns: int) -> str:
    """A duration for people."""
    passed = ns / 1e9
    if passed >= 3600:
        return f"{passed / 3600:.1f} h"
    if passed < 0.1:
        return f"{ns / 1e6:.0f} ms"
    return f"{passed:.1f} s" if passed >= 10 else f"{passed:.2f} s"


def closing_line(summary: Summary, entries: Sequence[Entry]) -> str:
    """`entries` are the session's executions; none, or one hit, if the command came back whole."""
    elapsed = seconds(summary.elapsed_ns)
    saved = f"saved {seconds(summary.saved_ns)} of {seconds(summary.saved_ns + summary.elapsed_ns)}"
    came_back = entries[0].verdict == HIT if entries else summary.hits > 0
    if came_back:
        return f"pcache: brought back as a whole, {saved}"
    if not entries:
        return f"pcache: nothing is known of what ran, {elapsed}"
    programs = "program" if summary.programs == 1 else "programs"
    if summary.verb == "trace":
        head = f"{summary.programs} {programs} ran in {elapsed}"
    else:
        head = f"{summary.hits} of {summary.programs} {programs} brought back"
        if summary.hits:
            head += f", {saved}"
    told = []
    if summary.ran and summary.verb != "trace":
        told.append(f"{summary.ran} ran" + (f" ({summary.why})" if summary.why else ""))
    if summary.refused:
        told.append(f"{summary.refused} not cacheable ({', '.join(refusals(entries))})")
    whole = _whole(entries[0], summary.elapsed_ns)
    return "; ".join(part for part in (f"pcache: {head}", ", ".join(told), whole) if part)


def refusals(entries: Sequence[Entry]) -> list[str]:
    """Why executions are not cacheable that nothing cacheable contains: the most frequent first."""
    counts: dict[str, int] = {}
    for entry in entries:
        if entry.verdict == NONDETERMINISTIC and not entry.covered(entries):
            counts[Reason.NON_DETERMINISTIC] = counts.get(Reason.NON_DETERMINISTIC, 0) + 1
        if entry.verdict == REFUSED and not entry.covered(entries):
            for reason, _ in entry.reasons:
                counts[reason] = counts.get(reason, 0) + 1
    ordered = sorted(counts, key=lambda reason: -counts[reason])
    return ordered[:_REASONS] + ["..."] * (len(ordered) > _REASONS)


def _whole(root: Entry, elapsed_ns: int) -> str:
    """Whether the command itself will come back; and what that took, where it is what took time."""
    if root.verdict in (STORED, KNOWN):
        more_ns = elapsed_ns - root.wall_ns
        dear = root.verdict == STORED and 0 < root.wall_ns < more_ns
        return "recorded as a whole" + (f", which took {seconds(more_ns)} more" if dear else "")
    if root.verdict in (REFUSED, NONDETERMINISTIC):
        return "it cannot come back as a whole"
    return ""
