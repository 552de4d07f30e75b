"""Sessions made up for the tests: what became of executions, with their records in a store."""

from __future__ import annotations

import random
from pathlib import Path

from pcache.history import entries, log
from pcache.history.entries import HIT, REFUSED, STORED, Entry
from pcache.history.log import Summary
from pcache.history.sessions import Session, sessions
from pcache.model import Call, Fact, Kind, Outcome, Output, Reason, Record
from pcache.store.fingerprint import weak_fingerprint
from pcache.store.index import Store

MS = 1_000_000


class Made:
    """One session in the making."""

    def __init__(self, store: Store, argv: tuple[bytes, ...] = (b"make",)) -> None:
        self.store = store
        self.summary = Summary("run", argv, b"/src", b"")
        self.entries: list[Entry] = []

    def add(
        self,
        verdict: str,
        command: str,
        start_ms: int = 0,
        end_ms: int = 0,
        parent: int = 0,
        reads: tuple[str, ...] = (),
        writes: tuple[str, ...] = (),
        changed: tuple[str, ...] = (),
        reason: str = "",
    ) -> int:
        """An execution; its number.  `reads` and `writes`: names in /src."""
        argv = tuple(command.encode().split())
        entry = Entry(verdict, b"/bin/" + argv[0], argv, b"/src", parent if self.entries else -1)
        entry.start_ns, entry.end_ns = start_ms * MS, end_ms * MS
        entry.cpu_ns, entry.status = (end_ms - start_ms) * MS // 2, 0
        entry.saved_ns = 100 * MS if verdict == HIT else 0
        entry.changed = tuple((Kind.CONTENT, b"/src/" + name.encode()) for name in changed)
        entry.miss = "input changed" if changed else "unknown call" if verdict != HIT else ""
        entry.reasons = ((reason, f"evidence of {reason}"),) if reason else ()
        if verdict in (HIT, STORED):
            entry.strong = self._record(argv, reads, writes)
        self.entries.append(entry)
        return len(self.entries) - 1

    def _record(
        self, argv: tuple[bytes, ...], reads: tuple[str, ...], writes: tuple[str, ...]
    ) -> bytes:
        call = Call(b"/bin/" + argv[0], argv, (), b"/src", 0o22, 0, 0, (b"null", b"pipe", b"pipe"))
        facts = tuple(Fact(Kind.CONTENT, b"/src/" + name.encode(), b"f644:x") for name in reads)
        content = self.store.blobs.put_bytes(b"content")
        outputs = tuple(Output(b"f", b"/src/" + name.encode(), 0o644, content) for name in writes)
        weak = weak_fingerprint(call)
        self.store.add(Record(call, weak, facts, Outcome(0, outputs, wall_ns=MS)))
        return self.store.added

    def keep(self, began_ns: int = 1) -> Session:
        """Into the history of the store."""
        from pcache.session.steps.causes import summarize

        number = len(log.read(self.store.directory)) + 1
        summary = self.summary
        summary.name, summary.began_ns, summary.status = b"%d" % number, began_ns, 0
        summary.elapsed_ns = max(entry.end_ns for entry in self.entries)
        summarize(summary, self.entries)
        entries.write(self.store.directory, summary.name, self.entries)
        log.append(self.store.directory, summary)
        return sessions(self.store)[-1]


def open_store(path: Path) -> Store:
    return Store.open(bytes(path / "pcache"))


def large(store: Store, count: int) -> Session:
    """A build with so many executions, eight at a time."""
    chance = random.Random(1)
    made = Made(store, (b"make", b"-j8"))
    made.add(REFUSED, "make -j8", 0, count * 3 + 100, reason=Reason.NETWORK)
    ends = [5] * 8
    with store.batch():
        while len(made.entries) < count:
            slot = ends.index(min(ends))
            start, took = ends[slot] + 1, chance.randint(2, 40)
            number = len(made.entries)
            verdict = chance.choice((HIT, STORED, STORED, REFUSED))
            inner = made.add(
                verdict,
                f"cc -c file{number}.c <b>&amp;</script>",
                start,
                start + took,
                reads=("common.h", f"file{number % 100}.c"),
                reason=Reason.SHORTAGE if verdict == REFUSED else "",
            )
            if verdict == STORED and len(made.entries) < count:
                made.add(STORED, f"cc1 file{number}.c", start + 1, start + took - 1, inner)
            ends[slot] = start + took
    made.entries[0].end_ns = (max(ends) + 5) * MS
    return made.keep()
