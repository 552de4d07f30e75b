"""Outcomes and manifests as they are shared.  What is decoded is checked like an attacker's, even
though it was signed: a key may be stolen, and a signer may be wrong."""

from __future__ import annotations

import zlib

from pcache.codec import DamagedRow, pack, pack_ints, unpack, unpack_ints
from pcache.model import APPENDING, Outcome, Output
from pcache.remote.errors import Untrusted
from pcache.sha256 import SIZE, sha256_digest
from pcache.store.fingerprint import encode_keys
from pcache.wording import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pcache.model import Key
    from pcache.remote.names import Name

_KINDS = (b"f", b"w", b"r", b"d", b"l", b"h", b"p", b"-", b"m", b"t")
_REGULAR = (b"f", b"w")
_OUTPUT_FIELDS = 7
_HEAD_FIELDS = 7
_PERMISSIONS = 0o1777
"""Nobody else's file becomes set-user-ID or set-group-ID here."""
_LARGEST = 1 << 40
_MANIFEST_LIMIT = 256 << 20
"""Bytes of an unpacked manifest."""
_RECORD_FIELDS = 3


class Shared:
    """An outcome with the names and sizes of its contents in place of local digests."""

    __slots__ = ("outcome", "sizes")

    def __init__(self, outcome: Outcome, sizes: dict[Name, int]) -> None:
        self.outcome = outcome
        self.sizes = sizes


def renamed(outcome: Outcome, names: Mapping[bytes, bytes]) -> Outcome:
    """An outcome with other names for its contents: local digests for shared ones, or the other
    way round."""
    outputs = tuple(
        Output(
            one.kind,
            one.path,
            one.mode,
            names[one.content] if one.kind in _REGULAR else one.content,
            one.mtime_ns,
            one.extents,
        )
        for one in outcome.outputs
    )
    other = outcome.with_outputs(outputs)
    other.data = names[outcome.data] if outcome.data else b""
    return other


def encode_outcome(state: Name, shared: Shared) -> bytes:
    """An outcome whose paths are hidden."""
    outcome, sizes = shared.outcome, shared.sizes
    fields = [
        state,
        pack_ints((outcome.status, outcome.wall_ns, outcome.cpu_ns)),
        outcome.data,
        pack_ints((sizes.get(outcome.data, 0),)),
        pack_ints(number for chunk in outcome.chunks for number in chunk),
        pack_ints(number for offset in outcome.offsets for number in offset),
        b"",
    ]
    for one in outcome.outputs:
        size = sizes[one.content] if one.kind in _REGULAR else 0
        fields += (
            one.kind,
            one.path,
            pack_ints((one.mode,)),
            one.content,
            pack_ints((size,)),
            pack_ints((one.mtime_ns,)),
            pack_ints(one.extents),
        )
    return pack(fields)


def decode_outcome(state: Name, data: bytes) -> Shared:
    """The outcome given to `encode_outcome`.  Raises Untrusted."""
    try:
        return _decode_outcome(state, unpack(data))
    except (DamagedRow, ValueError, IndexError):
        raise Untrusted("an outcome of the shared store makes no sense") from None


def _decode_outcome(state: Name, fields: list[bytes]) -> Shared:
    found, head, data, data_size, chunks, offsets, reserved = fields[:_HEAD_FIELDS]
    if found != state:
        raise Untrusted("an outcome of the shared store is of other inputs")
    status, wall_ns, cpu_ns = unpack_ints(head)
    sizes: dict[Name, int] = {}
    if data:
        _note(sizes, data, _one(data_size))
    written = _pairs(unpack_ints(chunks))
    _demand(sum(size for _, size in written) == sizes.get(data, 0))
    _demand(0 <= status <= 0xFFFF and wall_ns >= 0 and cpu_ns >= 0 and not reserved)
    outputs = []
    rest = fields[_HEAD_FIELDS:]
    for at in range(0, len(rest), _OUTPUT_FIELDS):
        kind, path, mode, content, size, mtime, extents = rest[at : at + _OUTPUT_FIELDS]
        _demand(kind in _KINDS and not _one(mode) & ~_PERMISSIONS)
        if kind in _REGULAR:
            _note(sizes, content, _one(size))
        pieces = tuple(unpack_ints(extents))
        _demand(list(pieces) == sorted(pieces) and (not pieces or pieces[0] >= 0))
        _demand(not pieces or pieces[-1] == _one(size))
        outputs.append(Output(kind, path, _one(mode), content, _one(mtime), pieces))
    places = _pairs(unpack_ints(offsets), APPENDING)
    return Shared(Outcome(status, tuple(outputs), written, data, places, wall_ns, cpu_ns), sizes)


def _one(data: bytes) -> int:
    (number,) = unpack_ints(data)
    return number


def _note(sizes: dict[Name, int], name: Name, size: int) -> None:
    _demand(len(name) == SIZE and 0 <= size <= _LARGEST and sizes.get(name, size) == size)
    sizes[name] = size


def _pairs(numbers: list[int], least: int = 0) -> tuple[tuple[int, int], ...]:
    """`least`: of the second ones."""
    pairs = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    _demand(all(0 <= one <= _LARGEST and least <= other <= _LARGEST for one, other in pairs))
    return pairs


def _demand(holds: bool) -> None:
    if not holds:
        raise ValueError


class Entry:
    """One record of a manifest: a call with the state of its inputs, and its outcome."""

    __slots__ = ("call", "outcome", "path_set", "values")

    def __init__(
        self, call: Name, path_set: bytes, values: Sequence[bytes], outcome: bytes
    ) -> None:
        self.call = call
        self.path_set = path_set
        self.values = values
        """In the order of the path set."""
        self.outcome = outcome
        """As `encode_outcome` gives it."""


class Manifest:
    """All records of one session of one command, whose inputs have most facts in common."""

    def __init__(
        self,
        command: Name,
        about: Mapping[bytes, bytes],
        entries: list[Entry],
        contents: dict[Name, bytes],
    ) -> None:
        self.command = command
        self.about = dict(about)
        """What the call of the command itself was, in parts: for `explain`."""
        self.entries = entries
        self.contents = contents
        """Some small ones, so that nobody has to ask for them."""


def encode_manifest(
    command: Name,
    about: Mapping[bytes, bytes],
    records: Sequence[tuple[Name, Sequence[tuple[Key, bytes]], bytes]],
    contents: Iterable[bytes] = (),
) -> bytes:
    """`records`: name of the call, facts in the order of their hidden keys, outcome."""
    table: dict[tuple[bytes, bytes], int] = {}
    packed = []
    for call, facts, outcome in records:
        numbers = [
            table.setdefault((encode_keys((key,)), value), len(table)) for key, value in facts
        ]
        packed += [call, pack_ints(numbers), outcome]
    flat = [part for fact in table for part in fact]
    parts = [part for pair in about.items() for part in pair]
    return command + zlib.compress(pack((pack(parts), pack(flat), pack(packed), pack(contents))), 1)


def decode_manifest(command: Name, data: bytes) -> Manifest:
    """What was given to `encode_manifest`.  Raises Untrusted."""
    try:
        _demand(data[:SIZE] == command)
        inflate = zlib.decompressobj()
        fields = unpack(inflate.decompress(data[SIZE:], _MANIFEST_LIMIT))
        parts, flat, packed, contents = map(unpack, fields)
        facts = list(zip(flat[::2], flat[1::2], strict=True))
        entries = []
        for at in range(0, len(packed), _RECORD_FIELDS):
            call, numbers, outcome = packed[at : at + _RECORD_FIELDS]
            own = [facts[number] for number in unpack_ints(numbers)]
            path_set = b"".join([key for key, _ in own])
            entries.append(Entry(call, path_set, [value for _, value in own], outcome))
        about = dict(zip(parts[::2], parts[1::2], strict=True))
        named = {sha256_digest(content): content for content in contents}
        return Manifest(command, about, entries, named)
    except (DamagedRow, ValueError, IndexError, zlib.error):
        raise Untrusted("a manifest of the shared store makes no sense") from None


def check_paths(outcome: Outcome, allowed: Callable[[bytes], bool]) -> None:
    """Raises Untrusted unless an outcome (with paths as they are here) only writes where that is
    allowed, by whatever way."""
    links = {one.path for one in outcome.outputs if one.kind == b"l"}
    for one in outcome.outputs:
        paths = [one.path]
        if one.kind in (b"h", b"r"):
            paths.append(one.content)
        for path in paths:
            if not _is_canonical(path) or not allowed(path):
                raise Untrusted(f"an outcome of the shared store would write to {text(path)}")
            above = path
            while (above := above.rpartition(b"/")[0]) and above not in links:
                pass
            if above:
                raise Untrusted("an outcome of the shared store writes through a link of its own")


def _is_canonical(path: bytes) -> bool:
    parts = path.split(b"/")
    return (
        path.startswith(b"/")
        and b"\0" not in path
        and len(parts) > 1
        and not any(part in (b"", b".", b"..") for part in parts[1:])
    )
