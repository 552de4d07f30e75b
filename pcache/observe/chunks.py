"""Bytes that an execution wrote to descriptors it was handed, or read from pipes."""

from __future__ import annotations


class Chunk:
    """A piece of a stream: `length` bytes at `offset` of the file open at `source`."""

    __slots__ = ("fd", "length", "offset", "source")

    def __init__(self, fd: int, source: int, offset: int, length: int) -> None:
        self.fd = fd
        self.source = source
        self.offset = offset
        self.length = length


class PipeInput:
    """What an execution has read from a pipe that it was handed as descriptor `fd`, since `ts`.

    `chunks` hold the bytes; `value` is known instead where a hit has read them.
    """

    __slots__ = ("_count", "_tid", "chunks", "ended", "fd", "known", "ts", "value")

    def __init__(self, fd: int, ts: int, tid: int) -> None:
        self.fd = fd
        self.ts = ts
        self.chunks: list[Chunk] = []
        self.value: bytes | None = None
        self.known = True
        """All bytes are known, and in which order they came."""
        self.ended = False
        """There was no more to come, nor anybody to write."""
        self._tid = tid
        self._count = 0

    def read(self, tid: int, count: int) -> None:
        """A call of thread `tid` got so many bytes; 0 at the end."""
        # When calls began is not told, so that of two threads it is not known who was first.
        self.known &= tid == self._tid and self.value is None and not (self.ended and count)
        self.ended |= count == 0
        self._count += count

    def brought_back(self, value: bytes) -> None:
        """A hit has read all there was."""
        self.known &= not self._count and not self.ended and self.value is None
        self.ended = True
        self.value = value

    def is_whole(self) -> bool:
        """Whether all that was read is known."""
        return self.known and self._count == sum(chunk.length for chunk in self.chunks)
