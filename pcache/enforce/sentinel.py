"""The sentinel: tells a signal for our process group from one for this process alone.

kill(2) leaves the same siginfo for both.  The command is in our group: what went to the group it
has had already, and must not be passed on.  So one more process of the group keeps all signals
blocked; nobody knows of it, so that what is pending there was for the group.  (It cannot be the
guardian, which leaves the group to outlive a SIGKILL of it.)
"""

from __future__ import annotations

import _socket
import os
from _signal import sigtimedwait, valid_signals

from pcache.enforce import signals, syscalls

_LATENCY_S = 0.002
"""The kernel signals a group in one go, members in any order: a few microseconds."""
_PATIENCE_S = 0.5
"""For an answer on a machine under load."""


class Sentinel:
    """A connection to it.  `fork` may be left to a child; without, all signals are for us alone."""

    def __init__(self) -> None:
        self._ours, self._theirs = _socket.socketpair()
        self._ours.settimeout(_PATIENCE_S)
        self._answers = True

    def fork(self) -> None:
        """Forks the sentinel, which ends when the last copy of our end of the socket closes.

        Call it in the process group it is to watch, with the signals in question blocked.  That
        there can be no more processes is no failure.
        """
        try:
            pid = os.fork()
        except OSError:
            pid = -1
        if pid == 0:
            try:
                _answer(self._theirs)
            finally:
                os._exit(0)
        self._theirs.close()

    def forked_by_child(self) -> None:
        """For the process that left it to a child."""
        self._theirs.close()

    def reached_group(self, signal: int) -> bool:
        """Whether a signal that came to us came to the whole group.

        Ask once for each signal that was taken: the answer is forgotten with it.
        """
        if not self._answers:
            return False
        try:
            self._ours.send(bytes((signal,)))
            return self._ours.recv(1) == b"y"
        except OSError:
            self._answers = False  # a late answer would be taken for that to another question
            return False

    def close(self) -> None:
        """It is needed no more."""
        self._ours.close()


def let_go(kept: list[int]) -> None:
    """Leaves this process without a hold on the caller's pipes, files and directory.

    `kept`: the only descriptors that stay open.
    """
    os.chdir("/")
    null = os.open("/dev/null", os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    kept = sorted(kept)
    for low, high in zip([2, *kept], [*kept, 1 << 20], strict=True):
        os.closerange(low + 1, high)


def _answer(socket: _socket.socket) -> None:
    signals.set_mask(valid_signals())
    let_go([socket.fileno()])
    syscalls.set_name(b"pcache-sentinel")
    while question := socket.recv(1):
        taken = sigtimedwait(question, _LATENCY_S)
        socket.send(b"n" if taken is None else b"y")
