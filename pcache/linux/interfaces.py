"""What the kernel says of network interfaces and their addresses, but for what it counts."""

from __future__ import annotations

import errno
import os
import struct
from _socket import socket

from pcache.codec import join
from pcache.sha256 import sha256_digest

_NETLINK, _RAW, _ROUTE = 16, 3, 0
_HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr, linux/netlink.h: length, type, flags, sequence number, port."""
_ERROR, _DONE = 2, 3
_ANSWER = 1 << 18
"""Bytes: more than the kernel puts into one."""
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
GET_LINK, GET_ADDRESS = 18, 22
"""RTM_GETLINK, RTM_GETADDR: linux/rtnetlink.h."""
_FIXED = {16: 16, 20: 8}
"""RTM_NEWLINK, RTM_NEWADDR -> size of struct ifinfomsg, ifaddrmsg."""
_FLAGS = 0xC000  # NLA_F_NESTED, NLA_F_NET_BYTEORDER

_Counted = dict[int, "_Counted | None"]
_COUNTED: dict[int, _Counted] = {
    # linux/if_link.h: STATS, STATS64, CARRIER_CHANGES, CARRIER_UP_COUNT, CARRIER_DOWN_COUNT; of
    # LINKINFO XSTATS; of AF_SPEC for IPv6 STATS, CACHEINFO (when it was set up), ICMP6STATS.
    16: {
        **dict.fromkeys((7, 23, 35, 47, 48)),
        18: {3: None},
        26: {10: dict.fromkeys((3, 5, 6))},
    },
    # linux/if_addr.h: CACHEINFO, how long it is valid.
    20: {6: None},
}
"""Message -> attributes that are left out (None), or of which some that are in them are."""
_OF_BRIDGES: _Counted = {
    **_COUNTED[16],
    18: {
        # BR_HELLO_TIMER to GC_TIMER in DATA; BRPORT_MESSAGE_AGE_TIMER to HOLD_TIMER in SLAVE_DATA.
        2: dict.fromkeys(range(16, 20)),
        3: None,
        5: dict.fromkeys(range(21, 24)),
    },
}
"""The same of a link that is a bridge, or part of one."""
_BRIDGE = struct.pack("=HH7s", 11, 1, b"bridge"), struct.pack("=HH7s", 11, 4, b"bridge")
"""INFO_KIND, INFO_SLAVE_KIND."""


def interfaces_value() -> bytes:
    """Value of INTERFACES now.  Raises OSError."""
    found = [*_dump(GET_LINK), *_dump(GET_ADDRESS)]
    return b"N" + sha256_digest(join(found))


def _dump(request: int) -> list[bytes]:
    """The kernel's answers, in its order."""
    found: list[bytes] = []
    asking = socket(_NETLINK, _RAW | os.O_CLOEXEC, _ROUTE)
    try:
        asking.send(_HEADER.pack(_HEADER.size + 4, request, _DUMP, 1, 0) + bytes(4))
        while True:
            data = asking.recv(_ANSWER)
            at = 0
            while at + _HEADER.size <= len(data):
                length, kind, _, _, _ = _HEADER.unpack_from(data, at)
                if kind == _DONE:
                    return found
                if kind == _ERROR or length < _HEADER.size:
                    raise OSError(errno.EIO, "netlink")
                found.append(_without_counts(kind, data[at + _HEADER.size : at + length]))
                at += (length + 3) & ~3
    finally:
        asking.close()


def _without_counts(kind: int, message: bytes) -> bytes:
    fixed = _FIXED.get(kind, len(message))
    bridge = any(what in message for what in _BRIDGE)
    counted = _OF_BRIDGES if bridge else _COUNTED.get(kind, {})
    return message[:fixed] + _kept(message[fixed:], counted)


def _kept(data: bytes, counted: _Counted) -> bytes:
    """Attributes (struct nlattr: length, type) without those that count."""
    kept, at = [], 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        within = counted.get(kind & ~_FLAGS, {})
        if within is not None:
            payload = data[at + 4 : at + length]
            kept.append(struct.pack("=H", kind) + (_kept(payload, within) if within else payload))
        at += (length + 3) & ~3
    return join(kept)
