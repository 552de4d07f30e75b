"""`pcache explain`: would this command hit now, and if not, what stands against it?

The decision itself is made as a replay makes it; the rest compares what is with what is stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from pcache.codec import DamagedRow
from pcache.errors import NoStore, why_not
from pcache.linux.descriptors import descriptor_trait_of
from pcache.linux.user import User
from pcache.memo.facts import Facts
from pcache.memo.numbered import names_now
from pcache.model import Call, Digest, Fact, Key, Kind, Outcome, PathSet, Uncacheable
from pcache.session.steps.calls import CallParts
from pcache.session.steps.command import Command
from pcache.session.steps.describe import call_text, value_text
from pcache.session.steps.policy import session_policy
from pcache.settings.never import never_because
from pcache.settings.rules import NO
from pcache.store import inspect
from pcache.store.fingerprint import environment, weak_fingerprint
from pcache.store.index import Store
from pcache.store.secrets import Secrets
from pcache.wording import STREAMS, aspect, subject, text

_VERSIONS = 50
"""How many versions of one path set are compared; the most recently used come first."""
_SETS = 10
_NEAR = 3
"""How many stored calls are shown beside an unknown one."""
_CHANGES = 20


class Compared:
    """The versions over one path set beside the present."""

    def __init__(self, facts: int, versions: int, used_ns: int) -> None:
        self.facts = facts
        self.versions = versions
        self.used_ns = used_ns
        """When the nearest of them was last used: time.time_ns."""
        self.differing = 0
        self.changes: dict[str, list[str]] = {}
        """What is not as in the nearest version, with all that is different about it."""


class Explanation:
    """The answer, in lines of text and in parts."""

    def __init__(self, store: Store, command: Command, call: Call | None) -> None:
        self.hit = False
        self.why = ""
        """Why there is nothing to compare with: never cached, unknown call, not looked up."""
        self.lines: list[str] = []
        self.outcome: Outcome | None = None
        """What a hit would restore."""
        self.versions: list[Compared] = []
        self.refusals: list[Uncacheable] = []
        self.contradictions: list[str] = []
        """What differed between executions over the same inputs."""
        self.calls: list[list[str]] = []
        """What is different about the nearest recorded calls."""
        self.otherwise: Explanation | None = None
        """Of the nearest recorded call, where only standard descriptors are different about it."""
        self.elsewhere: list[str] = []
        """What a shared store has."""
        self._store = store
        self._command = command
        if call is None:
            self.why = "not looked up"
            self._say("not looked up: the kernel alone can tell what this command starts")
            return
        self._facts = Facts(
            store.digests, command.fds, store.counters, base_dir=store.policy.base_dir
        )
        self._known: dict[Key, bytes] = {}
        self._explain(call)

    def _say(self, line: str, depth: int = 0) -> None:
        self.lines.append("  " * depth + line)

    def _explain(self, call: Call) -> None:
        weak = weak_fingerprint(call, self._store.policy)
        self._say("")  # the verdict is put here
        if self._store.policy.settings(call.executable, call.argv).never(call.argv) != NO:
            self.why = "never cached"
            self.lines[0] = f"miss: {call_text(call)}   never cached"
            because = never_because(self._store.policy, call.executable, call.argv)
            self._say(f"{text(call.executable)} always runs, {because}", 1)
            name = text(call.executable.rpartition(b"/")[2])
            self._say(f"to have it cached: pcache config set program.{name}.never_cache no", 1)
            return
        stored = self._store.path_sets(weak)
        for paths in stored[:_SETS]:
            self._compare(weak, paths)
        if len(stored) > _SETS:
            self._say(f"and {len(stored) - _SETS} more sets of paths, used longer ago", 1)
        self.refusals = self._store.uncacheable(weak)
        for reason in self.refusals:
            self._say(f"not cached when it last ran: {reason.reason}: {reason.evidence}", 1)
        self.contradictions = inspect.withdrawn(self._store, weak)
        for what in self.contradictions:
            self._say(f"non-deterministic: with the same inputs, {what} differed", 1)
        verdict = "hit" if self.hit else "miss"
        if not stored and not self.contradictions and not self.refusals:
            self.why = "unknown call"
            self._near(call)
        self.lines[0] = f"{verdict}: {call_text(call)}" + (f"   {self.why}" if self.why else "")

    def _compare(self, weak: Digest, paths: PathSet) -> None:
        """The versions over one path set against the present."""
        try:
            names = names_now(paths.keys, None)
            keys = paths.keys if names is None else tuple(map(names.show_key, paths.keys))
            values = self._facts.values(keys, self._known)
            values = values if names is None else names.hide_values(keys, values)
        except OSError as error:
            self._say(f"an input cannot be read: {why_not(error)}", 1)
            return
        strong = self._store.strong_fingerprint(weak, paths, values)
        try:
            outcome = self._store.outcome(strong)
        except DamagedRow as error:
            self._say(str(error), 1)
            return
        if outcome is not None:
            self.hit, self.outcome = True, outcome
            self._say(f"all {len(values)} facts about its inputs are as recorded", 1)
            self._say(
                f"it would end with {_status(outcome.status)}, put {len(outcome.outputs)} paths in"
                f" place and write {sum(n for _, n in outcome.chunks)} bytes, in place of"
                f" {outcome.wall_ns / 1e9:.3f} s",
                1,
            )
            return
        nearest: tuple[int, inspect.Version] | None = None
        stored = inspect.versions(self._store, weak, paths, _VERSIONS)
        for version in stored:
            distance = len(_differing(version.facts, values))
            if nearest is None or distance < nearest[0]:
                nearest = distance, version
        if nearest is None:
            return
        distance, version = nearest
        compared = Compared(len(values), len(stored), version.used_ns)
        self.versions.append(compared)
        self._say(
            f"{distance} of {len(values)} facts are not as in the nearest of {len(stored)} versions"
            f" (last used {_when(version.used_ns)}):",
            1,
        )
        changes = _changes(zip(version.facts, values, strict=True))
        compared.differing, compared.changes = distance, changes
        if all(map(_is_redirection, _differing(version.facts, values))):
            self._say("only what this explanation itself is written to is different:", 2)
        for name in list(changes)[:_CHANGES]:
            self._say(f"{name}:", 2)
            for line in changes[name]:
                self._say(line, 3)
        if len(changes) > _CHANGES:
            self._say(f"and {len(changes) - _CHANGES} more", 2)

    # ---- a call that was never recorded

    def _near(self, call: Call) -> None:
        """What is different about the stored calls that are most like it."""
        secrets = Secrets(self._store.directory, self._store.policy.secret_env)
        mine = CallParts(call, secrets.hide(environment(call.env)))
        near: list[tuple[int, list[str], Call]] = []
        for known, other in inspect.calls(self._store):
            if other.executable != call.executable:
                continue
            differences = mine.differences(CallParts(other, secrets.hide(environment(other.env))))
            if inspect.present_fingerprint(self._store, other) not in (known, b""):
                differences.append("settings of programs, or options of the sandbox")
            far = 100 if other.argv != call.argv else 0
            near.append((far + len(differences), differences, other))
        near.sort(key=lambda one: one[0])
        if not near:
            self._say(f"no call of {text(call.executable)} was ever recorded", 1)
            return
        same = [one for one in near if one[0] < 100]
        if not same:
            self._say(f"{text(call.executable)} was recorded with other arguments only", 1)
        for _, differences, _ in (same or near)[: _NEAR if same else 1]:
            self.calls.append(differences)
            self._say("the nearest recorded call differs in:", 1)
            for line in differences[:_CHANGES]:
                self._say(line, 2)
            if len(differences) > _CHANGES:
                self._say(f"and {len(differences) - _CHANGES} more", 2)
        _, differences, nearest = near[0]
        if differences and all(line.startswith(STREAMS) for line in differences):
            self._say("and that one, from here:", 1)
            self.otherwise = Explanation(self._store, self._command, nearest)
            for line in self.otherwise.lines:
                self._say(line, 2)


def _differing(facts: Sequence[Fact], values: Sequence[bytes]) -> list[Fact]:
    return [fact for fact, value in zip(facts, values, strict=True) if fact.value != value]


def _is_redirection(fact: Fact) -> bool:
    """Whether it is about what standard output or error are."""
    if fact.kind == Kind.FD:
        return fact.path in (b"1", b"2")
    about = descriptor_trait_of(fact.path) if fact.kind == Kind.TRAIT else None
    return about is not None and about[1] in (1, 2)


def _changes(facts: Iterable[tuple[Fact, bytes]]) -> dict[str, list[str]]:
    """What has changed about each thing that facts are about, from `fact.value` to the value now.

    Facts of several kinds may say the same of a path.
    """
    found: dict[str, list[str]] = {}
    for fact, value in facts:
        if fact.value == value:
            continue
        old, new = value_text(fact.kind, fact.value), value_text(fact.kind, value)
        what = aspect(fact.kind)
        line = f"{what}: " if what else ""
        line += f"{old} -> {new if new != old else 'something else'}"
        lines = found.setdefault(subject(fact.kind, fact.path), [])
        if line not in lines:
            lines.append(line)
    return found


def _status(status: int) -> str:
    signal = status & 0x7F
    return f"signal {signal}" if signal else f"exit status {status >> 8 & 0xFF}"


def _when(ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(ns // 10**9))


def explain(command: Command, user: User) -> Explanation:
    """The explanation for a command.  Raises ConfigError, and StoreError if there is no store."""
    policy, _ = session_policy(user, command.cwd)
    try:
        # Where there is a shared store, others may have recorded what we have not.
        store = Store.open(user.store_dir, create=bool(policy.remote), policy=policy)
    except NoStore as error:
        raise NoStore(
            f"nothing was recorded yet: {error}", "record something: sudo pcache trace COMMAND"
        ) from error
    with store:
        explanation = Explanation(store, command, command.call)
        if policy.remote and command.call is not None and not explanation.hit:
            from pcache.session.verbs.explain_elsewhere import lines_about

            explanation.elsewhere += lines_about(store, command, command.call, user)
            explanation.lines += [f"  {line}" for line in explanation.elsewhere]
        return explanation
