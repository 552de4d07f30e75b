"""What an execution wrote to the descriptors that it was handed."""

from __future__ import annotations

import os

from pcache.model import Reason
from pcache.observe.conditions.unknowable import Unknowable
from pcache.observe.executions import Chunk
from pcache.store.blobs import Blobs

_AT_ONCE = 8 << 20
"""Bytes of streams that are brought together in memory."""


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


def _bytes_of(chunk: Chunk) -> bytes:
    """Raises Unknowable."""
    piece = os.pread(chunk.source, chunk.length, chunk.offset)
    if len(piece) != chunk.length:
        raise Unknowable(Reason.EVENTS_LOST, f"bytes written to descriptor {chunk.fd}")
    return piece
