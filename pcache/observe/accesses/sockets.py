"""Sockets, by what is done with them.

That one can be made, or bound, is a fact; connections both ends of which are in the tree are like
pipes; what the kernel is asked of network interfaces is a fact with its answer.  All else reaches
out.
"""

from __future__ import annotations

import errno
import struct
from stat import S_ISSOCK

from pcache.linux import addresses
from pcache.linux.addresses import INET, INET6, NETLINK, UNIX
from pcache.linux.interfaces import GET_ADDRESS, GET_LINK
from pcache.model import Kind, Reason
from pcache.observe.accesses.context import Context
from pcache.observe.accesses.event import Event, Handler
from pcache.observe.accesses.interfaces import depend_on_interfaces
from pcache.observe.accesses.numbers import depend_on_fd, inheritors
from pcache.observe.changes import CREATED
from pcache.observe.errnos import CALL, LOOK, PERMISSION, cause
from pcache.observe.events import Endpoint
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES
from pcache.values import ABSENT, OK, error_value
from pcache.wording import text

_UNSPEC = 0
_STREAM, _DATAGRAM, _TYPE = 1, 2, 0xF
_FAMILIES = {2: "inet", 10: "inet6", 16: "netlink", 17: "packet", 38: "alg", 40: "vsock"}
_TCP = frozenset({0, 6, 262})
"""Protocols of stream sockets: the usual one, TCP, and MPTCP, which is TCP to others."""

_CONNECTING = frozenset({0, errno.EINPROGRESS, errno.EINTR})
_KNOWN_ALREADY = frozenset({errno.EISCONN, errno.EALREADY})

_SOCKET, _IP, _TCP_LEVEL, _IPV6, _NETLINK_LEVEL = 1, 0, 6, 41, 270
_TO_SET = frozenset(
    {
        # asm-generic/socket.h: REUSEADDR, BROADCAST, SNDBUF, RCVBUF, KEEPALIVE, OOBINLINE, LINGER,
        # REUSEPORT, RCVLOWAT, RCVTIMEO, SNDTIMEO, and these two with other structures.
        *((_SOCKET, option) for option in (2, 6, 7, 8, 9, 10, 13, 15, 18, 20, 21, 66, 67)),
        # linux/tcp.h: NODELAY, CORK, KEEPIDLE, KEEPINTVL, KEEPCNT, SYNCNT, LINGER2, DEFER_ACCEPT,
        # QUICKACK, USER_TIMEOUT, NOTSENT_LOWAT.
        *((_TCP_LEVEL, option) for option in (1, 3, 4, 5, 6, 7, 8, 9, 12, 18, 25)),
        # linux/in.h: TOS, TTL, RECVERR; linux/in6.h: UNICAST_HOPS, V6ONLY, RECVERR, TCLASS.
        *((_IP, option) for option in (1, 2, 11)),
        *((_IPV6, option) for option in (16, 25, 26, 67)),
        # linux/netlink.h: PKTINFO, NO_ENOBUFS, CAP_ACK, EXT_ACK, GET_STRICT_CHK.
        *((_NETLINK_LEVEL, option) for option in (3, 5, 10, 11, 12)),
    }
)
"""(level, option) that may be set: of how connections within the tree work."""
_TO_ASK = _TO_SET | {(_SOCKET, option) for option in (3, 4, 30, 38, 39)}
"""Those that may be asked for: also TYPE, ERROR, ACCEPTCONN, PROTOCOL, DOMAIN."""
_BUFFERS = frozenset({(_SOCKET, 7), (_SOCKET, 8)})
_BUFFER_SIZES = (
    *(b"/proc/sys/net/core/" + name for name in (b"rmem_default", b"wmem_default")),
    *(b"/proc/sys/net/ipv4/" + name for name in (b"tcp_rmem", b"tcp_wmem")),
)
"""Where it stands how large the buffers of a new socket are."""

# linux/sockios.h: SIOCGIFNAME, CONF, FLAGS, ADDR, DSTADDR, BRDADDR, NETMASK, METRIC, MTU, HWADDR,
# INDEX, TXQLEN, MAP; SIOCGIWNAME of linux/wireless.h fails where there is no radio.
INTERFACE_IOCTLS = frozenset(
    {
        *(0x8910, 0x8912, 0x8913, 0x8915, 0x8917, 0x8919, 0x891B, 0x891D, 0x8921, 0x8927),
        *(0x8933, 0x8942, 0x8970),
    }
)

_MESSAGE = struct.Struct("=IHHII")
"""struct nlmsghdr, linux/netlink.h."""
_ANSWERED = {GET_LINK: frozenset({0, 17}), GET_ADDRESS: frozenset({0, INET, INET6})}
"""Requests whose answers are in the value of INTERFACES -> address families they may be about."""
_LONGEST_REQUEST = _MESSAGE.size + 16
"""Bytes: with struct ifinfomsg, and no attributes."""


class Sockets:
    def __init__(self, context: Context) -> None:
        self.context = context
        self._datagrams: set[Execution] = set()
        """Those that have made unix sockets for datagrams."""
        self._asking: dict[int, _Request] = {}
        """tid -> what it is writing to a netlink socket."""

    def handlers(self) -> list[tuple[Handler, str]]:
        return [
            (self._message, "sendmsg recvmsg"),
            (self._socket, "socket"),
            (self._bind, "bind"),
            (self._connect, "connect"),
            (self._accept, "accept accept4"),
            (self._option, "setsockopt getsockopt"),
            (self._use, "listen shutdown getsockname getpeername"),
        ]

    def _message(self, event: Event) -> None:
        call, endpoint = SYSCALL_NAMES[event.body.nr], event.body.endpoint
        if endpoint is not None and endpoint.family == NETLINK:
            event.execution.problem_throughout(Reason.NETWORK, f"{call} to a netlink socket")
            return
        if endpoint is not None and _is_for_datagrams(endpoint):
            self.received(event)
            return
        event.execution.problem_throughout(Reason.DESCRIPTOR_PASSING, call)

    def _socket(self, event: Event) -> None:
        body = event.body
        family, form, protocol = (argument & 0xFFFFFFFF for argument in body.args)
        kind = form & _TYPE
        if family == UNIX and kind == _DATAGRAM:
            self._datagrams.add(event.execution)
        if body.err or family in (UNIX, _UNSPEC):
            return
        if family in (INET, INET6):
            kept = kind == _DATAGRAM or (kind == _STREAM and protocol in _TCP)
        else:
            # The kernel's half follows those of the process that made them, and of its children.
            kept = family == NETLINK and not self.context.common_descriptors
        if kept:
            self._depend(event, b"%d:%d:%d" % (family, kind, protocol), OK)
        else:
            what = f"socket of family {_FAMILIES.get(family, family)}, type {kind}"
            event.execution.problem_throughout(Reason.NETWORK, what)

    @staticmethod
    def _depend(event: Event, path: bytes, value: bytes) -> None:
        event.execution.observe((Kind.SOCKET, path), Observation(event.ts, b"", value))

    def _bind(self, event: Event) -> None:
        body = event.body
        self._use(event)
        family = addresses.family(body.out)
        if family == UNIX:
            self._bind_unix(event, body.out)
        elif cause("bind", body.err) == CALL:
            return
        elif family == NETLINK:
            _, groups = addresses.netlink(body.out) or (0, -1)
            if groups:
                event.execution.problem_throughout(Reason.NETWORK, "netlink groups")
        else:
            self._bind_inet(event, body.out)

    def _bind_inet(self, event: Event, address: bytes) -> None:
        endpoint, found = event.body.endpoint, addresses.inet(address)
        if endpoint is None or found is None or found[1]:
            # Others can connect to a port that they know, or have it themselves.
            what = f"socket bound to {addresses.text(address)}"
            event.execution.problem_throughout(Reason.NETWORK, what)
            return
        value = error_value(event.body.err) if event.body.err else OK
        self._depend_on_address(event, address, value)
        if endpoint.type == _DATAGRAM and not event.body.err:
            self.context.connections.bound(event.execution, endpoint.local[1])

    def _depend_on_address(self, event: Event, address: bytes, value: bytes) -> None:
        """Whether a socket can be bound to an address, at any port."""
        endpoint = event.body.endpoint
        assert endpoint is not None
        size = 16 if endpoint.family == INET else 28
        anywhere = address[:2] + bytes(2) + address[4:size].ljust(size - 4, b"\0")
        made = b"%d:%d:%d" % (endpoint.family, endpoint.type, endpoint.protocol)
        self._depend(event, made + b":" + anywhere.hex().encode(), value)

    def _bind_unix(self, event: Event, address: bytes) -> None:
        body = event.body
        path = address[2:].split(b"\0")[0]
        if not path.startswith(b"/"):
            # Without a name the kernel gives it one that was never there.
            if body.err or address[2:] or event.execution in self._datagrams:
                where = f"unix socket {text(address[2:])!r}"
                event.execution.problem_throughout(Reason.NETWORK, where)
            return
        name = self.context.names.canonical(path, follow=True)
        if body.err:
            self.context.failed(event, path, follow=False)
            return
        if event.execution in self._datagrams:
            where = f"unix socket {text(path)}, to which anybody can send"
            event.execution.problem_throughout(Reason.NETWORK, where)
        self.context.observe(event, Kind.LEXISTS, path, name, value=ABSENT)
        self.context.change(event, name, CREATED)

    def _connect(self, event: Event) -> None:
        body = event.body
        self._use(event)
        if addresses.family(body.out) == UNIX:
            self._connect_unix(event, body.out)
        elif cause("connect", body.err) != CALL and body.err not in _KNOWN_ALREADY:
            self._connect_inet(event, body.out)

    def _connect_inet(self, event: Event, address: bytes) -> None:
        endpoint, found = event.body.endpoint, addresses.inet(address)
        within = (
            endpoint is not None
            and found is not None
            and addresses.is_loopback(found[0])
            and event.body.err in _CONNECTING
        )
        if endpoint is None or not within:
            what = f"connection to {addresses.text(address)}"
            event.execution.problem_throughout(Reason.NETWORK, what)
            return
        self._depend_on_address(event, address, OK)
        if endpoint.type == _DATAGRAM:
            # What is sent or comes counts.  Nothing does where a C library only asks which of its
            # own addresses it would have there (RFC 3484).
            self.context.connections.bound(event.execution, endpoint.local[1])
            return
        what = f"connection to {addresses.text(address)}"
        self.context.connections.add(event.execution, endpoint, what)

    def _connect_unix(self, event: Event, address: bytes) -> None:
        body = event.body
        path = address[2:].split(b"\0")[0]
        named, endpoint = path.startswith(b"/"), body.endpoint
        if named and cause("connect", body.err) in (LOOK, PERMISSION):
            self.context.failed(event, path, follow=True)
            return
        where = f"unix socket {text(path) if named else repr(text(address[2:]))}"
        if endpoint is None or body.err or endpoint.type == _DATAGRAM:
            event.execution.problem_throughout(Reason.NETWORK, where)
        else:
            self.context.connections.add(event.execution, endpoint, where)

    def _accept(self, event: Event) -> None:
        """Who connects may be an outsider: `Connections` tells at the end."""
        body, endpoint = event.body, event.body.endpoint
        self._use(event)
        if body.err or body.handle is None or endpoint is None:
            return
        if any(body.handle.file in at.descriptors for at in event.execution.chain()):
            event.execution.problem_throughout(Reason.NETWORK, "accept of a socket handed in")
        what = "a connection that nobody of the tree made"
        self.context.connections.add(event.execution, endpoint, what)

    def _option(self, event: Event) -> None:
        body, endpoint = event.body, event.body.endpoint
        self._use(event)
        if endpoint is None or endpoint.family == UNIX:
            return
        call = SYSCALL_NAMES[body.nr]
        level, name = (argument & 0xFFFFFFFF for argument in body.args)
        if (level, name) not in (_TO_SET if call == "setsockopt" else _TO_ASK):
            what = f"{call} {level} {name}"
            event.execution.problem_throughout(Reason.NETWORK, what)
        elif call == "getsockopt" and (level, name) in _BUFFERS:
            for path in _BUFFER_SIZES:
                self.context.observe(event, Kind.CONTENT, path, path)

    @staticmethod
    def _use(event: Event) -> None:
        """Of a socket that was handed in: what it is connected to is no part of a call, and what
        is done to it stays."""
        body = event.body
        call = SYSCALL_NAMES[body.nr]
        asks = call.startswith("get") and (body.endpoint is None or body.endpoint.family == UNIX)
        for execution, fd in inheritors(event, body.handle, body.stamp2, writing=False):
            depend_on_fd(event, execution, fd)
            if body.stamp2 is not None and S_ISSOCK(body.stamp2.st_mode) and not asks:
                execution.problem(Reason.DESCRIPTOR_PASSING, f"{call} of descriptor {fd}")

    # ---- datagrams ----

    def _exchange(self, event: Event, endpoint: Endpoint) -> None:
        """A datagram went to an address that was given with it, or came from one; of a socket that
        is connected to the other end, or from it.  It must be one of the tree's."""
        address = event.body.out
        port = endpoint.remote[1]
        peer = addresses.inet(address) or (endpoint.remote if port and not address else None)
        if peer is None or not addresses.is_loopback(peer[0]):
            what = f"datagrams of {addresses.text(address)}"
            event.execution.problem_throughout(Reason.NETWORK, what)
            return
        what = f"datagrams of {addresses.endpoint_text(*peer)}"
        self.context.connections.bound(event.execution, endpoint.local[1])
        self.context.connections.exchanges(event.execution, peer[1], what)

    def received(self, event: Event) -> None:
        """What was read may have been a datagram."""
        endpoint = event.body.endpoint
        if endpoint is not None and _is_for_datagrams(endpoint):
            self._use(event)
            self._exchange(event, endpoint)

    # ---- what the kernel is asked ----

    def sent(self, event: Event) -> bool:
        """Whether what was written was a datagram, or went to the kernel by a netlink socket: what,
        `data` tells."""
        endpoint = event.body.endpoint
        if endpoint is not None and _is_for_datagrams(endpoint):
            self._use(event)
            self._exchange(event, endpoint)
            return True
        if endpoint is None or endpoint.family != NETLINK:
            return False
        self._use(event)
        port, groups = addresses.netlink(event.body.out) or (0, 0)
        if port or groups or endpoint.protocol:
            event.execution.problem_throughout(Reason.NETWORK, "a netlink message")
        elif event.ret > 0:
            self._asking[event.tid] = _Request(event)
        return True

    def data(self, tid: int, data: bytes) -> None:
        """Bytes of the last write of thread `tid`."""
        request = self._asking.get(tid)
        if request is None:
            return
        request.data += data
        if len(request.data) < request.size:
            return
        if _is_about_interfaces(bytes(request.data)):
            del self._asking[tid]
            depend_on_interfaces(request.ts, request.execution)
        else:
            self.forget(tid)

    def forget(self, tid: int) -> None:
        """The thread has made another call: what it wrote was not told as a whole."""
        request = self._asking.pop(tid, None)
        if request is not None:
            request.execution.problem_throughout(Reason.NETWORK, "a netlink request")


def _is_for_datagrams(endpoint: Endpoint) -> bool:
    return endpoint.type == _DATAGRAM and endpoint.family in (INET, INET6)


class _Request:
    """What is being written to a netlink socket, `size` bytes in all."""

    __slots__ = ("data", "execution", "size", "ts")

    def __init__(self, event: Event) -> None:
        self.execution = event.execution
        self.ts = event.ts
        self.size = event.ret
        self.data = bytearray()


def _is_about_interfaces(messages: bytes) -> bool:
    """Whether the answers to these are in the value of INTERFACES."""
    at = 0
    while at < len(messages):
        if len(messages) - at < _MESSAGE.size:
            return False
        length, request, _, _, _ = _MESSAGE.unpack_from(messages, at)
        if not _MESSAGE.size < length <= min(_LONGEST_REQUEST, len(messages) - at):
            return False
        family, *more = messages[at + _MESSAGE.size : at + length]
        if family not in _ANSWERED.get(request, ()) or any(more):
            return False
        at += (length + 3) & ~3
    return True
