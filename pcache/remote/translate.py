"""Records of the local store as they are shared, or why they cannot be."""

from __future__ import annotations

from pcache.codec import DamagedRow
from pcache.counters import Counters
from pcache.errors import DamagedBlob
from pcache.linux.descriptors import OwnFds
from pcache.memo.facts import Facts
from pcache.model import Kind
from pcache.remote.evaluation import strong_digests
from pcache.remote.forms import Shared, encode_outcome, renamed
from pcache.remote.machine import Machine
from pcache.remote.names import call_name, path_set, state_name
from pcache.remote.places import Places
from pcache.remote.scan import Scanner
from pcache.remote.secrets import secret_names, secret_values
from pcache.settings.remote import USER
from pcache.sha256 import sha256_digest
from pcache.store.fingerprint import environment, weak_fingerprint
from pcache.store.records import contents
from pcache.values import content_of
from pcache.wording import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pcache.linux.user import User
    from pcache.model import Call, Digest, Fact, Key, Outcome
    from pcache.remote.known import Known
    from pcache.remote.names import Name
    from pcache.settings.remote import Remote
    from pcache.settings.rules import Policy
    from pcache.store.index import Store
    from pcache.store.inspect import Stored

_OF_CONTENT = (Kind.CONTENT, Kind.LCONTENT)
_ACCOUNTS = (b"/etc/passwd", b"/etc/group")
"""Who looks there wants to know who somebody is, mostly the user; that there is no such name is an
answer too."""
_HOST_NAME = b"/proc/sys/kernel/hostname"
_LIMITS, _OTHERS = b" limits ", b" groups "
"""What parts of `Policy.digest` begin with: `pcache.linux.limits.tag`."""


class NotShared(Exception):
    """Why a record stays here, for people."""


class Translated:
    """A record as it is shared."""

    __slots__ = ("call", "contents", "facts", "label", "outcome", "path_set", "state")

    def __init__(
        self,
        label: bytes,
        call: Name,
        facts: Sequence[tuple[Key, bytes]],
        path_set: bytes,
        outcome: bytes,
        contents: dict[Name, tuple[Digest, int]],
        state: Name,
    ) -> None:
        self.label = label
        """The command line."""
        self.call = call
        self.facts = facts
        """Hidden keys and values, in the order of the path set."""
        self.path_set = path_set
        self.outcome = outcome
        self.contents = contents
        """Local digest and size of each content."""
        self.state = state


class Translator:
    """For one store and user."""

    def __init__(self, store: Store, remote: Remote, user: User, known: Known) -> None:
        self._store = store
        self._remote = remote
        self._known = known
        self.places = Places(store.policy, user, remote.map)
        self.machine = Machine()
        self._digests = strong_digests(store)
        secrets = secret_values(user.env, store.policy.secret_env)
        self._scanner = Scanner(store.blobs, self.places, secrets)
        fds, base = OwnFds(), store.policy.base_dir
        self._local = Facts(store.digests, fds, Counters(), user.uid, base)
        self._strong = Facts(self._digests, fds, Counters(), user.uid, base)

    def close(self) -> None:
        self._digests.close()

    def call_name(self, call: Call) -> Name:
        return call_name(call, self._store.policy, self.places, self.machine, self._remote.portable)

    def about(self, call: Call) -> dict[bytes, bytes]:
        """A call for people: see `about`."""
        return about(call, self.places, self.machine, self._store.policy, self._remote.portable)

    def translate(self, stored: Stored) -> Translated:
        """Raises NotShared."""
        try:
            call, facts, outcome = stored.parts(self._store)
            self._refuse_secrets(call)
            # Its name has settings, limits and groups in it, which are those of this process.
            if weak_fingerprint(call, self._store.policy) != stored.weak:
                raise NotShared(
                    "recorded under other settings, limits, groups or sandbox options than are"
                    " in force here, or in another directory of base_dir"
                )
            return self._translate(call, facts, outcome)
        except (DamagedRow, DamagedBlob) as error:
            raise NotShared(str(error)) from error
        except OSError as error:
            raise NotShared(f"something cannot be read: {error.strerror}") from error

    def _refuse_secrets(self, call: Call) -> None:
        policy = self._store.policy
        ignored = policy.settings(call.executable, call.argv).ignore_env
        for name in secret_names(environment(call.env, ignored), policy.secret_env):
            raise NotShared(
                f"variable {name.decode(errors='replace')} looks like a secret"
                " (ignore_env says that it makes no difference, secret_env that it is none)"
            )

    def _translate(self, call: Call, facts: list[Fact], outcome: Outcome) -> Translated:
        shows: set[bytes] = set()
        values: dict[Key, bytes] = {}
        for fact in facts:
            key = self.places.hide_key((fact.kind, fact.path))
            value = self._value(fact, shows)
            values[key] = self.places.hide_value((fact.kind, fact.path), value)
        shared, held = self._contents(outcome, shows)
        for what in shows:
            values[Kind.BASE, what] = self.places.identity(what)
        encoded, keys = path_set(values)
        ordered = [values[key] for key in keys]
        name = self.call_name(call)
        state = state_name(name, encoded, ordered)
        return Translated(
            b" ".join(call.argv),
            name,
            list(zip(keys, ordered, strict=True)),
            encoded,
            encode_outcome(state, shared),
            held,
            state,
        )

    # ---- facts

    def _value(self, fact: Fact, shows: set[bytes]) -> bytes:
        """The value with SHA-256 in place of local digests; notes what shows in it."""
        if fact.kind == Kind.PIPE:
            raise NotShared("what it read from a pipe is not kept")
        if fact.kind == Kind.NUMBERED:
            raise NotShared("it made a numbered directory")
        path = self.places.hide_path(fact.path)
        shows |= self._scanner.text(path)
        if fact.path in _ACCOUNTS and self.places.name:
            shows.add(USER)
        digest = content_of(fact.value)
        if digest and fact.kind in _OF_CONTENT:
            name = self._name(fact, digest, shows)
        elif digest and fact.kind == Kind.INPUT:
            name = self._of_descriptor(digest)
        else:
            if fact.value[:1] == b"l":
                shows |= self._scanner.text(fact.value)
            return fact.value
        return fact.value.removesuffix(digest) + name

    def _of_descriptor(self, digest: Digest) -> Name:
        if not self._store.blobs.has(digest):
            raise NotShared("what it read from a descriptor is not known any more")
        return self._scanner.blob(digest).name

    def _name(self, fact: Fact, digest: Digest, shows: set[bytes]) -> Name:
        """SHA-256 of an input: of the file as it is, if it is as it was; else of a content that
        the store has."""
        if self._is_as_recorded(fact):
            strong = self._strong.evaluate(fact.kind, fact.path)
            name = content_of(strong)
            if self._is_as_recorded(fact) and name:
                if fact.path != _HOST_NAME:
                    found = self._scanner.input(fact.path, name)
                    if found is None:
                        raise NotShared(f"{text(fact.path)} cannot be searched for names")
                    shows |= found
                return name
        if self._store.blobs.has(digest):
            scanned = self._scanner.blob(digest)
            shows |= scanned.shows
            return scanned.name
        raise NotShared(f"{text(fact.path)} is not what it was any more")

    def _is_as_recorded(self, fact: Fact) -> bool:
        try:
            return self._local.evaluate(fact.kind, fact.path) == fact.value
        except OSError:
            return False

    # ---- outcomes

    def _contents(
        self, outcome: Outcome, shows: set[bytes]
    ) -> tuple[Shared, dict[Name, tuple[Digest, int]]]:
        names: dict[Digest, Name] = {}
        held: dict[Name, tuple[Digest, int]] = {}
        for digest in contents(outcome):
            scanned = self._scanner.blob(digest)
            if scanned.is_secret:
                raise NotShared("something that it wrote looks like a secret")
            shows |= scanned.shows
            names[digest] = scanned.name
            held[scanned.name] = digest, scanned.size
            self._known.note(digest, scanned.name)
        for one in outcome.outputs:
            shows |= self._scanner.text(self.places.hide_path(one.path))
            if one.kind == b"l":
                shows |= self._scanner.text(one.content)
            if one.mode & ~0o1777:
                raise NotShared("it makes a set-user-ID or set-group-ID file")
        hidden = self.places.hide_outcome(renamed(outcome, names))
        return Shared(hidden, {name: size for name, (_, size) in held.items()}), held


def about(
    call: Call, places: Places, machine: Machine, policy: Policy, portable: Iterable[bytes]
) -> dict[bytes, bytes]:
    """A call in parts, for people elsewhere to compare theirs with; of variables only digests."""
    ignored = policy.settings(call.executable, call.argv).ignore_env
    secret = set(secret_names(call.env, policy.secret_env))
    parts = {
        b"arguments": b" ".join(map(places.hide_text, call.argv)),
        b"executed as": places.hide_text(call.filename),
        b"directory": places.hide_text(call.cwd),
        b"umask": b"%03o" % call.umask,
        b"user and group": places.ids(call.uid, call.gid),
        b"ignored signals": b"%x" % call.ignored,
        b"standard output and error": b" ".join(call.streams()),
        b"architecture and page size": machine.kind,
        b"processor": machine.name,
        b"all that the processor tells": _short(machine.identity(portable, call.executable)),
    }
    settings, _, rest = places.hide_circumstances(policy.digest).partition(_LIMITS)
    limits, _, groups = rest.partition(_OTHERS)
    parts[b"settings of programs"] = _short(settings)
    parts[b"limits and capabilities"] = limits
    parts[b"groups and sandbox"] = groups
    for entry in environment(call.env, ignored):
        name = entry.partition(b"=")[0]
        if name not in secret:
            parts[b"variable " + name] = _short(places.hide_variable(entry))
    return parts


def _short(data: bytes) -> bytes:
    """To tell what is equal from what is not."""
    return sha256_digest(data).hex()[:8].encode()
