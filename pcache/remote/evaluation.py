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
    from collections.abc import Callable, Sequence

    from pcache.linux.descriptors import FdView
    from pcache.model import Key
    from pcache.remote.places import Places
    from pcache.store.index import Store

_MEANINGLESS = (ArithmeticError, LookupError, TypeError, ValueError)
"""What comes of keys that are none, which only others can have made."""

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
        self._local_digests = store.digests
        self._local = Facts(store.digests, fds, Counters(), uid, base)
        self._strong = Facts(digests, fds, Counters(), uid, base)
        self._known: dict[Key, tuple[bytes, bytes]] = {}

    def path_set(
        self,
        encoded: bytes,
        expected: Sequence[bytes] = (),
        worth: Callable[[int], bool] = lambda _: True,
    ) -> tuple[list[bytes], tuple[Fact, ...]] | None:
        """Hidden values in the order of an encoded path set, and the facts as the local store has
        them; None if it has keys that mean nothing here.

        None also if the values are not those `expected`, which what costs least is tried for
        first, or if `worth` says that as many bytes are not to be read for them.
        """
        keys = keys_of(encoded)
        try:
            shown = [key if key[0] == Kind.BASE else self._places.show_key(key) for key in keys]
            ahead = Ahead((self._local_digests, self._digests), shown)
            if expected and not self._may_be(shown, expected, ahead):
                return None
            if not worth(ahead.bytes):
                return None
            ahead.learn()
            found = self._all(shown)
        except _MEANINGLESS:
            return None
        return None if expected and found[0] != list(expected) else found

    def _may_be(self, keys: Sequence[Key], expected: Sequence[bytes], ahead: Ahead) -> bool:
        """Whether all that is small has the value expected."""
        return all(
            self._value(key)[0] == value
            for key, value in zip(keys, expected, strict=True)
            if key[0] not in (Kind.BASE, Kind.ONE) and not ahead.has(key[1])
        )

    def _all(self, keys: Sequence[Key]) -> tuple[list[bytes], tuple[Fact, ...]]:
        values = []
        facts: list[Fact] = []
        for key in keys:
            if key[0] == Kind.BASE:
                value = self._places.identity(key[1])
                values.append(value)
                if key not in OWN_KEYS:
                    facts.append(Fact(*key, value))
                continue
            hidden, local = self._one(key, facts) if key[0] == Kind.ONE else self._value(key)
            values.append(hidden)
            facts.append(Fact(*key, local))
        return values, tuple(facts)

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
