"""Addresses of sockets: struct sockaddr of IPv4, IPv6, netlink."""

from __future__ import annotations

import struct

UNIX, INET, INET6, NETLINK = 1, 2, 10, 16
_NETLINK = struct.Struct("<HHII")
"""struct sockaddr_nl: family, padding, port, groups."""
MAPPED = bytes(10) + b"\xff\xff"
"""Of an IPv6 address that is one of IPv4."""
_LOOPBACK6 = bytes(15) + b"\1"


def family(address: bytes) -> int:
    """Of a struct sockaddr; 0 for none."""
    return struct.unpack_from("<H", address)[0] if len(address) >= 2 else 0


def inet(address: bytes) -> tuple[bytes, int] | None:
    """Address (16 bytes, IPv4 as IPv6 maps it) and port of an IPv4 or IPv6 one; else None."""
    which = family(address)
    if which == INET and len(address) >= 8:
        return MAPPED + address[4:8], int.from_bytes(address[2:4], "big")
    if which == INET6 and len(address) >= 24:
        return address[8:24], int.from_bytes(address[2:4], "big")
    return None


def is_loopback(address: bytes) -> bool:
    """Whether 16 bytes are an address of this machine alone."""
    return address == _LOOPBACK6 or address.startswith(MAPPED + b"\x7f")


def netlink(address: bytes) -> tuple[int, int] | None:
    """Port (0: the kernel) and multicast groups of a netlink address; else None."""
    if family(address) != NETLINK or len(address) < _NETLINK.size:
        return None
    _, _, port, groups = _NETLINK.unpack_from(address)
    return port, groups


def text(address: bytes) -> str:
    """For people."""
    found = inet(address)
    if family(address) == UNIX:
        return f"unix socket {address[2:].rstrip(bytes(1))!r}"
    if found is None:
        return f"an address of family {family(address)}"
    return endpoint_text(*found)


def endpoint_text(address: bytes, port: int) -> str:
    """An address as `inet` gives it, for people."""
    if address.startswith(MAPPED):
        return f"{'.'.join(map(str, address[12:]))}:{port}"
    groups = [f"{group:x}" for group in struct.unpack(">8H", address)]
    return f"[{':'.join(groups)}]:{port}"
