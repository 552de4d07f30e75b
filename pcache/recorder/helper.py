"""The recorder as a child of `sudo pcache`: forked first, while pcache is root's still.

Pcache itself then becomes the user for good.  Until the command has been forked the helper is
root's, for two things that only root can do; both take nothing but names from the client.
"""

from __future__ import annotations

import _socket
import errno
import os
from _signal import SIG_SETMASK, pthread_sigmask

from pcache.recorder import image, privilege, server
from pcache.recorder.pinned import of_this_kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NAME = b"pcache-recorder"
_NAME = frozenset("0123456789abcdef-")


class Helper:
    """What the helper is told by who forks it, which is not the client yet."""

    def __init__(
        self,
        uid: int,
        become: Callable[[], None],
        proceed: Callable[[_socket.socket], int],
        make: Callable[[bytes], None],
        mask: set[int],
    ) -> None:
        """`become` makes a process one of the user `uid` for good; `proceed` is what it does then,
        given the socket to the client, and gives an exit status.  `make` makes, in a process of its
        own, what root keeps for everybody.  `mask`: the signals that are blocked in the command;
        all are here."""
        self._uid = uid
        self._become = become
        self._proceed = proceed
        self._make = make
        self._mask = mask

    def serve(self, socket: _socket.socket) -> None:
        """Until the client has gone."""
        privilege.set_name(NAME)
        server.Connection(socket, self._uid, lambda: of_this_kernel(self.make), root=self).serve()

    # ---- what only root can do ----

    def gate(self, names: bytes, socket: int, private: list[int]) -> int:
        """Forks the process that will be the command, as a child of our parent: under filters that
        root has kept, by their names, without no_new_privs, so that set-user-ID programs work.
        `private`: what it is not to have.

        Its pid.  Raises OSError.
        """
        programs = [_filter(name) for name in names.decode("ascii", "replace").split(" ") if name]
        if not programs:
            raise FileNotFoundError(errno.ENOENT, "no filter")
        pid = privilege.fork_sibling()
        if pid == 0:
            status = 126
            try:
                for fd in private:
                    os.close(fd)
                pthread_sigmask(SIG_SETMASK, self._mask)
                status = self._behind_gate(programs, _socket.socket(fileno=socket))
            finally:
                os._exit(status)
        return pid

    def _behind_gate(self, programs: list[bytes], socket: _socket.socket) -> int:
        try:
            *refusals, program = programs
            for refusal in refusals:
                privilege.refuse(refusal)
            listener, killable = privilege.supervise(program)
        except OSError as error:
            socket.send(b"e%d" % (error.errno or errno.EPERM))
            return 126
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, listener.to_bytes(4, "little"))
        socket.sendmsg([b"%c%d" % (b"-k"[killable], socket.fileno())], [rights])
        os.close(listener)  # before programs of the user can look into this process
        self._become()
        privilege.be_inspected()
        return self._proceed(socket)

    def make(self, words: bytes) -> None:
        """Has something made that root keeps."""
        pid = os.fork()
        if pid == 0:
            try:
                self._make(words)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)

    def settle(self, kept: list[int]) -> None:
        """No root any more."""
        privilege.let_go(kept)
        privilege.take_precedence()
        privilege.shed()


def _filter(name: str) -> bytes:
    """A seccomp filter that root has kept.  Raises OSError."""
    if not name or set(name) - _NAME:
        raise FileNotFoundError(errno.ENOENT, "no name of a filter")
    return image.of_root(os.path.join(image.CACHE_DIR, f"program-{name}"))
