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

    __slots__ = (
        "_asked",
        "_count",
        "_got",
        "_tid",
        "chunks",
        "ended",
        "fd",
        "known",
        "ts",
        "value",
    )

    def __init__(self, fd: int, ts: int, tid: int) -> None:
        self.fd = fd
        self.ts = ts
        self.chunks: list[Chunk] = []
        self.value: bytes | None = None
        self.known = True
        """All bytes are known, and in which order they came."""
        self.ended = 0
        """When it turned out that there was no more to come, nor anybody to write; 0 for never."""
        self._tid = tid
        self._count = 0
        self._asked: list[int] = []
        self._got: list[int] = []
        """Bytes, of each call."""

    def read(self, tid: int, count: int, asked: int, ts: int) -> None:
        """A call of thread `tid` got so many bytes, of those asked for; 0 at the end."""
        # When calls began is not told, so that of two threads it is not known who was first.
        self.known &= tid == self._tid and self.value is None and not (self.ended and count)
        if not count:
            self.ended = self.ended or ts
        self._count += count
        self._asked.append(asked)
        self._got.append(count)

    def in_whole_pieces(self) -> bool:
        """Whether each call got what it would have got if all had been there from the start."""
        left = self._count
        for asked, got in zip(self._asked, self._got, strict=True):
            if got != min(asked, left):
                return False
            left -= got
        return True

    def brought_back(self, value: bytes, ts: int) -> None:
        """A hit has read all there was."""
        self.known &= not self._count and not self.ended and self.value is None
        self.ended = ts
        self.value = value

    def is_whole(self) -> bool:
        """Whether all that was read is known."""
        return self.known and self._count == sum(chunk.length for chunk in self.chunks)
