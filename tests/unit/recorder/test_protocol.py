"""The recorder's side of its protocol, whatever the client does."""

from __future__ import annotations

import _socket
import os
import signal
import struct
import time
from collections.abc import Iterator

import pytest

from pcache.enforce import syscalls
from pcache.probes.program import image
from pcache.recorder import protocol, server
from pcache.recorder.area import CONSUMED, Area, Broken
from pcache.recorder.pinned import of_this_kernel
from pcache.session.steps.taking import Taking

pytestmark = pytest.mark.root

PATIENCE = 20


@pytest.fixture(scope="module", autouse=True)
def _kept() -> None:
    """What a recorder without `make` loads."""
    image()


class Client:
    """Connected to a recorder in a process of its own."""

    def __init__(self, uid: int | None = None) -> None:
        self.socket, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.socket.close()
                owner = os.getuid() if uid is None else uid
                server.Connection(theirs, owner, of_this_kernel).serve()
            finally:
                os._exit(0)
        theirs.close()
        self.socket.settimeout(PATIENCE)
        self.ended = False

    def start(self) -> tuple[bytes, Taking]:
        protocol.send(self.socket, protocol.START, protocol.RING.pack(1 << 20, 0))
        kind, name, descriptors = protocol.receive(self.socket, 1)
        assert kind == protocol.READY, name
        return name, Taking(descriptors[0])

    def ask(self, kind: int) -> bytes:
        protocol.send(self.socket, kind)
        answer, payload, _ = protocol.receive(self.socket)
        assert answer in (protocol.DONE, protocol.COUNTS), payload
        return payload

    def refused(self) -> str:
        """Why it hung up."""
        kind, payload, _ = protocol.receive(self.socket)
        assert kind == protocol.REFUSED
        with pytest.raises(EOFError):
            protocol.receive(self.socket)
        return payload[2:].decode()

    def close(self) -> None:
        self.socket.close()
        if not self.ended:
            self.wait()

    def wait(self) -> int:
        """For the recorder's end; its wait status."""
        deadline = time.monotonic() + PATIENCE
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.ended = True
                return status
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.005)


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client()
    yield made
    made.close()


def header(kind: int, length: int, *, magic: bytes = b"pcre", version: int = 1) -> bytes:
    return struct.pack("<4sBBH", magic, version, kind, length)


def record(name: bytes) -> int:
    """A process that calls itself so and looks at something; it has ended."""
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.set_name(name)
            os.execv("/bin/true", ["true"])
        finally:
            os._exit(1)
    os.waitpid(pid, 0)
    return pid


def events(area: Taking) -> bytes:
    with open(os.memfd_create("events"), "r+b", buffering=0) as file:
        area.move(file.fileno(), area.pending())
        return os.pread(file.fileno(), 1 << 24, 0)


def test_a_session(client: Client) -> None:
    name, area = client.start()
    client.ask(protocol.ATTACH)
    pid = record(name)
    totals = protocol.TOTALS.unpack(client.ask(protocol.FINISH))
    counts = dict(zip(protocol.COUNTERS, totals, strict=True))
    found = events(area)
    assert 0 < counts["events"] < 1000 and counts["lost"] == 0
    assert len(found) >= counts["bytes"] and struct.pack("<I", pid) in found
    protocol.send(client.socket, protocol.CLOSE)
    assert client.socket.recv(1) == b""
    assert client.wait() == 0


@pytest.mark.parametrize(
    "message",
    [
        b"x",
        b"pcre",
        header(protocol.START, 5) + b"1234",
        header(protocol.START, 4) + b"12345",
        header(protocol.START, 0),
        header(protocol.START, 5, magic=b"pcrf") + bytes(5),
        header(protocol.START, 5, version=2) + struct.pack("<IB", 4096, 0),
        header(protocol.START, 5) + struct.pack("<IB", 4095, 0),
        header(protocol.START, 5) + struct.pack("<IB", 12288, 0),
        header(protocol.START, 5) + struct.pack("<IB", 1 << 31, 0),
        header(protocol.ATTACH, 0),
        header(protocol.FINISH, 0),
        header(protocol.MAKE, 8) + b"recorder",
        header(protocol.READY, 0),
        header(0, 0),
        header(255, 0),
        header(protocol.START, 60000) + bytes(60000),
        bytes(200_000),
    ],
    ids=lambda message: f"{len(message)}-{message[:12].hex()}",
)
def test_what_is_no_message_ends_the_session(client: Client, message: bytes) -> None:
    client.socket.send(message)
    assert client.refused()
    assert client.wait() == 0


@pytest.mark.parametrize("kind", [protocol.START, protocol.GATE, protocol.CLOSE])
@pytest.mark.parametrize("count", [1, 2, 8])
def test_descriptors_that_nobody_asked_for(client: Client, kind: int, count: int) -> None:
    """Not even GATE has one here: nobody but root's own helper forks for others."""
    with open("/dev/null", "rb") as null:
        rights = null.fileno().to_bytes(4, "little") * count
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)]
        payload = protocol.RING.pack(4096, 0) if kind == protocol.START else b""
        client.socket.sendmsg([header(kind, len(payload)) + payload], ancillary)
    assert client.refused()
    assert client.wait() == 0


@pytest.mark.parametrize("again", [protocol.START, protocol.GATE, protocol.ATTACH])
def test_out_of_turn(client: Client, again: int) -> None:
    client.start()
    client.ask(protocol.ATTACH)
    payload = protocol.RING.pack(4096, 0) if again == protocol.START else b""
    protocol.send(client.socket, again, payload)
    assert client.refused()


def test_only_the_process_of_that_name_is_told_of(client: Client) -> None:
    name, area = client.start()
    client.ask(protocol.ATTACH)
    record(name[:-1])
    assert events(area) == b""
    record(name)
    first = client.ask(protocol.FINISH)
    assert protocol.TOTALS.unpack(first)[0] and events(area)


def test_only_one_process_can_take_the_name(client: Client) -> None:
    name, area = client.start()
    client.ask(protocol.ATTACH)
    pids = [record(name), record(name)]
    client.ask(protocol.FINISH)
    found = events(area)
    assert [struct.pack("<I", pid) in found for pid in pids] == [True, False]


def test_only_a_process_of_the_user_can_take_the_name() -> None:
    client = Client(uid=os.getuid() + 1)
    name, area = client.start()
    client.ask(protocol.ATTACH)
    record(name)
    client.ask(protocol.FINISH)
    assert events(area) == b""
    client.close()


@pytest.mark.parametrize("attached", [False, True])
def test_client_that_dies(client: Client, attached: bool) -> None:
    client.start()
    if attached:
        client.ask(protocol.ATTACH)
    client.socket.close()
    assert client.wait() == 0


@pytest.mark.parametrize("taken", [1 << 40, 1])
def test_client_that_has_taken_what_was_not_there(client: Client, taken: int) -> None:
    """The position that it has written is not believed."""
    _, area = client.start()
    client.ask(protocol.ATTACH)
    area.words[CONSUMED] = taken
    assert client.refused() == "more was taken than there was"


def test_client_that_takes_nothing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left when it has had its time, and until then costs nothing but its ring."""
    monkeypatch.setattr(server, "_PATIENCE_S", 0.3)
    impatient = Client()
    name, area = impatient.start()
    impatient.ask(protocol.ATTACH)
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.set_name(name)
            os.execv("/bin/sh", ["sh", "-c", "head -c 60000000 /dev/zero | cat"])
        finally:
            os._exit(1)
    os.waitpid(pid, 0)
    assert area.pending() <= area.size
    assert area.lost > 0
    protocol.send(impatient.socket, protocol.FINISH)
    assert impatient.wait() == 0
    impatient.close()


def test_area_cannot_be_made_shorter(client: Client) -> None:
    _, area = client.start()
    for size in (0, 1 << 30):
        with pytest.raises(PermissionError):
            os.ftruncate(area.fd, size)


def test_area_that_is_none() -> None:
    with open("/etc/passwd", "rb") as file, pytest.raises((Broken, OSError)):
        Area(os.dup(file.fileno()))
    fd = os.memfd_create("unsealed", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 1 << 20)
    with pytest.raises(Broken):
        Area(fd)
    os.close(fd)


def test_data_goes_around() -> None:
    writer = Area.create(1 << 16)
    reader = Taking(os.dup(writer.fd))
    pattern = bytes(range(251)) * 100
    sent = received = b""
    while len(sent) < 1 << 18:
        writer.write(memoryview(pattern))
        sent += pattern
        assert writer.room() == (1 << 16) - len(pattern)
        received += events(reader)
    assert received == sent
    reader.close()
    writer.close()
