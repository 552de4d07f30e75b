"""The state of inputs in names of SHA-256, beside what the local store calls it."""

from __future__ import annotations

from pcache.counters import Counters
from pcache.memo.facts import Facts
from pcache.model import Fact, Kind
from pcache.remote.ahead import Ahead
from pcache.remote.names import keys_of
from pcache.store.digests import Algorithm, DigestCache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.linux.descriptors import FdView
    from pcache.model import Key
    from pcache.remote.places import Places
    from pcache.store.index import Store

OWN_KEYS = ((Kind.BASE, b"home"), (Kind.BASE, b"user"), (Kind.BASE, b"host"))
"""What is only asked of shared records: it cannot change on one machine."""


def strong_digests(store: Store) -> DigestCache:
    """The SHA-256 of files, remembered beside their other digests."""
    from hashlib import sha256  # OpenSSL's

    algorithm = Algorithm("sha-256", sha256, lambda data: sha256(data).digest())
    return DigestCache(store.directory + b"/digests-sha256.db", Counters(), algorithm)


class Evaluation:
    """The facts about the inputs of one call, now.  Raises OSError if they cannot be known."""

    def __init__(
        self, store: Store, digests: DigestCache, places: Places, fds: FdView, uid: int
    ) -> None:
        base = store.policy.base_dir
        self._places = places
        self._digests = digests
        self._local = Facts(store.digests, fds, Counters(), uid, base)
        self._strong = Facts(digests, fds, Counters(), uid, base)
        self._known: dict[Key, tuple[bytes, bytes]] = {}

    def path_set(self, encoded: bytes) -> tuple[list[bytes], tuple[Fact, ...]] | None:
        """Hidden values in the order of an encoded path set, and the facts as the local store has
        them; None if it has keys that mean nothing here."""
        values = []
        facts = []
        keys = keys_of(encoded)
        self._look_ahead(keys)
        for key in keys:
            if key[0] == Kind.BASE:
                value = self._places.identity(key[1])
                values.append(value)
                if key not in OWN_KEYS:
                    facts.append(Fact(*key, value))
                continue
            try:
                shown = self._places.show_key(key)
                hidden, local = (
                    self._one(shown, facts) if key[0] == Kind.ONE else self._value(shown)
                )
            except (KeyError, ValueError):
                return None
            values.append(hidden)
            facts.append(Fact(*shown, local))
        return values, tuple(facts)

    def _look_ahead(self, keys: tuple[Key, ...]) -> None:
        """Takes the digests of large files side by side; whatever goes wrong is met again."""
        try:
            shown = [self._places.show_key(key) for key in keys if key[0] == Kind.CONTENT]
        except (KeyError, ValueError):
            return
        ahead = Ahead(self._digests, shown)
        try:
            if ahead.busy:
                self._local.values(shown)
                ahead.learn()
        except OSError:
            return
        finally:
            ahead.stop()

    def _one(self, key: Key, facts: list[Fact]) -> tuple[bytes, bytes]:
        keys = [(fact.kind, fact.path) for fact in facts]
        value = self._local.one(keys, [fact.value for fact in facts], key[1])
        return self._places.hide_value(key, value), value

    def _value(self, key: Key) -> tuple[bytes, bytes]:
        known = self._known.get(key)
        if known is None:
            before = self._local.evaluate(*key)
            strong = self._strong.evaluate(*key)
            if self._local.evaluate(*key) != before:
                raise OSError(f"{key[1]!r} keeps changing")
            known = self._known[key] = self._places.hide_value(key, strong), before
        return known
