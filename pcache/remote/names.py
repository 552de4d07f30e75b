"""The names of what is shared: SHA-256 of what it is about, the same on all machines."""

from __future__ import annotations

from pcache.codec import join
from pcache.sha256 import sha256_digest
from pcache.store.fingerprint import decode_keys, encode_keys, environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pcache.model import Call, Key
    from pcache.remote.machine import Machine
    from pcache.remote.places import Places
    from pcache.settings.rules import Policy

Name = bytes
"""32 bytes."""

_CALL = b"pcache shared call 7"
_COMMAND = b"pcache shared command 2"
_STATE = b"pcache shared state 1"
"""Change them whenever the meaning of what is shared changes."""


def call_name(
    call: Call, policy: Policy, places: Places, machine: Machine, portable: Iterable[bytes]
) -> Name:
    """Name of a call: the first phase of a look-up."""
    ignored = policy.settings(call.executable, call.argv).ignore_env
    return sha256_digest(
        join(
            (
                _CALL,
                places.hide_circumstances(policy.digest),
                machine.identity(portable, call.executable),
                places.hide_text(call.executable),
                places.hide_text(call.filename),
                join([places.hide_text(word) for word in call.argv]),
                join([places.hide_variable(one) for one in environment(call.env, ignored)]),
                places.hide_text(call.cwd),
                b"%o %b %x" % (call.umask, places.ids(call.uid, call.gid), call.ignored),
                join(call.streams()),
            )
        )
    )


def command_name(call: Call, places: Places) -> Name:
    """Name of what somebody typed, in whatever environment: what manifests are found by."""
    words = [places.hide_text(word) for word in (call.executable, call.cwd, *call.argv)]
    return sha256_digest(join((_COMMAND, *words)))


def state_name(call: Name, path_set: bytes, values: Sequence[bytes]) -> Name:
    """Name of a call with the state of its inputs: `values` in the order of an encoded set."""
    return sha256_digest(join((_STATE, call, sha256_digest(path_set), *values)))


def path_set(keys: Iterable[Key]) -> tuple[bytes, tuple[Key, ...]]:
    """Hidden keys in one string, and in its order."""
    ordered = tuple(sorted(set(keys)))
    return encode_keys(ordered), ordered


def keys_of(path_set: bytes) -> tuple[Key, ...]:
    """The keys in a string that `path_set` gave."""
    return decode_keys(path_set)
