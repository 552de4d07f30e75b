"""The recorder's side of one connection, see docs/recorder-protocol.md."""

from __future__ import annotations

import os
import select
from time import monotonic

from pcache.recorder import protocol
from pcache.recorder.area import Broken
from pcache.recorder.protocol import Violation, receive, refuse, send
from pcache.recorder.session import Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Protocol

    from pcache.recorder.loaded import Loaded

    class Root(Protocol):
        """What only root can do for a client."""

        def gate(self, names: bytes, socket: int, private: list[int]) -> int: ...
        def make(self, words: bytes) -> None: ...
        def settle(self, kept: list[int]) -> None: ...


_PATIENCE_S = 60.0
"""For a client that was started and says nothing, or takes nothing out when it has ended."""
_MOST_RING = 1 << 30


class Connection:
    """A client, from its first message to the end of its session."""

    def __init__(
        self,
        socket: _socket.socket,
        uid: int,
        obtain: Callable[[], Loaded],
        most_ring: int = _MOST_RING,
        root: Root | None = None,
    ) -> None:
        """`uid`: whose processes are told of.  `root`: None where the client is not trusted with
        what only root can do."""
        self._socket = socket
        self._uid = uid
        self._obtain = obtain
        self._most_ring = most_ring
        self._root = root
        self._loaded: Loaded | None = None
        self._recorder: Recorder | None = None
        self._attached = False
        self._poll = select.epoll()
        self._gate = False
        """Whether something that needs root may still be asked for."""

    def serve(self) -> None:
        """Until the session has ended, or the client has."""
        asked = self._socket.fileno()
        self._poll.register(asked, select.EPOLLIN)
        try:
            while True:
                pause = self._recorder.relay() if self._recorder and self._attached else None
                limit = None if self._attached or self._root else _PATIENCE_S
                ready = self._poll.poll(limit if pause is None else pause)
                if not ready and pause is None:
                    raise Violation("nothing was asked for")
                if asked in dict(ready) and not self._handle(*receive(self._socket, 1)):
                    return
        except (Violation, Broken) as error:
            refuse(self._socket, str(error))
        except OSError as error:
            # Not let do what it has to, or the client has gone.
            refuse(self._socket, error.strerror or str(error), error.errno or 0)
        except EOFError:
            return
        finally:
            self._close()

    def _handle(self, kind: int, payload: bytes, descriptors: list[int]) -> bool:
        """Whether there will be more.  Raises Violation, EOFError, Broken or OSError."""
        try:
            if len(descriptors) != (kind == protocol.GATE):
                raise Violation("a descriptor too many, or none")
            if kind == protocol.START and self._loaded is None:
                self._start(payload)
            elif kind == protocol.ATTACH and self._recorder and not self._attached:
                self._attach(self._recorder)
            elif kind == protocol.FINISH and self._recorder and self._attached:
                self._finish(self._recorder)
            elif kind == protocol.GATE and self._root and self._gate:
                self._fork_gate(self._root, payload, descriptors[0])
            elif kind == protocol.MAKE and self._root:
                self._root.make(payload)
                send(self._socket, protocol.DONE)
            elif kind == protocol.CLOSE:
                return False
            else:
                raise Violation("out of turn")
        finally:
            for fd in descriptors:
                os.close(fd)
        if self._recorder and not self._gate:
            self._settle()
        return True

    def _start(self, payload: bytes) -> None:
        if len(payload) != protocol.RING.size:
            raise Violation("no size of a ring")
        size, gate = protocol.RING.unpack(payload)
        if not protocol.LEAST_RING <= size <= _MOST_RING or size & size - 1:
            raise Violation("no size of a ring")
        try:
            self._loaded = self._obtain()
            recorder = Recorder(self._loaded, min(size, self._most_ring), self._uid)
        except OSError as error:
            refuse(self._socket, f"{error.strerror or error}", error.errno or 0)
            return
        self._recorder = recorder
        self._gate = bool(gate)
        send(self._socket, protocol.READY, recorder.name, (recorder.area.fd,))

    def _private(self) -> list[int]:
        """Descriptors of ours."""
        ours = [self._socket.fileno(), self._poll.fileno()]
        if self._loaded is not None:
            ours += self._loaded.descriptors()
        if self._recorder is not None:
            ours.append(self._recorder.area.fd)
        return ours

    def _settle(self) -> None:
        """Nothing that needs root will be asked for any more."""
        self._gate = False
        if self._root:
            self._root.settle(self._private())
            self._root = None

    def _fork_gate(self, root: Root, names: bytes, socket: int) -> None:
        try:
            pid = root.gate(names, socket, self._private())
        except OSError as error:
            refuse(self._socket, error.strerror or str(error), error.errno or 0)
            return
        self._gate = False
        send(self._socket, protocol.DONE, pid.to_bytes(4, "little"))

    def _attach(self, recorder: Recorder) -> None:
        self._settle()
        try:
            recorder.attach(self._poll)
        except OSError as error:
            refuse(
                self._socket, f"the probes cannot be attached: {error.strerror}", error.errno or 0
            )
            return
        self._attached = True
        send(self._socket, protocol.DONE)

    def _finish(self, recorder: Recorder) -> None:
        """Detaches, and tells the counters when all is in the area."""
        recorder.detach()
        taken, since = -1, monotonic()
        poll = select.poll()
        poll.register(self._socket.fileno(), 0)  # for its hang-up
        while True:
            recorder.relay(last=True)
            if recorder.drained:
                break
            if recorder.area.position != taken:
                taken, since = recorder.area.position, monotonic()
            if poll.poll(1) or monotonic() - since > _PATIENCE_S:
                raise EOFError
        self._attached = False
        send(self._socket, protocol.COUNTS, recorder.counts())

    def _close(self) -> None:
        if self._recorder is not None:
            self._recorder.close()
        if self._loaded is not None:
            self._loaded.close()
        self._poll.close()
        self._socket.close()
