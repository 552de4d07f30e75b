"""getrandom(2) with answers that are the same in every run."""

from __future__ import annotations

import os

from xxhash import xxh3_128_digest

from pcache.enforce import syscalls
from pcache.enforce.notify import Notification

_MOST = 1 << 16
"""Bytes in one answer: callers that want more ask again, as they do after a signal."""
_MANY = 4096


class Randomness:
    """One stream of bytes for each process, which depends on its command, its working directory,
    and how many processes with the same ones there were before: no two get the same bytes."""

    def __init__(self) -> None:
        self._streams: dict[int, tuple[bytes, bytes, int]] = {}
        """By thread: its image (to notice another), the seed, and the blocks given out."""
        self._numbers: dict[bytes, int] = {}

    def answer(self, notification: Notification) -> int:
        """Fill the task's buffer; the number of bytes.  Raises OSError."""
        address, wanted = notification.args[:2]
        count = min(wanted, _MOST)
        seed, block = self._stream(notification.tid)
        blocks = -(-count // 16)
        data = b"".join([xxh3_128_digest(b"%b%d" % (seed, block + n)) for n in range(blocks)])
        image = self._streams[notification.tid][0]
        self._streams[notification.tid] = image, seed, block + blocks
        return syscalls.write_memory(notification.tid, address, data[:count])

    def _stream(self, tid: int) -> tuple[bytes, int]:
        image = _read(b"/proc/%d/stat" % tid).rpartition(b")")[2].split()[19]
        command = _read(b"/proc/%d/cmdline" % tid)
        image += command
        known = self._streams.get(tid)
        if known is not None and known[0] == image:
            return known[1:]
        kind = xxh3_128_digest(command + b"\0" + os.readlink(b"/proc/%d/cwd" % tid))
        number = self._numbers[kind] = self._numbers.get(kind, 0) + 1
        if len(self._streams) > _MANY:
            for old in [tid for tid in self._streams if not os.path.exists(b"/proc/%d" % tid)]:
                del self._streams[old]
        seed = kind + b"%d " % number
        self._streams[tid] = image, seed, 0
        return seed, 0


def _read(path: bytes) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.readall()
