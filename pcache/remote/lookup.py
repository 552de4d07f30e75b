"""Asking a shared store for what the local one does not have.

What is found is verified, and becomes a record of the local store: then the ordinary decision finds
it there.  Waiting has a bound: a session may wait for as long as one look-up may take, and for what
it has saved so far.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pcache.errors import PcacheError
from pcache.model import Call, Fact, Record
from pcache.remote import frames
from pcache.remote.errors import RemoteError, Untrusted
from pcache.remote.link import Link
from pcache.remote.names import Name, call_name, command_name, state_name
from pcache.remote.places import Places
from pcache.settings.remote import unpacked
from pcache.sha256 import SIZE
from pcache.store.fingerprint import weak_fingerprint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.counters import Counters
    from pcache.linux.descriptors import FdView
    from pcache.linux.user import User
    from pcache.remote.evaluation import Evaluation
    from pcache.remote.forms import Entry, Shared
    from pcache.remote.machine import Machine
    from pcache.store.digests import DigestCache
    from pcache.store.index import Store

_PREFETCHED = 256 << 20
"""Bytes at most that are fetched before anybody asks for them."""
_STARTING_NS = 500_000_000
"""What the first look-up may take longer: the agent has to start."""
_SUPERVISION_NS = 100_000_000
"""What starting a command under supervision takes, besides running it."""
_READ, _RECEIVED = 1e9, 50e6
"""Bytes in a second: of inputs that are read for their digests (SHA-256 takes most of it: 1.8e9 of
one processor with instructions for it), and of contents."""


class Elsewhere:
    """A shared store behind a local one, for one session."""

    def __init__(
        self,
        store: Store,
        user: User,
        cwd: bytes,
        counters: Counters,
        become: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        """`become`: turns a child into the user for good; `tell` is given lines for people.

        Raises DamagedRow or ValueError for settings that are none.
        """
        policy = store.policy
        self._store = store
        self._counters = counters
        self._tell = tell
        self._remote = unpacked(policy.remote)
        self._places = Places(policy, user, self._remote.map)
        self._machine: Machine | None = None
        self._digests: DigestCache | None = None
        self._cwd = cwd
        self._user = user
        self._link = Link(store.directory, self._remote, user, become)
        self._timeout_ns = self._remote.timeout_ms * 1_000_000
        self._saved_ns = 0
        self._forgone_ns = 0
        """What those hits would have saved that were declined."""
        self._entries: dict[Name, list[Entry]] | None = None
        """By call: what the manifests of the command say; None before they were asked for."""
        self._has_manifest = False
        self._contents: dict[Name, bytes] = {}
        """That came with them."""
        self._asked: set[Name] = set()
        self._told: set[type[Exception]] = set()

    @property
    def usable(self) -> bool:
        """Whether there is any use in asking."""
        return self._link.usable and self._link.waited_ns <= self._allowance_ns

    @property
    def _allowance_ns(self) -> int:
        return self._timeout_ns + self._saved_ns + _STARTING_NS

    def bring(self, call: Call, fds: FdView) -> bool:
        """Whether the local store has a record now that holds for a call, by others' help."""
        if not self.usable:
            return False
        first = self._entries is None
        since = self._counters.timing.now()
        brought = self._bring(call, fds, first)
        self._counters.timing.spent("remote", since)
        if first and not brought:
            self._prefetch()
        return brought

    def close(self) -> None:
        """The agent ends; what was learnt of files is kept."""
        self._link.close()
        if self._digests is not None:
            self._digests.close()

    # ---- finding

    def _bring(self, call: Call, fds: FdView, first: bool) -> bool:
        try:
            command, manifests = b"", 0
            if first:  # before all else: the agent has to start
                self._entries = {}
                command = command_name(call, self._places)
                manifests = self._link.ask(frames.MANIFESTS, command)
            name = self._name(call)
            if name in self._asked:
                return False
            self._asked.add(name)
            self._counters.inc("remote look-ups")
            pending = self._link.ask(frames.PATH_SETS, name) if first else 0
            evaluation = self._evaluation(call, fds)
            doubt = self._read_manifests(command, manifests) if first else None
            found = self._find(name, evaluation, pending, first)
            if found is None and doubt is not None:
                raise doubt
            if found is not None and self._take(call, *found):
                self._counters.inc("remote hits")
                return True
        except Untrusted as error:
            self._counters.inc("remote doubts")
            self._say(error)
        except (PcacheError, OSError) as error:
            self._counters.inc("remote failures")
            self._say(error)
        return False

    def _name(self, call: Call) -> Name:
        from pcache.remote.machine import Machine

        self._machine = self._machine or Machine()
        return call_name(
            call, self._store.policy, self._places, self._machine, self._remote.portable
        )

    def _evaluation(self, call: Call, fds: FdView) -> Evaluation:
        from pcache.remote.evaluation import Evaluation, strong_digests

        if self._digests is None:
            self._digests = strong_digests(self._store)
        return Evaluation(self._store, self._digests, self._places, fds, call.uid)

    def _find(
        self, name: Name, evaluation: Evaluation, pending: int, first: bool
    ) -> tuple[Shared, tuple[Fact, ...]] | None:
        """`pending`: the request for path sets, if it was made."""
        from pcache.remote.forms import decode_outcome

        for entry in (self._entries or {}).get(name, ()):
            state = state_name(name, entry.path_set, entry.values)
            found = decode_outcome(state, entry.outcome)
            declined = self._counters["remote hits declined"]
            held = evaluation.path_set(
                entry.path_set, entry.values, partial(self._pays, found, first)
            )
            if held is not None:
                return found, held[1]
            if self._counters["remote hits declined"] > declined:
                return None
        if self._has_manifest and not first:
            return None  # it tells of all that the command needed
        return self._find_by_path_sets(name, evaluation, pending, first)

    def _read_manifests(self, command: Name, number: int) -> Untrusted | None:
        """Why there is none that is believed, if so."""
        from pcache.remote.forms import decode_manifest

        try:
            found = self._link.answer(number, self._timeout_ns + _STARTING_NS)
            for data in found or ():
                manifest = decode_manifest(command, data)
                self._has_manifest = True
                self._contents.update(manifest.contents)
                for entry in manifest.entries:
                    assert self._entries is not None
                    self._entries.setdefault(entry.call, []).append(entry)
        except Untrusted as error:
            return error
        return None

    def _find_by_path_sets(
        self, name: Name, evaluation: Evaluation, pending: int, first: bool
    ) -> tuple[Shared, tuple[Fact, ...]] | None:
        from pcache.remote.forms import decode_outcome

        number = pending or self._link.ask(frames.PATH_SETS, name)
        for path_set in self._link.answer(number, self._timeout_ns) or ():
            if path_set[:SIZE] != name:
                continue  # of another call
            encoded = path_set[SIZE:]
            state = evaluation.path_set(encoded, worth=self._is_read_in_time)
            if state is None:
                continue
            wanted = state_name(name, encoded, state[0])
            answer = self._link.answer(self._link.ask(frames.OUTCOME, wanted), self._timeout_ns)
            if answer:
                found = decode_outcome(wanted, answer[0])
                return (found, state[1]) if self._pays(found, first) else None
        return None

    def _is_read_in_time(self, size: int) -> bool:
        return _reading_ns(size) <= self._timeout_ns

    def _pays(self, found: Shared, first: bool, size: int = 0) -> bool:
        """Whether restoring an outcome takes less than running it, with as many bytes of inputs to
        be read first.

        Their digests are of use to all that the manifest tells of, which share the cost, and to
        later sessions: it is paid once.
        """
        sizes = self._not_here(found)
        sharing = sum(map(len, (self._entries or {}).values())) or 1
        cost_ns = _reading_ns(size) // sharing + _receiving_ns(sum(sizes.values()))
        if first:
            # Supervising a command costs more than a round trip: processes, a filter.
            cost_ns -= _SUPERVISION_NS
        elif sizes:
            cost_ns += self._link.round_trip_ns
        wall_ns = found.outcome.wall_ns
        if cost_ns <= wall_ns + self._forgone_ns:
            return True
        self._forgone_ns += wall_ns
        self._counters.inc("remote hits declined")
        return False

    def _not_here(self, found: Shared) -> dict[Name, int]:
        """Names and sizes of the contents that have to be asked for."""
        return {
            name: size
            for name, size in found.sizes.items()
            if (content := self._contents.get(name)) is None or len(content) != size
        }

    # ---- taking

    def _take(self, call: Call, found: Shared, facts: tuple[Fact, ...]) -> bool:
        """Fetches all contents, then makes a record of it.  Raises RemoteError, StoreError."""
        from pcache.remote.arrival import Bounds
        from pcache.remote.forms import check_paths, renamed

        wall_ns = found.outcome.wall_ns
        try:
            outcome = self._places.show_outcome(found.outcome)
        except ValueError as error:
            raise Untrusted(f"an outcome of the shared store means nothing here: {error}") from None
        directories = (self._store.policy.base_dir or self._cwd, *self._remote.restore)
        temporary = self._user.env.get(b"TMPDIR", b"")
        check_paths(outcome, Bounds(directories, self._user.home, temporary).allow)
        sizes = self._not_here(found)
        digests: dict[Name, bytes] = {}
        if sizes:
            number = self._link.ask(frames.CONTENTS, *frames.contents(sizes))
            answer = self._link.answer(number, self._timeout_ns + wall_ns // 2)
            if answer is None:
                return False  # some content has expired
            digests = dict(zip(sizes, answer, strict=True))
        for name in found.sizes.keys() - sizes.keys():
            digests[name] = self._store.blobs.put_bytes(self._contents[name])
        self._counters.inc("remote bytes received", sum(found.sizes.values()))
        weak = weak_fingerprint(call, self._store.policy)
        self._store.add(Record(call, weak, facts, renamed(outcome, digests)))
        self._saved_ns += wall_ns
        return True

    def _prefetch(self) -> None:
        """What the children of a command that has to run will ask for."""
        if not self._link.usable:
            return
        from pcache.remote.forms import decode_outcome

        sizes: dict[Name, int] = {}
        total = 0
        for entry in [entry for entries in (self._entries or {}).values() for entry in entries]:
            try:
                state = state_name(entry.call, entry.path_set, entry.values)
                found = decode_outcome(state, entry.outcome)
            except Untrusted:
                continue
            more = self._not_here(found)
            total += sum(more.values())
            if total > _PREFETCHED:
                break
            sizes.update(more)
        if sizes:
            try:
                self._link.ask(frames.PREFETCH, *frames.contents(sizes))
            except RemoteError as error:
                self._say(error)

    def _say(self, error: Exception) -> None:
        """Once for each kind of trouble."""
        if type(error) not in self._told:
            self._told.add(type(error))
            self._tell(f"pcache: remote: {error}")


def _reading_ns(size: int) -> int:
    return int(size / _READ * 1e9)


def _receiving_ns(size: int) -> int:
    return int(size / _RECEIVED * 1e9)
