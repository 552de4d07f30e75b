"""The sessions of a store with what is known of their executions: for whoever asks about them."""

from __future__ import annotations

from pcache.codec import DamagedRow
from pcache.errors import DamagedBlob, StoreError, UsageError
from pcache.history import entries, log
from pcache.history.entries import HIT, Entry
from pcache.settings.rules import Policy
from pcache.store.inspect import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.history.log import Summary
    from pcache.model import Call, Fact, Key, Outcome
    from pcache.store.index import Store
    from pcache.store.inspect import Stored

    Parts = tuple[Call, list[Fact], Outcome]

LAST = "last"


class Session:
    """One session; its executions are read when they are asked for."""

    def __init__(self, store: Store, summary: Summary) -> None:
        self.summary = summary
        self._store = store
        self._entries: list[Entry] | None = None
        self._keys: dict[bytes, tuple[Key, ...]] = {}
        """Of path sets: many executions have the same one."""

    @property
    def number(self) -> int:
        return self.summary.number

    @property
    def entries(self) -> list[Entry]:
        """Its executions in the order of their start, the command itself first."""
        if self._entries is None:
            summary = self.summary
            self._entries = entries.read(self._store.directory, summary.name)
            # Of a command that came back nothing else is known.
            if not self._entries and summary.programs == summary.hits == 1:
                self._entries = [_whole(summary)]
        return self._entries

    def parts(self, entry: Entry) -> Parts | None:
        """Call, preconditions and outcome of an execution; None if it has no record, or one that
        is not in the store any more."""
        stored = self._record(entry)
        try:
            return None if stored is None else stored.parts(self._store)
        except (DamagedRow, DamagedBlob):
            return None

    def keys(self, entry: Entry) -> tuple[Key, ...]:
        """What an execution depended on, as far as its record is in the store."""
        stored = self._record(entry)
        if stored is None:
            return ()
        if stored.path_set not in self._keys:
            try:
                self._keys[stored.path_set] = stored.keys(self._store)
            except DamagedRow:
                self._keys[stored.path_set] = ()
        return self._keys[stored.path_set]

    def _record(self, entry: Entry) -> Stored | None:
        # Its paths are relative to where the session's `base_dir` was.
        self._store.policy = Policy(base_dir=self.summary.base_dir)
        return record(self._store, entry.strong) if entry.strong else None


def _whole(summary: Summary) -> Entry:
    entry = Entry(HIT, b"", summary.argv, summary.cwd)
    entry.start_ns, entry.end_ns = 0, summary.elapsed_ns
    entry.status, entry.saved_ns, entry.strong = summary.status, summary.saved_ns, summary.strong
    return entry


def sessions(store: Store) -> list[Session]:
    """All that are kept, the oldest first."""
    return [Session(store, summary) for summary in log.read(store.directory)]


def find(store: Store, text: str = LAST) -> tuple[Session, int | None]:
    """What `7`, `7.12`, `last` or `last.12` names: a session, and in it an execution.

    Raises UsageError, and StoreError if it is not kept (any more).
    """
    number, dot, execution = text.partition(".")
    if number != LAST and not number.isdigit():
        raise UsageError(f"{text!r} is neither a session nor an execution: such as 7, 7.12 or last")
    if dot and not execution.isdigit():
        raise UsageError(f"{text!r} is no execution: such as 7.12 or last.12")
    kept = sessions(store)
    found = kept[-1:] if number == LAST else [at for at in kept if at.number == int(number)]
    if not found:
        raise StoreError(
            "no session is kept" if number == LAST else f"session {number} is not kept",
            "`pcache log` lists those that are; the setting `history` says for how long",
        )
    session = found[0]
    if not dot:
        return session, None
    if int(execution) >= len(session.entries):
        raise StoreError(
            f"session {session.number} has no execution {execution}",
            f"`pcache show {session.number}` lists them",
        )
    return session, int(execution)
