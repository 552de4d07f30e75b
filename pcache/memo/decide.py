"""The decision: does a recorded outcome hold for this call, now?"""

from __future__ import annotations

import os
from time import time_ns

from pcache.codec import DamagedRow
from pcache.errors import DamagedBlob, StoreError, why_not
from pcache.linux.descriptors import StillOpen
from pcache.linux.stamps import let_time_pass
from pcache.memo.facts import Facts
from pcache.memo.restore import Plan
from pcache.model import Kind
from pcache.settings.rules import NO
from pcache.settings.stand_ins import given_names, stand_ins
from pcache.store.aside import sweep
from pcache.store.database import DamagedIndex
from pcache.store.fingerprint import arguments_digest, weak_fingerprint
from pcache.values import OF_FILES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from pcache.counters import Counters
    from pcache.linux.descriptors import FdView
    from pcache.model import Call, Digest, Key, Outcome, PathSet
    from pcache.settings.stand_ins import StandIns
    from pcache.store.index import Store

    Seen = tuple[Digest, PathSet, dict[Key, bytes]]
    """A call, a path set that it has been recorded over, and how its inputs are now."""

    class Elsewhere(Protocol):
        """Another store: `pcache.remote.lookup.Elsewhere`."""

        @property
        def usable(self) -> bool:
            """Whether there is any use in asking."""

        def bring(self, call: Call, fds: FdView) -> bool:
            """Whether the store has a record now that holds for a call, which it had not."""

        def close(self) -> None:
            """Nobody is asked any more."""


_ASKED_ELSEWHERE = ("unknown call", "input changed", "damaged")
_IN_VAIN = 2
_MANY = 200
"""Keys from which on a shortcut pays."""


class Decider:
    """Looks calls up in a store.  Whatever goes wrong is a miss."""

    def __init__(
        self, store: Store, counters: Counters, elsewhere: Elsewhere | None = None
    ) -> None:
        """`elsewhere` is asked for what the store does not have."""
        self._store = store
        self._counters = counters
        self._elsewhere = elsewhere
        self._given = given_names()
        self._why = ""
        self._seen: Seen | None = None
        self._unknown: Digest | None = None
        self.awaited = -1
        """After a miss that may yet be a hit: a descriptor of the task, a pipe that others write
        to.  When they are done, or it takes too long, `decide` is asked again."""
        self._in_vain: dict[Digest, int] = {}
        """Calls for which that took too long, and how often since their last hit."""
        self.alone = False
        """Whether nothing that is decided becomes part of another record."""
        self.damaged_index = False
        """Whether the index was found damaged: it should be mended before anything is recorded."""

    def unknown(self, argv: tuple[bytes, ...]) -> bool:
        """Whether nothing is known of any call with these arguments: then this is its miss."""
        if self._elsewhere is not None and self._elsewhere.usable:
            return False
        try:
            base = self._store.policy.base
            if self._store.knows(arguments_digest(argv, base)):
                return False
            hidden = stand_ins(argv, b"", self._given)
            if hidden is not None:
                names = hidden.hide_texts(argv)
                if self._store.knows(arguments_digest(names, base)):
                    return False
        except StoreError:
            return False  # `decide` says what is wrong
        self._seen, self._why = None, "unknown call"
        self._missed("unknown call")
        return True

    def decide(self, call: Call, fds: FdView, wait: bool = False) -> Plan | None:
        """A prepared plan on a hit; None on a miss, `last_miss` says why.

        `wait`: whether the task may be kept waiting, see `awaited`."""
        self._why = ""
        self._seen = self._unknown = None
        self.awaited = -1
        try:
            plan, kind = self._look_up(call, fds, wait)
            if plan is None and kind == "unknown call":
                hidden = stand_ins(call.argv, call.cwd, self._given)
                if hidden is not None:
                    plan, kind = self._look_up(call, fds, wait, hidden)
            if plan is None and kind in _ASKED_ELSEWHERE and self._brought(call, fds):
                plan, kind = self._look_up(call, fds, wait)
        except DamagedBlob as error:
            plan, kind, self._why = None, "damaged", str(error)
        except StoreError as error:
            plan, kind, self._why = None, "store error", str(error)
            self.damaged_index |= isinstance(error, DamagedIndex)
        except OSError as error:
            plan, kind, self._why = None, "cannot restore", why_not(error)
        if plan is None:
            if self.awaited < 0:
                self._missed(kind)
        else:
            self._counters.inc("hits")
            self._counters.inc("milliseconds skipped", plan.wall_ns // 1_000_000)
        return plan

    def _brought(self, call: Call, fds: FdView) -> bool:
        elsewhere = self._elsewhere
        return elsewhere is not None and elsewhere.usable and elsewhere.bring(call, fds)

    def sweep(self) -> None:
        """Removes what hits that were killed have left: once a session."""
        sweep(self._store.directory)

    def unused(self, wall_ns: int) -> None:
        """A hit that would have saved `wall_ns` is none: its program runs after all."""
        self._counters.inc("hits", -1)
        self._counters.inc("milliseconds skipped", -(wall_ns // 1_000_000))
        self._missed("not applied")

    @property
    def last_miss(self) -> str:
        """Why the last call missed, for users: "input changed: PATH", "unknown call"...

        Worked out when asked for, because most of the time nobody asks.
        """
        if self._seen is not None and not self._why:
            self._why = _changes(self._store, *self._seen)
        return self._why

    @property
    def explained_miss(self) -> str:
        """The same; of an unknown call also why it is none, if that is known."""
        why = "" if self._unknown is None else unknown_text(self._store, self._unknown)
        return why or self.last_miss

    @property
    def seen(self) -> Seen | None:
        """What the last miss went by, if it is that inputs have changed: for `changed_inputs`."""
        return self._seen

    def _missed(self, kind: str) -> None:
        let_time_pass()
        self._counters.inc("misses")
        self._counters.inc(f"miss: {kind}")

    def _look_up(
        self, call: Call, fds: FdView, wait: bool, hidden: StandIns | None = None
    ) -> tuple[Plan | None, str]:
        """`hidden`: what stands for names in the call that are others each time."""
        store = self._store
        if store.policy.settings(call.executable, call.argv).never(call.argv) != NO:
            self._why = "never cached"
            return None, "never cached"
        timing = self._counters.timing
        decided_ns = time_ns()
        since = timing.now()
        known_as = call if hidden is None else hidden.hide_call(call)
        weak = weak_fingerprint(known_as, store.policy)
        since = timing.spent("call", since)
        facts = Facts(store.digests, fds, self._counters, call.uid, store.policy.base_dir)
        known: dict[Key, bytes] = {}
        withdrawn = None
        damaged = unknowable = ""
        latest = None
        shown = hidden  # what stands for names in the latest path set
        awaited = -1
        for paths in store.each_path_set(weak):
            since = timing.spent("path sets", since)
            first, latest = latest is None, latest or paths
            keys, names = paths.keys, hidden
            try:
                if keys and keys[0][0] == Kind.NUMBERED:
                    from pcache.memo.numbered import names_now

                    names = names_now(keys, hidden)
                if names is not None:
                    keys = tuple(map(names.show_key, keys))
                shown = names if first else shown
                strong, outcome, values = self._evaluate(
                    call, fds, facts, weak, paths, keys, known, names
                )
            except StillOpen as pipe:
                in_vain = self._in_vain.get(weak, 0)
                if not wait:
                    self._in_vain[weak] = in_vain + 1
                elif in_vain < _IN_VAIN:
                    awaited = pipe.fd
                continue
            except OSError as error:
                unknowable = why_not(error)
                continue
            except DamagedRow as error:
                damaged = str(error)
                continue
            finally:
                since = timing.now()
            if outcome is not None and (own := _own_stream(call, fds, facts, keys)):
                self._why = f"its output is its input: {own}"
                return None, "input changed"
            if outcome is not None:
                outcome = outcome if names is None else names.show_outcome(outcome)
                plan = Plan(outcome, store, fds, self._counters)
                plan.strong, plan.decided_ns = strong, decided_ns
                plan.keys, plan.values = keys, values
                fds.depended_on([int(path) for kind, path in keys if kind == Kind.PIPE])
                plan.prepare()
                store.touch(strong)
                self._in_vain.pop(weak, None)
                timing.spent("staging", since)
                return plan, ""
            withdrawn = withdrawn or store.withdrawn(strong)
        timing.spent("path sets", since)
        if awaited >= 0:
            self.awaited = awaited
            return None, "waiting"
        if latest is None:
            self._why, self._unknown = "unknown call", weak
            return None, "unknown call"
        if withdrawn is not None:
            self._why = f"non-deterministic: {withdrawn} differed"
            return None, "non-deterministic"
        if damaged:
            self._why = damaged
            return None, "damaged"
        if unknowable:
            self._why = f"cannot read an input: {unknowable}"
        else:
            self._seen = (weak, latest, known if shown is None else shown.hide_known(known))
        return None, "input changed"

    def _evaluate(
        self,
        call: Call,
        fds: FdView,
        facts: Facts,
        weak: Digest,
        paths: PathSet,
        keys: tuple[Key, ...],
        known: dict[Key, bytes],
        hidden: StandIns | None,
    ) -> tuple[Digest, Outcome | None, list[bytes]]:
        """The strong fingerprint now, its outcome, and the values that it is of: none if they were
        not needed.  Raises OSError, DamagedRow."""
        store, timing = self._store, self._counters.timing
        since = timing.now()
        shortcut = None
        try:
            if self.alone and hidden is None and len(paths.keys) >= _MANY:
                from pcache.memo.shortcuts import Shortcut

                shortcut = Shortcut(store.digests, facts, weak, paths, known)
                found = shortcut.strong()
                if found is not None and not shortcut.may_be(_written(call, fds)):
                    outcome = store.outcome(found)
                    if outcome is not None:
                        return found, outcome, []
            values = facts.values(keys, known)
        finally:
            since = timing.spent("facts", since)
        stored = values if hidden is None else hidden.hide_values(keys, values)
        strong = store.strong_fingerprint(weak, paths, stored)
        try:
            outcome = store.outcome(strong)
        finally:
            timing.spent("outcome", since)
        if outcome is not None and shortcut is not None:
            shortcut.keep(facts, known, strong)
        return strong, outcome, values


def _written(call: Call, fds: FdView) -> list[os.stat_result]:
    """The regular files that standard output and error are written to."""
    return [fds.status(fd) for fd, kind in enumerate(call.fds) if fd and kind == b"file"]


def _own_stream(call: Call, fds: FdView, facts: Facts, keys: Iterable[Key]) -> str:
    """The input that standard output or error is written to, if that was not so when the run was
    recorded."""
    written = _written(call, fds)
    if not written or not facts.saw(written):
        return ""
    told = {path.partition(b":")[2] for kind, path in keys if kind == Kind.STREAM}
    for kind, path in keys:
        if kind in OF_FILES and path not in told:
            try:
                status = os.stat(path)
            except OSError:
                continue
            if any(os.path.samestat(status, one) for one in written):
                from pcache.wording import text

                return text(path)
    return ""


def unknown_text(store: Store, weak: Digest) -> str:
    """Why a call has no record: it could not be recorded when it last ran, or was under other
    settings; empty if it never ran."""
    from pcache.store.inspect import under_other_settings

    try:
        reasons = sorted({reason.reason for reason in store.uncacheable(weak)})
        if reasons:
            return f"not cacheable when it last ran: {', '.join(reasons)}"
        return "recorded under other settings" if under_other_settings(store, weak) else ""
    except StoreError:
        return ""


def changed_inputs(store: Store, weak: Digest, paths: PathSet, now: dict[Key, bytes]) -> list[Key]:
    """Those that are not as in the version last used; none if that cannot be told."""
    try:
        facts = store.latest_facts(weak, paths)
    except (StoreError, ValueError):
        return []
    # What comes from a pipe that somebody can still write to is not known, nor is what follows.
    keys = ((fact.kind, fact.path, fact.value) for fact in facts)
    return [
        (kind, path)
        for kind, path, value in keys
        if now.get((kind, path), b"" if kind == Kind.PIPE else value) != value
    ]


def _changes(store: Store, weak: Digest, paths: PathSet, now: dict[Key, bytes]) -> str:
    """The first inputs that are not as in the version last used."""
    from pcache.wording import changed_text

    return changed_text(changed_inputs(store, weak, paths, now))
