"""Messages between the recorder and who wants something recorded: docs/recorder-protocol.md.

Over a unix socket of kind SEQPACKET, which keeps messages apart.
"""

from __future__ import annotations

import _socket
import os
from struct import Struct

VERSION = 1
MOST = 4096
"""Bytes of one message."""

START, ATTACH, FINISH, CLOSE, GATE, MAKE = range(1, 7)
READY, DONE, COUNTS, REFUSED = range(129, 133)

_HEADER = Struct("<4sBBH")
_MAGIC = b"pcre"
_FD = 4
_FDS = 4
COUNTERS = ("events", "lost", "repeated", "faults", "failed_calls", "truncated", "bytes")
TOTALS = Struct(f"<{len(COUNTERS)}Q")
RING = Struct("<IB")
"""Of START: size of the ring in bytes, and whether a GATE will follow."""
LEAST_RING = 4096
NAME_BYTES = 15
"""Of READY: the name that the root of the tree has to take."""


class Violation(Exception):
    """The other side does not keep to the protocol."""


def send(
    socket: _socket.socket, kind: int, payload: bytes = b"", descriptors: tuple[int, ...] = ()
) -> None:
    """Raises OSError."""
    rights = b"".join(fd.to_bytes(_FD, "little") for fd in descriptors)
    ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if rights else []
    header = _HEADER.pack(_MAGIC, VERSION, kind, len(payload))
    socket.sendmsg([header + payload], ancillary, _socket.MSG_NOSIGNAL)


def refuse(socket: _socket.socket, why: str, error: int = 0) -> None:
    """Tells why not, with an errno if there is one, to a client that may have gone."""
    try:
        send(socket, REFUSED, error.to_bytes(2, "little") + why.encode())
    except OSError:
        return


def receive(socket: _socket.socket, wanted: int = 0) -> tuple[int, bytes, list[int]]:
    """The kind of the next message, what it says, and `wanted` descriptors, or none.

    Raises Violation, OSError, and EOFError if the other side has gone.
    """
    message, ancillary, flags, _ = socket.recvmsg(
        MOST, _socket.CMSG_SPACE(_FDS * _FD), _socket.MSG_CMSG_CLOEXEC
    )
    descriptors: list[int] = []
    for level, kind, data in ancillary:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            descriptors += [
                int.from_bytes(data[at : at + _FD], "little")
                for at in range(0, len(data) - _FD + 1, _FD)
            ]
    try:
        if not message:
            raise EOFError
        if flags & (_socket.MSG_TRUNC | _socket.MSG_CTRUNC) or len(message) < _HEADER.size:
            raise Violation("a message of the wrong size")
        magic, version, kind, length = _HEADER.unpack_from(message)
        if magic != _MAGIC or length != len(message) - _HEADER.size:
            raise Violation("not a message of this protocol")
        if version != VERSION:
            raise Violation(f"version {version} of the protocol, not {VERSION}")
        if len(descriptors) not in (0, wanted):
            raise Violation("descriptors that nobody asked for")
    except (Violation, EOFError):
        for fd in descriptors:
            os.close(fd)
        raise
    return kind, message[_HEADER.size :], descriptors
