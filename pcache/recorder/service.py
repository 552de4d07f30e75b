"""The recorder as a service, for users who may record without being root at any time.

One process keeps loaded programs ready and forks another for each session, so that no two users'
events are ever in one process.  None of them is root's.
"""

from __future__ import annotations

import _socket
import os
import select
from stat import S_ISSOCK
from struct import Struct
from time import monotonic

from pcache.recorder import image, privilege
from pcache.recorder.loaded import Loaded, load
from pcache.recorder.protocol import refuse
from pcache.recorder.server import Connection

MOST_SESSIONS = 16
MOST_OF_A_USER = 4
MOST_RING = 128 << 20
_CREDENTIALS = Struct("=iII")  # struct ucred: pid, uid, gid
_BACKLOG = 16
_EAGAIN = 11


def listen(path: str, gid: int) -> _socket.socket:
    """A socket that root and members of that group can connect to.

    What is at the path goes only if it is a socket at which nobody listens any more.
    Raises OSError.
    """
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    if _is_abandoned(path):
        os.unlink(path)
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    before = os.umask(0o177)
    try:
        socket.bind(path)
    finally:
        os.umask(before)
    os.chown(path, 0, gid)
    os.chmod(path, 0o660)
    socket.listen(_BACKLOG)
    return socket


def _is_abandoned(path: str) -> bool:
    """Whether a service that has ended left its socket; False if nothing is there.

    Raises OSError: what is there is in use, or something else.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    if not S_ISSOCK(mode):
        raise FileExistsError(17, "something else than a socket is there", path)
    socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    socket.setblocking(False)
    try:
        socket.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:
        pass  # it takes no more at the moment, or is of another kind
    finally:
        socket.close()
    raise FileExistsError(17, "there is a service already", path)


def remove_afterwards(path: str) -> int:
    """Has the socket at a path removed when this process has ended, whatever ends it: it may not
    do so itself then.  By a process that stays root's, and reads nothing but this one's end.

    The descriptor that has to be open till then.  Raises OSError.
    """
    made = os.lstat(path)
    path = os.path.abspath(path)
    reading, writing = os.pipe()
    if os.fork():
        os.close(reading)
        return writing
    try:
        privilege.set_name(b"pcache-socket")
        privilege.let_go([reading])
        os.read(reading, 1)
        now = os.lstat(path)
        if (now.st_dev, now.st_ino) == (made.st_dev, made.st_ino):
            os.unlink(path)
    finally:
        os._exit(0)


class Service:
    """Serves all that connect, until it is killed or idle."""

    def __init__(
        self, listening: _socket.socket, idle_s: float | None = None, kept: tuple[int, ...] = ()
    ) -> None:
        """Gives up all rights but those that probes need.  `idle_s`: how long to wait for a
        session when there is none; None for ever.  `kept`: descriptors that this process alone
        keeps open.  Raises OSError."""
        found = image.kept(image.image_key())
        if found is None:
            raise FileNotFoundError(2, "the probes are not compiled: sudo pcache doctor --prepare")
        privilege.set_name(b"pcache-recorder")
        privilege.let_go([1, 2, listening.fileno(), *kept])
        privilege.take_precedence()
        privilege.shed()
        self._image = found
        self._listening = listening
        self._kept = kept
        self._idle_s = idle_s
        self._free: list[Loaded] = [load(found)]
        self._sessions: dict[int, tuple[int, int, Loaded]] = {}
        """By pidfd: the user, the pid, what he was given."""

    def run(self) -> None:
        """Returns when it is idle."""
        poll = select.poll()
        poll.register(self._listening.fileno(), select.POLLIN)
        since = monotonic()
        while True:
            wait = None
            if self._idle_s is not None and not self._sessions:
                wait = max(0, int((since + self._idle_s - monotonic()) * 1000))
            ready = poll.poll(wait)
            if not ready:
                return
            for fd, _ in ready:
                if fd != self._listening.fileno():
                    poll.unregister(fd)
                    self._ended(fd)
                    since = monotonic()
                    continue
                pidfd = self._accept()
                if pidfd >= 0:
                    poll.register(pidfd, select.POLLIN)
                    if not self._free:
                        self._free.append(load(self._image))  # for the next one

    def _accept(self) -> int:
        """A pidfd of the process that serves who has connected; -1 if nobody does."""
        fd, _ = self._listening._accept()  # type: ignore[attr-defined]
        socket = _socket.socket(fileno=fd)
        size = _CREDENTIALS.size
        credentials = socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, size)
        uid = _CREDENTIALS.unpack(credentials)[1]
        of_user = sum(user == uid for user, _, _ in self._sessions.values())
        if of_user >= MOST_OF_A_USER or len(self._sessions) >= MOST_SESSIONS:
            refuse(socket, "as many commands are being recorded as may be at a time", _EAGAIN)
            socket.close()
            return -1
        loaded = self._free.pop() if self._free else load(self._image)
        pid = os.fork()
        if pid == 0:
            try:
                self._listening.close()
                for fd in self._kept:
                    os.close(fd)
                for other in (*self._free, *(held for _, _, held in self._sessions.values())):
                    other.close()
                Connection(socket, uid, lambda: loaded, MOST_RING).serve()
            finally:
                os._exit(0)
        socket.close()
        pidfd = os.pidfd_open(pid)
        self._sessions[pidfd] = (uid, pid, loaded)
        return pidfd

    def _ended(self, pidfd: int) -> None:
        _, pid, loaded = self._sessions.pop(pidfd)
        os.waitpid(pid, 0)
        os.close(pidfd)
        self._free.append(loaded)
