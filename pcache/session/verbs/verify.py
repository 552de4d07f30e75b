"""`pcache verify`: is the store sound, and do its records still say what running says?"""

from __future__ import annotations

import os
import random
from collections import Counter
from math import ceil

from pcache.codec import DamagedRow
from pcache.counters import Counters
from pcache.errors import DamagedBlob, why_not
from pcache.linux.files import make_private_directory
from pcache.linux.user import User
from pcache.memo.facts import Facts
from pcache.model import Call, Digest, Fact, Outcome
from pcache.rerun.execution import CannotRerun, Why, in_copy, rerun
from pcache.session.steps.describe import call_text
from pcache.session.steps.policy import session_policy
from pcache.settings.rules import NO
from pcache.settings.units import size_text
from pcache.store.fingerprint import weak_fingerprint
from pcache.store.index import Store
from pcache.store.inspect import Stored, stored
from pcache.store.secrets import is_hidden
from pcache.store.verify import Report, Verifier
from pcache.store.workdirs import RERUN, abandoned, remove
from pcache.wording import counted, text

_DAMAGED = "it is damaged"
_NEVER = "it is configured never to be cached"


class Verification:
    """One verification of a store."""

    def __init__(self, store: Store) -> None:
        self.sound = True
        """Whether nothing was damaged and nothing differed."""
        self.lines: list[str] = []
        self.read_report = Report()
        """What is stored, and what of it is damaged."""
        self.sample: Sample | None = None
        """What was executed again."""
        self._store = store

    def read(self) -> None:
        """Reads everything that is stored."""
        report = self.read_report = Verifier(self._store).run()
        self.lines.append(
            f"{counted(report.records, 'record')} of {counted(report.calls, 'call')},"
            f" {counted(report.contents, 'content')}"
            f" ({size_text(report.bytes)}): {len(report.faults) or 'none'} damaged"
        )
        self.lines += [f"  damaged: {fault}" for fault in report.faults]
        if report.faults:
            self.sound = False
            self.lines.append("what is damaged is not replayed; recording it again mends it")

    def rerun(self, share: float) -> None:
        """Executes that share (0 to 1) of the records again, chosen by chance among those that
        would be replayed now."""
        records = stored(self._store)
        wanted = ceil(len(records) * share)
        random.shuffle(records)
        sample = self.sample = Sample(self._store, wanted)
        for record in records:
            if sample.done >= wanted:
                break
            sample.take(record)
        self.sound = self.sound and not sample.different
        self.lines.append(
            f"{sample.done} of {counted(len(records), 'record')} rerun: {sample.equal} equal,"
            f" {len(sample.different)} different"
        )
        self.lines += [f"  different: {line}" for line in sample.different]
        if sample.different:
            self.lines.append("what differs is quarantined: it is not replayed any more")
        if sample.done < wanted:
            self.lines.append(f"{wanted} were wanted; the others cannot be rerun:")
        elif sample.passed:
            self.lines.append("passed over, because they cannot be rerun:")
        for reason, count in sample.passed.most_common():
            example = sample.examples[reason]
            self.lines.append(f"  {count}: {reason}" + (f" (such as {example})" if example else ""))


class Sample:
    """Records that are executed again one after another."""

    def __init__(self, store: Store, wanted: int) -> None:
        self.wanted = wanted
        self.equal = 0
        self.different: list[str] = []
        self.passed: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self._store = store

    @property
    def done(self) -> int:
        return self.equal + len(self.different)

    def take(self, record: Stored) -> None:
        """Executes a record again, or counts why not."""
        try:
            call, facts, outcome = record.parts(self._store)
            self._check(record.weak, call, facts, outcome)
            folder = self._store.directory + RERUN
            make_private_directory(folder)
            what = rerun(call, facts, outcome, folder, self._store.blobs)
            if what:
                # Perhaps an input was changed meanwhile.
                self._check(record.weak, call, facts, outcome)
        except CannotRerun as error:
            self._pass(error.reason, error.evidence)
        except (DamagedRow, DamagedBlob):
            self._pass(_DAMAGED, "")
        except OSError as error:
            self._pass(Why.CHANGED, why_not(error))
        else:
            if what:
                self.different.append(f"{call_text(call)}   {what}")
                self._store.quarantine(record.weak, what)
            else:
                self.equal += 1

    def _pass(self, reason: str, evidence: str) -> None:
        self.passed[reason] += 1
        self.examples.setdefault(reason, evidence)

    def _check(self, weak: Digest, call: Call, facts: list[Fact], outcome: Outcome) -> None:
        policy = self._store.policy
        if (call.uid, call.gid) != (os.geteuid(), os.getegid()):
            raise CannotRerun(Why.USER, f"{call.uid}:{call.gid}")
        if policy.settings(call.executable, call.argv).never(call.argv) != NO:
            raise CannotRerun(_NEVER)
        if any(is_hidden(entry.partition(b"=")[2]) for entry in call.env):
            raise CannotRerun(Why.SECRET)
        if weak_fingerprint(call, policy) != weak:
            raise CannotRerun(Why.SETTINGS)
        present = Facts(self._store.digests, None, Counters(), call.uid, policy.base_dir)
        here = [fact for fact in facts if not in_copy(fact, outcome)]
        values = present.values([(fact.kind, fact.path) for fact in here], {})
        for fact, value in zip(here, values, strict=True):
            if value != fact.value:
                raise CannotRerun(Why.CHANGED, text(fact.path))


def verify(user: User, share: float) -> Verification:
    """Verifies the user's store, and reruns that share of its records.  Raises StoreError."""
    with Store.open(
        user.store_dir, create=False, policy=session_policy(user, os.getcwdb())[0]
    ) as store:
        abandoned(store.directory + RERUN, remove)
        verification = Verification(store)
        verification.read()
        if share:
            verification.rerun(share)
        return verification
