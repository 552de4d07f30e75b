"""What an execution wrote to the descriptors that it was handed, and read from pipes."""

from __future__ import annotations

import os
import posixpath

from pcache.model import Kind, Reason
from pcache.observe.chunks import Chunk, PipeInput
from pcache.observe.conditions.unknowable import Unknowable
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.store.blobs import Blobs
from pcache.values import pipe_value

_AT_ONCE = 8 << 20
"""Bytes of streams that are brought together in memory."""

_PROGRAMS = (b"/bin", b"/usr/bin")
_AS_ONE = frozenset(
    b"awk base64 bash bc bzip2 cat cksum cmp column comm cut dash diff egrep expand fgrep fmt fold"
    b" gawk grep gunzip gzip head jq join m4 mawk md5sum nl od paste patch perl rev sed sha1sum"
    b" sha224sum sha256sum sha384sum sha512sum shuf sort split sum tac tail tar tee tr tsort"
    b" unexpand uniq wc xargs xxd xz zcat zstd".split()
)
"""Programs that take what comes as one stream, in whatever pieces it comes."""


def stored_streams(blobs: Blobs, chunks: list[Chunk]) -> tuple[tuple[tuple[int, int], ...], bytes]:
    """(descriptor, length) runs and the blob with all their bytes."""
    if not chunks:
        return (), b""
    merged: list[tuple[int, int]] = []
    for chunk in chunks:
        if merged and merged[-1][0] == chunk.fd:
            merged[-1] = (chunk.fd, merged[-1][1] + chunk.length)
        else:
            merged.append((chunk.fd, chunk.length))
    if sum(length for _, length in merged) > _AT_ONCE:
        return tuple(merged), blobs.put_pieces(map(_bytes_of, chunks))
    return tuple(merged), blobs.put_bytes(b"".join(map(_bytes_of, chunks)))


def depend_on_pipes(execution: Execution) -> None:
    """What it has read from pipes is an input, where that is known; else it cannot be kept."""
    for pipe in execution.pipes.values():
        if pipe.is_whole() and pipe.ended and _was_in_time(execution, pipe):
            try:
                value = pipe.value or pipe_value(map(_bytes_of, pipe.chunks))
            except Unknowable as unknowable:
                execution.problem(unknowable.uncacheable.reason, unknowable.uncacheable.evidence)
            else:
                execution.observe((Kind.PIPE, b"%d" % pipe.fd), Observation(pipe.ts, b"", value))
        else:
            execution.problem(Reason.FOREIGN_INPUT, f"descriptor {pipe.fd}, a pipe")


def _was_in_time(execution: Execution, pipe: PipeInput) -> bool:
    """Whether it makes no difference when what was read came: nor to others, who would see what it
    did to files before it had read all, perhaps before they wrote; but for its own temporaries."""
    changes = execution.changes.items()
    early = [name for name, change in changes if change.first < pipe.ended]
    if not all(map(execution.made_and_removed, early)):
        return False
    directory, name = posixpath.split(execution.executable)
    return (directory in _PROGRAMS and name in _AS_ONE) or pipe.in_whole_pieces()


def _bytes_of(chunk: Chunk) -> bytes:
    """Raises Unknowable."""
    piece = os.pread(chunk.source, chunk.length, chunk.offset)
    if len(piece) != chunk.length:
        raise Unknowable(Reason.EVENTS_LOST, f"bytes of descriptor {chunk.fd}")
    return piece
