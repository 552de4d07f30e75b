"""Requests and answers between a session and its agent, over a socket pair."""

from __future__ import annotations

import os
import select
from time import monotonic_ns

from pcache.codec import DamagedRow, pack, pack_ints, unpack, unpack_ints
from pcache.sha256 import SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pcache.remote.names import Name

MANIFESTS, PATH_SETS, OUTCOME, CONTENTS, PREFETCH = b"m", b"p", b"o", b"c", b"f"
"""What can be asked for."""
FOUND, NOTHING, FAILED, DOUBTED = b"+", b"-", b"!", b"?"
"""How it is answered: DOUBTED is something that is not believed; both it and FAILED say why."""

SETTINGS = b"PCACHE_REMOTE_SETTINGS"
"""The agent's variable that holds the settings, packed, in hexadecimal."""

_LENGTH = 4
_LIMIT = 1 << 30


def contents(sizes: dict[Name, int]) -> tuple[bytes, ...]:
    """Arguments of CONTENTS and PREFETCH."""
    return tuple(name + pack_ints((size,)) for name, size in sizes.items())


def name_and_size(argument: bytes) -> tuple[Name, int]:
    """One of them."""
    return argument[:SIZE], unpack_ints(argument[SIZE:])[0]


class Closed(Exception):
    """The other end has gone."""


class Late(Exception):
    """Nothing came, or went, in time."""


class Frames:
    """One end of the socket pair.  Raises Closed."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self._buffer = bytearray()

    def send(self, fields: Iterable[bytes], until_ns: int | None = None) -> None:
        """Waits until all is written, and takes in meanwhile what comes: the other end may be
        waiting for that.  Raises Late at a time (CLOCK_MONOTONIC) when it is not."""
        data = pack(fields)
        rest = memoryview(len(data).to_bytes(_LENGTH, "big") + data)
        while rest:
            ready = self._wait(select.POLLIN | select.POLLOUT, until_ns)
            if ready & ~select.POLLOUT:
                self.read()
            if ready & select.POLLOUT:
                try:
                    rest = rest[os.write(self.fd, rest) :]
                except OSError as error:
                    raise Closed from error

    def receive(self, until_ns: int | None = None) -> list[bytes]:
        """The next frame.  Raises Late at a time (CLOCK_MONOTONIC) when none has come."""
        while (frame := self._next()) is None:
            self._wait(select.POLLIN, until_ns)
            self.read()
        return frame

    def _wait(self, events: int, until_ns: int | None) -> int:
        """Those of the events that have come.  Raises Late."""
        left_ms = None if until_ns is None else (until_ns - monotonic_ns()) // 1_000_000
        poll = select.poll()
        poll.register(self.fd, events)
        found = poll.poll(left_ms) if left_ms is None or left_ms > 0 else []
        if not found:
            raise Late
        return found[0][1]

    def read(self) -> None:
        """Takes in what has come, which is something."""
        try:
            data = os.read(self.fd, 1 << 18)
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        self._buffer += data

    def _next(self) -> list[bytes] | None:
        if len(self._buffer) < _LENGTH:
            return None
        end = _LENGTH + int.from_bytes(self._buffer[:_LENGTH], "big")
        if end > _LIMIT:
            raise Closed
        if len(self._buffer) < end:
            return None
        data = bytes(self._buffer[_LENGTH:end])
        del self._buffer[:end]
        try:
            return unpack(data)
        except (DamagedRow, ValueError):
            raise Closed from None

    def waiting(self) -> Iterable[list[bytes]]:
        """The frames that are here already."""
        while (frame := self._next()) is not None:
            yield frame

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
