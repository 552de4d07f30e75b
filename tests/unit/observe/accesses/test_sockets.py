"""Sockets: what of them is a fact, what is within the tree, and what reaches out."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from pcache.linux.interfaces import interfaces_value
from pcache.memo.questions import socket_value
from pcache.model import Kind, Reason
from tests.lib.recorder import Buffer, Lab, Ref, call

pytestmark = pytest.mark.root

UNIX, INET, INET6, NETLINK, PACKET, STREAM, DATAGRAM, RAW = 1, 2, 10, 16, 17, 1, 2, 3
PYTHON = ("/usr/bin/python3", "-ISc")


def unix(path: Path | str) -> bytes:
    return struct.pack("<H", UNIX) + os.fsencode(path) + b"\0"


def inet(host: str, port: int) -> bytes:
    return struct.pack("<H", INET) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)


def netlink(groups: int) -> bytes:
    return struct.pack("<HHII", NETLINK, 0, 0, groups)


HERE = inet("127.0.0.1", 0)
MADE = call("socket", INET, STREAM, 0)
BOUND = call("bind", Ref(0), HERE, len(HERE))
ASKED = struct.pack("=IHHIIB3x", 20, 18, 0x301, 1, 0, 0)
OF_ROUTES = struct.pack("=IHHIIB3x", 20, 26, 0x301, 1, 0, 0)
KERNEL = call("socket", NETLINK, RAW, 0)

HARMLESS = {
    "unix": [call("socket", UNIX, STREAM, 0)],
    "tcp": [MADE],
    "udp": [call("socket", INET, DATAGRAM, 0)],
    "netlink": [KERNEL, call("bind", Ref(0), netlink(0), 12)],
    "bound": [MADE, BOUND, call("listen", Ref(0), 1)],
    "bound to no path": [call("socket", UNIX, STREAM, 0), call("bind", Ref(0), unix("")[:2], 2)],
    "asked which address it would have": [
        call("socket", INET, DATAGRAM, 0),
        call("connect", Ref(0), inet("127.0.0.1", 80), 16),
    ],
    "bound for datagrams": [call("socket", INET, DATAGRAM, 0), call("bind", Ref(0), HERE, 16)],
    "option": [MADE, call("setsockopt", Ref(0), 1, 2, b"\1\0\0\0", 4)],
    "option asked": [MADE, call("getsockopt", Ref(0), 1, 3, Buffer(4), b"\4\0\0\0")],
}
REACHING_OUT = {
    "packet": [call("socket", PACKET, RAW, 0)],
    "raw": [call("socket", INET, RAW, 1)],
    "port": [MADE, call("bind", Ref(0), inet("127.0.0.1", 4712), 16)],
    "datagrams from elsewhere": [
        call("socket", INET, DATAGRAM, 0),
        call("connect", Ref(0), inet("192.0.2.1", 9), 16),
    ],
    "datagram": [
        call("socket", INET, DATAGRAM, 0),
        call("sendto", Ref(0), b"x", 1, 0, inet("127.0.0.1", 9), 16),
    ],
    "datagram to who it is connected to": [
        call("socket", INET, DATAGRAM, 0),
        call("connect", Ref(0), inet("127.0.0.1", 9), 16),
        call("write", Ref(0), b"x", 1),
    ],
    "nobody there": [MADE, call("connect", Ref(0), inet("127.0.0.1", 1), 16)],
    "groups": [KERNEL, call("bind", Ref(0), netlink(1), 12)],
    "routes": [KERNEL, call("sendto", Ref(0), OF_ROUTES, 20, 0, netlink(0), 12)],
    "routes without an address": [KERNEL, call("write", Ref(0), OF_ROUTES, 20)],
    "two questions": [KERNEL, call("write", Ref(0), ASKED + OF_ROUTES, 40)],
    "question of no name": [KERNEL, call("write", Ref(0), ASKED[:18], 18)],
    "option": [MADE, call("setsockopt", Ref(0), 1, 25, b"lo\0", 3)],  # SO_BINDTODEVICE
    "option asked": [MADE, call("getsockopt", Ref(0), 6, 11, Buffer(256), b"\0\1\0\0")],
    "name without a file": [
        call("socket", UNIX, STREAM, 0),
        call("bind", Ref(0), struct.pack("<H", UNIX) + b"\0pcache-test", 14),
    ],
}


@pytest.mark.parametrize("calls", HARMLESS.values(), ids=HARMLESS.keys())
def test_harmless(lab: Lab, work: Path, calls: list[str]) -> None:
    assert not lab.calls(*calls, cwd=work).root.reasons


@pytest.mark.parametrize("calls", REACHING_OUT.values(), ids=REACHING_OUT.keys())
def test_reaching_out(lab: Lab, work: Path, calls: list[str]) -> None:
    assert Reason.NETWORK in lab.calls(*calls, cwd=work).root.reasons


def test_facts_of_sockets(lab: Lab, work: Path) -> None:
    """They have the value that they are found with again."""
    nowhere = inet("192.0.2.77", 0)
    root = lab.calls(MADE, BOUND, MADE, call("bind", Ref(2), nowhere, len(nowhere)), cwd=work).root
    for path in (b"2:1:0", b"2:1:6:" + HERE.hex().encode(), b"2:1:6:" + nowhere.hex().encode()):
        assert root.fact(Kind.SOCKET, path) == socket_value(path)
    assert socket_value(b"2:1:6:" + nowhere.hex().encode()) != b"ok"


def test_interfaces_are_a_fact(lab: Lab, work: Path) -> None:
    for asked in (
        call("sendto", Ref(0), ASKED, 20, 0, netlink(0), 12),
        call("write", Ref(0), ASKED, 20),
    ):
        root = lab.calls(KERNEL, asked, cwd=work).root
        assert root.fact(Kind.INTERFACES, b"all") == interfaces_value()
    root = lab.calls(MADE, call("ioctl", Ref(0), 0x8933, b"none".ljust(40, b"\0")), cwd=work).root
    assert root.fact(Kind.INTERFACES, b"all") == interfaces_value()


def test_peer_outside_is_named(lab: Lab, work: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        root = lab.calls(MADE, call("connect", Ref(0), inet("127.0.0.1", port), 16), cwd=work).root
    assert root.reasons[Reason.NETWORK] == f"connection to 127.0.0.1:{port}"


TALK = {
    "tcp": "s = _socket.socket(); s.bind(('127.0.0.1', 0))",
    "tcp6": "s = _socket.socket(10); s.bind(('::1', 0))",
    "unix": "s = _socket.socket(1); s.bind('{work}/s'); os.rename('{work}/s', '{work}/t')",
}


@pytest.mark.parametrize("kind", TALK)
def test_connection_within(lab: Lab, work: Path, kind: str) -> None:
    """Who contains both ends can be kept, who has one cannot."""
    code = f"""
import _socket, os, subprocess
{TALK[kind].format(work=work)}
s.listen(); name = s.getsockname() if s.family != 1 else '{work}/t'
ask = f"import _socket; c = _socket.socket({{s.family}}); c.connect({{name!r}}); c.send(b'x')"
client = subprocess.Popen(["/usr/bin/python3", "-ISc", ask])
fd, _ = s._accept(); print(os.read(fd, 9)); client.wait()
if s.family == 1: os.unlink(name)"""
    seen = lab.record(*PYTHON, code, cwd=work)
    assert not seen.root.reasons
    assert [Reason.NETWORK in one.reasons for one in seen.all] == [False, True]


SENDS = {
    "named": "c.sendto(b'x', name)",
    "connected": "c.connect(name); c.send(b'x')",
    "message": "c.sendmsg([b'x'], [], 0, name)",
}
TAKES = {
    "from": "s.recvfrom(9)",
    "message": "s.recvmsg(9)",
}


@pytest.mark.parametrize("send", SENDS)
@pytest.mark.parametrize("take", TAKES)
def test_datagrams_within(lab: Lab, work: Path, send: str, take: str) -> None:
    code = f"""
import _socket, os, subprocess
s = _socket.socket(2, 2); s.bind(('127.0.0.1', 0)); name = s.getsockname()
ask = f"import _socket; name = {{name!r}}; c = _socket.socket(2, 2); " + {SENDS[send]!r}
client = subprocess.Popen(["/usr/bin/python3", "-ISc", ask])
print({TAKES[take]}[0]); client.wait()"""
    seen = lab.record(*PYTHON, code, cwd=work)
    assert not seen.root.reasons
    assert [Reason.NETWORK in one.reasons for one in seen.all] == [False, True]


def test_datagram_of_whom_it_is_not_told(lab: Lab, work: Path) -> None:
    code = """
import _socket, os
s = _socket.socket(2, 2); s.bind(('127.0.0.1', 0))
_socket.socket(2, 2).sendto(b'x', s.getsockname()); print(s.recv(9))"""
    assert Reason.NETWORK in lab.record(*PYTHON, code, cwd=work).root.reasons


def test_datagram_from_outside(lab: Lab, work: Path) -> None:
    code = f"""
import _socket, os
s = _socket.socket(2, 2); s.bind(('127.0.0.1', 0))
with open('{work}/port.new', 'w') as file: file.write(str(s.getsockname()[1]))
os.rename('{work}/port.new', '{work}/port'); print(s.recvfrom(9)[0]); os.unlink('{work}/port')"""
    send = (
        f"while ! [ -e {work}/port ]; do sleep 0.01; done; "
        f"echo x >/dev/udp/127.0.0.1/$(cat {work}/port)"
    )
    with subprocess.Popen(["bash", "-c", send]):
        root = lab.record(*PYTHON, code, cwd=work).root
    assert "127.0.0.1" in root.reasons[Reason.NETWORK]


def test_server_alone(lab: Lab, work: Path) -> None:
    """Its client is beside it."""
    serve = f"""
import _socket, os
s = _socket.socket(1); s.bind('{work}/s'); s.listen(); os.rename('{work}/s', '{work}/t')
fd, _ = s._accept(); os.write(fd, b'x'); os.unlink('{work}/t')"""
    code = f"""
import _socket, os, subprocess, time
server = subprocess.Popen(["/usr/bin/python3", "-ISc", {serve!r}])
while not os.path.exists('{work}/t'): time.sleep(0.01)
c = _socket.socket(1); c.connect('{work}/t'); print(c.recv(9)); server.wait()"""
    seen = lab.record(*PYTHON, code, cwd=work)
    assert [Reason.NETWORK in one.reasons for one in seen.all] == [False, True]


def test_unix_socket_outside(lab: Lab, work: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(work / "s"))
        server.listen()
        address = unix(work / "s")
        root = lab.calls(
            call("socket", UNIX, STREAM, 0),
            call("connect", Ref(0), address, len(address)),
            cwd=work,
        ).root
    assert Reason.NETWORK in root.reasons


def test_datagram_to_a_name(lab: Lab, work: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(work / "s"))
        address = unix(work / "s")
        root = lab.calls(
            call("socket", UNIX, DATAGRAM, 0),
            call("sendto", Ref(0), b"x", 1, 0, address, len(address)),
            cwd=work,
        ).root
    assert Reason.NETWORK in root.reasons


def test_unix_socket_not_there(lab: Lab, work: Path) -> None:
    address = unix(work / "none")
    root = lab.calls(
        call("socket", UNIX, STREAM, 0), call("connect", Ref(0), address, len(address)), cwd=work
    ).root
    assert root.content(work / "none") == b"-"


def test_socket_handed_in(lab: Lab, work: Path) -> None:
    """Who connects to it is outside."""
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(work / "s"))
        server.listen()
        client.connect(str(work / "s"))
        root = lab.calls(call("accept", 3, 0, 0), cwd=work, fds={3: server.fileno()}).root
    assert Reason.NETWORK in root.reasons
