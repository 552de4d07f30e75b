"""The recorder, a process of its own with rights of its own: our end of the connection.

Light on imports itself, since what it waits for should begin as early as can be.
docs/recorder-protocol.md tells what is said.
"""

from __future__ import annotations

import _socket
import os
from _signal import SIG_BLOCK, pthread_sigmask, valid_signals

from pcache.errors import EnvironmentProblem, PrivilegeError
from pcache.recorder import SERVICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.linux.user import User
    from pcache.session.steps.taking import Taking

_PATIENCE_S = 5.0
"""For an answer of the service, which takes tens of milliseconds.  A child of ours may have to
compile first, and cannot be gone without our noticing."""


def nothing_recorded(verb: str, probes: Probes) -> str:
    """In one line, with the two ways to what recording needs."""
    why = probes.failure or "this user may not load probes"
    return (
        f"pcache: nothing is recorded ({why}): `sudo pcache {verb}` records once, {probes.remedy}"
    )


def _membership(path: str) -> str:
    """How a user gets at a service that he may not connect to."""
    import grp

    try:
        group = grp.getgrgid(os.stat(path).st_gid).gr_name
    except (OSError, KeyError):
        group = "pcache"
    name = os.environ.get("USER") or os.environ.get("LOGNAME") or "$USER"
    return f"`sudo usermod -aG {group} {name}` lets this user, from the next login on"


class Probes:
    """Whose process it is: a child forked while we were root (`fork`), or the service's
    (`connect`).  Without either nothing can be recorded."""

    def __init__(self, ring_bytes: int) -> None:
        self._ring_bytes = ring_bytes
        self._socket: _socket.socket | None = None
        self._pid = 0
        self.failure = ""
        """Why there is none, if it is not that there is no service."""
        self.remedy = "`sudo pcache service install` lets members of a group"
        self._started = False
        self._area: Taking | None = None
        self.name = b""
        """What the process that is to be recorded has to be called, once it is known."""

    def fork(self, user: User) -> None:
        """As root: the recorder of the processes of `user`, for whom it can fork the command."""
        try:
            ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
            pid = os.fork()
        except OSError as error:
            self.failure = f"cannot fork the recorder: {error.strerror}"
            return
        if pid == 0:
            try:
                ours.close()
                _serve(theirs, user)
            finally:
                os._exit(0)
        theirs.close()
        self._pid, self._socket = pid, ours

    def connect(self, path: str = "") -> bool:
        """To the service at a path, or where it usually is, if it is there for us."""
        path = path or os.environ.get("PCACHE_SOCKET") or SERVICE
        try:
            socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
            socket.settimeout(_PATIENCE_S)
            socket.connect(path)
        except OSError as error:
            if isinstance(error, PermissionError):
                self.remedy = _membership(path)
            if not isinstance(error, FileNotFoundError):
                self.failure = f"the recorder's service cannot be used: {error.strerror}"
            return False
        self._socket = socket
        return True

    @property
    def there(self) -> bool:
        """Whether there is a recorder."""
        return self._socket is not None

    @property
    def is_ours(self) -> bool:
        """Whether it is a child of ours, which can fork the command."""
        return self._pid > 0

    def start(self, *, gate: bool = False) -> None:
        """Has the probes loaded; nothing if that has begun, or if there is no recorder.

        `gate`: it will be asked to fork the command.
        """
        if self._socket is None or self._started:
            return
        from pcache.recorder import protocol

        self._started = True
        try:
            wanted = protocol.RING.pack(self._ring_bytes, gate and self.is_ours)
            protocol.send(self._socket, protocol.START, wanted)
        except OSError as error:
            self.failure = f"the recorder has gone: {error.strerror}"

    def ready(self) -> None:
        """Waits until they are loaded.  Raises PrivilegeError or EnvironmentProblem."""
        if self._socket is None:
            if self.failure:
                raise EnvironmentProblem(self.failure, "`pcache doctor` tells what mends it")
            raise PrivilegeError("recording needs rights that this user does not have")
        if self._area is None:
            from pcache.recorder import protocol
            from pcache.session.steps.taking import Taking

            self.start()
            if self.failure:
                raise EnvironmentProblem(self.failure, "`pcache doctor` tells what mends it")
            self.name, descriptors = self._await(protocol.READY, 1)
            self._area = Taking(descriptors[0])

    def attach(self) -> None:
        """From here on the process that calls itself `name` is recorded.  Raises as `ready`."""
        from pcache.recorder import protocol

        self._ask(protocol.ATTACH)

    def gate(self, programs: list[str], socket: int) -> int | None:
        """Forks what will be the command, under filters of these names, given a socket.

        Its pid, None if there is no filter of that name.  Raises as `ready`.
        """
        from pcache.recorder import protocol

        try:
            pid = self._ask(protocol.GATE, " ".join(programs).encode(), (socket,))
        except _NotThere:
            return None
        return int.from_bytes(pid, "little")

    def make(self, words: bytes) -> None:
        """Has root make what it keeps for everybody, see `make.make`.  Raises as `ready`."""
        from pcache.recorder import protocol

        self._ask(protocol.MAKE, words)

    @property
    def area_bytes(self) -> int:
        """How much fits into what events are handed over in."""
        return self._area.size if self._area is not None else 0

    @property
    def lost(self) -> int:
        """Events that were lost so far, as far as that is known."""
        return self._area.lost if self._area is not None else 0

    def take(self, file: int | None) -> int:
        """Moves the events that have come to a file; their bytes.

        Raises OSError, EnvironmentProblem.
        """
        from pcache.recorder.area import Broken

        if self._area is None:
            return 0
        try:
            count = self._area.pending()
        except Broken as error:
            raise EnvironmentProblem(f"the recorder: {error}") from None
        self._area.move(file, count)
        return count

    def ask_to_finish(self) -> None:
        """Has the probes detached.  `finished` tells when all events have come."""
        from pcache.recorder import protocol

        if self._socket is not None:
            protocol.send(self._socket, protocol.FINISH)

    def finished(self, timeout_s: float) -> dict[str, int] | None:
        """The kernel's counters; None if there are events to take meanwhile.

        Raises EnvironmentProblem.
        """
        from pcache.recorder import protocol

        if self._socket is None:
            return {}
        self._socket.settimeout(timeout_s)
        try:
            totals = self._answer(protocol.COUNTS)[0]
        except TimeoutError:
            return None
        finally:
            self._socket.settimeout(None if self.is_ours else _PATIENCE_S)
        return dict(zip(protocol.COUNTERS, protocol.TOTALS.unpack(totals), strict=True))

    def leave(self) -> None:
        """Nothing more is wanted; `close` waits for its end, which takes 15 ms (measured)."""
        from pcache.recorder import protocol

        if self._socket is not None:
            try:
                protocol.send(self._socket, protocol.CLOSE)
            except OSError:
                return

    def close(self) -> None:
        """Leaves, and returns when another session can have the probes that were loaded."""
        if self._socket is None:
            return
        socket, self._socket = self._socket, None
        try:
            socket.shutdown(_socket.SHUT_WR)
            while socket.recv(64):
                pass
        except OSError:
            pass
        socket.close()
        if self._area is not None:
            self._area.close()
            self._area = None
        if self._pid:
            # Whatever this process becomes has no child that it does not know of.
            try:
                os.waitpid(self._pid, 0)
            except OSError:
                pass  # collected with the command's orphans, or we are not let wait
            self._pid = 0

    # ---- the protocol ----

    def _ask(self, kind: int, payload: bytes = b"", descriptors: tuple[int, ...] = ()) -> bytes:
        from pcache.recorder import protocol

        self.ready()
        if self._socket is None:
            raise EnvironmentProblem("the recorder has gone")
        try:
            protocol.send(self._socket, kind, payload, descriptors)
        except OSError as error:
            raise EnvironmentProblem(f"the recorder has gone: {error.strerror}") from error
        return self._await(protocol.DONE)[0]

    def _await(self, wanted: int, descriptors: int = 0) -> tuple[bytes, list[int]]:
        """As `_answer`; a service that gives none is not there any more."""
        try:
            return self._answer(wanted, descriptors)
        except TimeoutError:
            socket, self._socket = self._socket, None
            if socket is not None:
                socket.close()
            self.failure = f"the recorder's service does not answer within {_PATIENCE_S:.0f} s"
            raise EnvironmentProblem(self.failure) from None

    def _answer(self, wanted: int, descriptors: int = 0) -> tuple[bytes, list[int]]:
        """Raises TimeoutError if there is none in time."""
        from pcache.recorder import protocol

        if self._socket is None:
            raise EnvironmentProblem("the recorder has gone")
        try:
            kind, payload, found = protocol.receive(self._socket, descriptors)
        except TimeoutError:
            raise
        except EOFError:
            raise EnvironmentProblem("the recorder has gone") from None
        except (OSError, protocol.Violation) as error:
            raise EnvironmentProblem(f"the recorder has gone: {error}") from None
        if kind == protocol.REFUSED:
            raise _refusal(int.from_bytes(payload[:2], "little"), payload[2:].decode())
        if kind != wanted or len(found) != descriptors:
            raise EnvironmentProblem(f"the recorder answered with message {kind}")
        return payload, found


def _serve(socket: _socket.socket, user: User) -> None:
    """In the recorder's process, root's still."""
    # What the terminal or anybody sends is for pcache and its command.
    mask = set(pthread_sigmask(SIG_BLOCK, valid_signals()))
    # A command that need not run asks for nothing: then nothing of this is imported.
    if socket.recv(1, _socket.MSG_PEEK):
        from pcache.recorder.helper import Helper
        from pcache.session.steps.make import make

        Helper(user.uid, user.become, _proceed, make, mask).serve(socket)


class _NotThere(EnvironmentProblem):
    """ENOENT."""


def _refusal(number: int, why: str) -> EnvironmentProblem | PrivilegeError:
    import errno

    if number in (errno.EPERM, errno.EACCES):
        return PrivilegeError(
            f"the kernel refuses BPF programs to the recorder: {why}",
            "`pcache doctor` tells what mends it",
        )
    kind = _NotThere if number == errno.ENOENT else EnvironmentProblem
    return kind(f"cannot record: {why}", "`pcache doctor` tells what mends it")


def _proceed(socket: _socket.socket) -> int:
    from pcache.enforce.spawn import await_command

    return await_command(socket)
