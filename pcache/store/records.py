"""How calls, facts and outcomes are written into rows.  Reading raises DamagedRow.

The row of an outcome repeats its key, so that a row which a damaged page brings under another key
is found as well.
"""

from __future__ import annotations

from xxhash import xxh3_128_digest

from pcache.codec import DamagedRow, pack, pack_ints, unpack, unpack_ints
from pcache.errors import Malformed, Unavailable
from pcache.model import Call, Outcome, Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pcache.model import Digest

_OUTPUT_FIELDS = 6
_MANY = 4096
"""Bytes of keys from which on they are compressed."""
_FRAME = b"\x28\xb5\x2f\xfd"
"""How a frame of zstd begins (RFC 8878), and no set of paths: no kind of fact is `(`."""


def pack_keys(encoded: bytes, compress: bool) -> bytes:
    """The keys of a path set (`fingerprint.encode_keys`), if they are many as a frame of zstd:
    paths have most of their names in common."""
    if compress and len(encoded) >= _MANY:
        from pcache.store.compression import squeezed

        try:
            return squeezed(encoded)
        except Unavailable:
            return encoded
    return encoded


def unpack_keys(digest: Digest, stored: bytes) -> bytes:
    """The keys that were given to `pack_keys`, of the path set of that digest."""
    encoded = stored
    if stored.startswith(_FRAME):
        from pcache.store.compression import unsqueezed

        try:
            encoded = unsqueezed(stored)
        except (Malformed, Unavailable) as error:
            raise DamagedRow(f"a stored set of paths cannot be read: {error}") from None
    if xxh3_128_digest(encoded) != digest:
        raise DamagedRow("a stored set of paths is damaged")
    return encoded


def pack_call(call: Call, environment: Digest) -> bytes:
    """A call whose environment is stored as a blob, since thousands of calls share one."""
    return pack(
        (
            call.executable,
            call.filename,
            call.cwd,
            environment,
            pack_ints((call.umask, call.uid, call.gid, call.ignored, len(call.fds))),
            *call.fds,
            *call.argv,
        )
    )


def call_environment(data: bytes) -> Digest:
    """The blob with the environment of a packed call."""
    return unpack(data)[3]


def unpack_call(data: bytes, environment: bytes) -> Call:
    """The call; `environment` is the content of the blob `call_environment` names."""
    executable, filename, cwd, _, numbers, *rest = unpack(data)
    umask, uid, gid, ignored, fds = unpack_ints(numbers)
    return Call(
        executable,
        tuple(rest[fds:]),
        tuple(unpack(environment)),
        cwd,
        umask,
        uid,
        gid,
        tuple(rest[:fds]),
        ignored,
        filename,
    )


def pack_values(strong: Digest, values: Sequence[bytes]) -> bytes:
    """The values of the facts of one outcome, in the order of its path set."""
    return pack((strong, *values))


def unpack_values(strong: Digest, data: bytes) -> list[bytes]:
    key, *values = unpack(data)
    if key != strong:
        raise DamagedRow("a stored row is under a wrong key")
    return values


def pack_outcome(strong: Digest, outcome: Outcome) -> bytes:
    fields = [
        strong,
        pack_ints((outcome.status, outcome.wall_ns, outcome.cpu_ns)),
        outcome.data,
        pack_ints(number for chunk in outcome.chunks for number in chunk),
        pack_ints(number for offset in outcome.offsets for number in offset),
    ]
    for output in outcome.outputs:
        fields += (
            output.kind,
            output.path,
            pack_ints((output.mode,)),
            output.content,
            pack_ints((output.mtime_ns,)),
            pack_ints(output.extents),
        )
    return pack(fields)


def unpack_outcome(strong: Digest, data: bytes) -> Outcome:
    key, head, content, chunks, offsets, *rest = unpack(data)
    if key != strong:
        raise DamagedRow("a stored row is under a wrong key")
    status, wall_ns, cpu_ns = unpack_ints(head)
    outputs = []
    for at in range(0, len(rest), _OUTPUT_FIELDS):
        kind, path, mode, target, mtime, extents = rest[at : at + _OUTPUT_FIELDS]
        outputs.append(
            Output(
                kind,
                path,
                unpack_ints(mode)[0],
                target,
                unpack_ints(mtime)[0],
                tuple(unpack_ints(extents)),
            )
        )
    return Outcome(
        status,
        tuple(outputs),
        _pairs(unpack_ints(chunks)),
        content,
        _pairs(unpack_ints(offsets)),
        wall_ns,
        cpu_ns,
    )


def contents(outcome: Outcome) -> Iterator[Digest]:
    """Every content that an outcome refers to."""
    if outcome.data:
        yield outcome.data
    for output in outcome.outputs:
        if output.kind in (b"f", b"w"):
            yield output.content


def _pairs(numbers: list[int]) -> tuple[tuple[int, int], ...]:
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
