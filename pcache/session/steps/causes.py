"""The end of the notes on a session that ran programs: what they amount to, and why they ran."""

from __future__ import annotations

from itertools import islice

from pcache.errors import StoreError
from pcache.history.entries import HIT, KNOWN, NONDETERMINISTIC, REFUSED, STORED, Entry
from pcache.memo.decide import changed_inputs, unknown_text
from pcache.model import Call, Digest, Key, Kind
from pcache.store.fingerprint import environment, weak_fingerprint
from pcache.store.index import Store
from pcache.wording import changed_text, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pcache.history.log import Summary
    from pcache.memo.decide import Seen

_COMPARED = 50
"""Calls of the same arguments, the last recorded first."""
_FEW = 2
"""Differences between two calls that are told in one line."""


def summarize(summary: Summary, entries: Sequence[Entry]) -> None:
    """What the executions of a session amount to."""
    summary.programs = len(entries)
    for entry in entries:
        if entry.verdict == HIT:
            summary.hits += 1
            summary.saved_ns += entry.saved_ns
        elif entry.verdict in (REFUSED, NONDETERMINISTIC) and not entry.covered(entries):
            summary.refused += 1
        else:
            summary.ran += 1
        summary.stored += entry.verdict == STORED
    if entries[0].verdict in (STORED, KNOWN):
        summary.strong = entries[0].strong


def why(miss: str, changed: Sequence[Key], cwd: bytes) -> str:
    """Why something had to run, with names relative to a directory."""
    here = f": {text(cwd)}/"
    return changed_text(changed).replace(here, ": ", 1) if changed else miss


def cause_of(store: Store, call: Call, seen: Seen | None, miss: str) -> tuple[str, list[Key]]:
    """Why a call had to run, and which of its inputs have changed."""
    try:
        if seen is not None:
            return miss, foremost(changed_inputs(store, *seen), call.cwd)
        if miss == "unknown call":
            weak = weak_fingerprint(call, store.policy)
            return unknown_text(store, weak) or _unlike(store, call, weak) or miss, []
    except StoreError:
        pass
    return miss, []


def _unlike(store: Store, call: Call, weak: Digest) -> str:
    """What is different about the call of these arguments that is most like one; empty if there is
    none, or too much is."""
    from pcache.session.steps.calls import CallParts
    from pcache.store.inspect import with_same_arguments
    from pcache.store.secrets import Secrets

    secrets = Secrets(store.directory, store.policy.secret_env)
    mine = CallParts(call, secrets.hide(environment(call.env)))
    unlike = [
        mine.differences(CallParts(other, secrets.hide(environment(other.env))))
        for _, other in islice(with_same_arguments(store, weak), _COMPARED)
        if other.executable == call.executable
    ]
    nearest = min(unlike, key=len, default=[])
    if not 0 < len(nearest) <= _FEW:
        return ""
    # Values of variables are for `explain` alone: this line ends in logs.
    return ", ".join(
        line.partition(":")[0] if line.startswith("environment ") else line for line in nearest
    )


def foremost(keys: Iterable[Key], cwd: bytes) -> list[Key]:
    """Contents of files first, and what lies in the working directory before what does not."""

    def rank(key: Key) -> tuple[bool, bool]:
        kind, path = key
        return kind not in (Kind.CONTENT, Kind.LCONTENT), not path.startswith(cwd + b"/")

    return sorted(keys, key=rank)
