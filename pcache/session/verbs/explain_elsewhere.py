"""What `pcache explain` has to say about a shared store: what differs from machine to machine."""

from __future__ import annotations

from collections.abc import Iterator

from pcache.errors import PcacheError, why_not
from pcache.linux.user import User
from pcache.model import Call
from pcache.remote.evaluation import Evaluation, strong_digests
from pcache.remote.forms import Entry, Manifest
from pcache.remote.machine import Machine
from pcache.remote.names import call_name, keys_of
from pcache.remote.places import Places
from pcache.remote.translate import about
from pcache.session.steps.command import Command
from pcache.session.steps.describe import value_text
from pcache.session.verbs.pull import Pull
from pcache.settings.remote import unpacked
from pcache.store.index import Store
from pcache.wording import fact_name, text

_SHOWN = 20


def lines_about(store: Store, command: Command, call: Call, user: User) -> Iterator[str]:
    """Lines for people; each is about the newest manifest of the command that is believed."""
    try:
        manifest = Pull(command, user).manifest()
    except PcacheError as error:
        yield f"elsewhere: {error}"
        return
    remote = unpacked(store.policy.remote)
    places, machine = Places(store.policy, user, remote.map), Machine()
    name = call_name(call, store.policy, places, machine, remote.portable)
    entries = [entry for entry in manifest.entries if entry.call == name]
    if not entries:
        yield "elsewhere it was recorded as another call:"
        mine = about(call, places, machine, store.policy, remote.portable)
        yield from _other_call(manifest, mine)
        return
    digests = strong_digests(store)
    evaluation = Evaluation(store, digests, places, command.fds, call.uid)
    found = [_differences(entry, evaluation) for entry in entries]
    digests.close()
    nearest = min(found, key=len)
    if not nearest:
        yield "elsewhere it was recorded over the same inputs: it would be fetched"
        return
    yield f"elsewhere it was recorded over other inputs: {len(nearest)} facts differ"
    yield from (f"  {line}" for line in nearest[:_SHOWN])


def _other_call(manifest: Manifest, mine: dict[bytes, bytes]) -> Iterator[str]:
    theirs = manifest.about
    different = [
        part for part in sorted(theirs.keys() | mine.keys()) if theirs.get(part) != mine.get(part)
    ]
    for part in different[:_SHOWN]:
        if part.startswith(b"variable ") and part in theirs and part in mine:
            yield f"  {text(part)}: another value"
            continue
        before, now = (text(parts.get(part, b"not set")) for parts in (theirs, mine))
        yield f"  {text(part)}: {before} -> {now}"
    if not different:
        yield "  the order of variables, or one that looks like a secret"


def _differences(entry: Entry, evaluation: Evaluation) -> list[str]:
    try:
        state = evaluation.path_set(entry.path_set)
    except OSError as error:
        return [f"an input cannot be read: {why_not(error)}"]
    if state is None:
        return ["it depends on places that mean nothing here"]
    return [
        f"{fact_name(kind, path)}: {value_text(kind, theirs)} -> {value_text(kind, now)}"
        for (kind, path), theirs, now in zip(
            keys_of(entry.path_set), entry.values, state[0], strict=True
        )
        if theirs != now
    ]
