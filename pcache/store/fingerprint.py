"""Fingerprints: what makes two calls, and two states of their inputs, the same."""

from __future__ import annotations

from xxhash import xxh3_64_digest, xxh3_128_digest

from pcache.codec import join
from pcache.model import PathSet
from pcache.settings.defaults import IGNORED_ENVIRONMENT, MAKE_FLAGS
from pcache.settings.rules import DEFAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pcache.model import Call, Digest, Key
    from pcache.settings.base_dir import Base
    from pcache.settings.rules import Policy

_FORMAT = b"pcache call 18"
"""Part of every weak fingerprint: change it whenever the meaning of a stored fact changes."""

_IGNORED = frozenset(name for name, _ in IGNORED_ENVIRONMENT if not name.endswith(b"*"))
_IGNORED_PREFIXES = tuple(name[:-1] for name, _ in IGNORED_ENVIRONMENT if name.endswith(b"*"))
_MAKE_FLAGS = frozenset(name for name, _ in MAKE_FLAGS)


def _make_flags(value: bytes) -> bytes:
    """MAKEFLAGS without parallelism.

    GNU make writes: bundled letters, then options one word each, then ` -- ` and the variables
    given on the command line, in whose values blanks are escaped (job.c, main.c: define_makeflags).
    """
    options, separator, variables = value.partition(b" -- ")
    kept = [
        word
        for word in options.split(b" ")
        if not word.startswith((b"--jobserver-auth=", b"--jobserver-fds=", b"--jobserver-style="))
        and not (word.startswith((b"-j", b"--jobs=")) and _is_count(word))
    ]
    # Only a lone -jN leaves " " or "" in front of the rest, depending on the version of make.
    return b" ".join(kept).strip(b" ") + separator + variables


def _is_count(word: bytes) -> bool:
    number = word.removeprefix(b"--jobs=").removeprefix(b"-j")
    return not number or number.isdigit()


def environment(entries: Iterable[bytes], ignored: tuple[bytes, ...] = ()) -> tuple[bytes, ...]:
    """The entries (`NAME=value`) that belong to a call, filtered and normalised, in their order.

    `ignored` are further names to leave out; a final `*` stands for any ending.
    Which comes first is seen by who lists them, as env(1) does, and getenv(3) returns the first of
    several of one name; shells, make, ninja and npm hand on the same in the same order.
    """
    prefixes = tuple([name[:-1] for name in ignored if name.endswith(b"*")])
    kept = []
    for entry in entries:
        name, equals, value = entry.partition(b"=")
        if name in _IGNORED or name.startswith(_IGNORED_PREFIXES):
            continue
        if ignored and (name in ignored or name.startswith(prefixes)):
            continue
        is_flags = name in _MAKE_FLAGS
        kept.append(name + equals + _make_flags(value) if is_flags else entry)
    return tuple(kept)


_fields: dict[tuple[tuple[bytes, ...], tuple[bytes, ...], bytes], bytes] = {}
"""The last environments as they enter fingerprints: what a build starts has few different ones."""
_FIELDS_LIMIT = 64


def _environment_field(
    entries: tuple[bytes, ...], ignored: tuple[bytes, ...], base: Base | None
) -> bytes:
    key = (entries, ignored, b"" if base is None else base.path)
    field = _fields.get(key)
    if field is None:
        if len(_fields) >= _FIELDS_LIMIT:
            _fields.clear()
        field = join(_hidden(environment(entries, ignored), base))
        _fields[key] = field
    return field


def _hidden(texts: tuple[bytes, ...], base: Base | None) -> tuple[bytes, ...]:
    return texts if base is None else tuple(map(base.hide_text, texts))


def arguments_digest(argv: tuple[bytes, ...], base: Base | None = None) -> bytes:
    """What the weak fingerprint of every call with these arguments begins with.

    So that a store can tell that nothing is known of any of them, before the rest is looked at.
    """
    return xxh3_64_digest(_arguments_field(argv, base))


ARGUMENTS_BYTES = 8
"""Of such a beginning."""

_last: tuple[tuple[bytes, ...], Base | None, bytes] = ((), None, join(()))
"""The arguments that were asked for last: a decision asks twice."""


def _arguments_field(argv: tuple[bytes, ...], base: Base | None) -> bytes:
    global _last
    if _last[0] is not argv or _last[1] is not base:
        _last = (argv, base, join(_hidden(argv, base)))
    return _last[2]


def weak_fingerprint(call: Call, policy: Policy = DEFAULT) -> Digest:
    """Digest of the call: the first phase of a lookup."""
    ignored = policy.settings(call.executable, call.argv).ignore_env
    base = policy.base
    executable, filename, cwd = _hidden((call.executable, call.filename, call.cwd), base)
    return arguments_digest(call.argv, base) + xxh3_128_digest(
        join(
            (
                _FORMAT,
                policy.digest,
                executable,
                filename,
                _arguments_field(call.argv, base),
                _environment_field(call.env, ignored, base),
                cwd,
                b"%o %d %d %x" % (call.umask, call.uid, call.gid, call.ignored),
                join(call.streams()),
            )
        )
    )


def path_set(keys: Iterable[Key]) -> PathSet:
    """The distinct keys in a canonical (sorted) order."""
    return encoded_path_set(keys)[0]


def encoded_path_set(keys: Iterable[Key]) -> tuple[PathSet, bytes]:
    """The same, and its keys in one string, which its digest is of: see `encode_keys`.

    Sorted rather than in the order of first use, because that order is an accident of scheduling in
    every parallel build, and each accident would be another path set to evaluate at each lookup.
    """
    # Not through a set: what is sorted already, as it usually is, must stay so to be sorted fast.
    ordered = tuple(sorted(dict.fromkeys(keys)))
    encoded = encode_keys(ordered)
    return PathSet(xxh3_128_digest(encoded), ordered), encoded


def encode_keys(keys: Iterable[Key]) -> bytes:
    """The keys in one string: kind (one byte) and path, ended by NUL, which no path contains."""
    return b"".join([kind + path + b"\0" for kind, path in keys])


def decode_keys(data: bytes) -> tuple[Key, ...]:
    """The keys given to `encode_keys`."""
    return tuple([(entry[:1], entry[1:]) for entry in data.split(b"\0")[:-1]])


def strong_fingerprint(weak: Digest, path_set_digest: Digest, values: Sequence[bytes]) -> Digest:
    """Digest of the call and the state of its inputs: `values` in the order of the path set."""
    return xxh3_128_digest(join((weak, path_set_digest, *values)))
