"""What an execution wrote to the descriptors that it was handed, and read from pipes."""

from __future__ import annotations

import os
import posixpath

from pcache.model import Kind, Reason
from pcache.observe.chunks import Chunk
from pcache.observe.conditions.unknowable import Unknowable
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.store.blobs import Blobs
from pcache.values import pipe_value

_AT_ONCE = 8 << 20
"""Bytes of streams that are brought together in memory."""

_PROGRAMS = (b"/bin", b"/usr/bin")
_BY_CONTENT = frozenset({b"head", b"grep"})
"""Programs that read on or not by what they have read alone."""


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
        if pipe.is_whole() and (pipe.ended or _stopped_by_content(execution)):
            try:
                value = pipe.value or pipe_value(map(_bytes_of, pipe.chunks))
            except Unknowable as unknowable:
                execution.problem(unknowable.uncacheable.reason, unknowable.uncacheable.evidence)
            else:
                execution.observe((Kind.PIPE, b"%d" % pipe.fd), Observation(pipe.ts, b"", value))
        else:
            execution.problem(Reason.FOREIGN_INPUT, f"descriptor {pipe.fd}, a pipe")


def _stopped_by_content(execution: Execution) -> bool:
    """Whether who did not read to the end did so for what it had read, and not because it took
    too long: where no more than that comes it stops as well."""
    own = posixpath.dirname(execution.executable) in _PROGRAMS
    return own and posixpath.basename(execution.executable) in _BY_CONTENT and not execution.status


def _bytes_of(chunk: Chunk) -> bytes:
    """Raises Unknowable."""
    piece = os.pread(chunk.source, chunk.length, chunk.offset)
    if len(piece) != chunk.length:
        raise Unknowable(Reason.EVENTS_LOST, f"bytes of descriptor {chunk.fd}")
    return piece
