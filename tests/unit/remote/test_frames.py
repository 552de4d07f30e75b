"""Both ends of a session's agent at once: neither waits for the other in vain."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic_ns

import pytest

from pcache.remote.frames import Closed, Frames, Late

LARGE = [b"x" * (4 << 20), b"", b"y"]
"""More than the kernel keeps for one end."""
PATIENCE_S = 20


@pytest.fixture
def ends() -> Iterator[tuple[Frames, Frames]]:
    pair = tuple(Frames(one.detach()) for one in socket.socketpair())
    yield pair
    for end in pair:
        end.close()


def after(seconds: float) -> int:
    return monotonic_ns() + int(seconds * 1e9)


def test_both_send_before_they_receive(ends: tuple[Frames, Frames]) -> None:
    until = after(PATIENCE_S)

    def exchange(end: Frames) -> list[bytes]:
        end.send(LARGE, until)
        return end.receive(until)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(exchange, ends)) == [LARGE, LARGE]


def test_nobody_takes_or_gives_anything(ends: tuple[Frames, Frames]) -> None:
    with pytest.raises(Late):
        ends[0].receive(after(0.05))
    with pytest.raises(Late):
        ends[0].send(LARGE, after(0.05))


def test_the_other_end_has_gone(ends: tuple[Frames, Frames]) -> None:
    ends[0].send([b"last"])
    ends[0].close()
    with pytest.raises(Closed):
        ends[1].send(LARGE, after(PATIENCE_S))
    assert list(ends[1].waiting()) == [[b"last"]]
    with pytest.raises(Closed):
        ends[1].receive()
