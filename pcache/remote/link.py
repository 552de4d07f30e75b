"""The session's end of its agent: started when it is first asked, never waited for in vain."""

from __future__ import annotations

import os
import sys
import time
from time import monotonic_ns

from pcache.linux.files import open_file, open_private_file
from pcache.remote import frames
from pcache.remote.errors import Unreachable, Untrusted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pcache.linux.user import User
    from pcache.settings.remote import Remote

_FAILURES = 2
"""In a row, after which a session asks no more."""
_PAUSE_S, _LONGEST_PAUSE_S = 30, 600
"""How long later sessions do not ask either, doubled each time."""
_PATH = "import sys; sys.path[:] = "


class Breaker:
    """What sessions know of each other's failures."""

    def __init__(self, directory: bytes) -> None:
        self._path = directory + b"/remote-pause"
        self._failures = 0
        until = 0.0
        try:
            with open(open_file(self._path), "rb") as file:
                words = file.read(64).split()
            self._failures, until = int(words[0]), float(words[1])
        except (OSError, ValueError, IndexError):
            pass
        self.closed = until <= time.time() or until > time.time() + _LONGEST_PAUSE_S
        """Whether the store may be asked."""

    def failed(self) -> None:
        """Others need not try for a while."""
        pause = min(_PAUSE_S << min(self._failures, 8), _LONGEST_PAUSE_S)
        self._failures += 1
        try:
            with open(open_private_file(self._path, os.O_WRONLY | os.O_TRUNC), "wb") as file:
                file.write(b"%d %f" % (self._failures, time.time() + pause))
        except OSError:
            return

    def succeeded(self) -> None:
        if self._failures:
            self._failures = 0
            try:
                os.unlink(self._path)
            except OSError:
                return


class Link:
    """Asks the agent.  What does not come in time is a failure; after some there is no more
    asking."""

    def __init__(
        self, directory: bytes, remote: Remote, user: User, become: Callable[[], None]
    ) -> None:
        """`become`: turns a child of this process into the user for good."""
        self._directory = directory
        self._remote = remote
        self._user = user
        self._become = become
        self._breaker = Breaker(directory)
        self._frames: frames.Frames | None = None
        self._number = 0
        self._answers: dict[int, list[bytes]] = {}
        self._failures = 0
        self.usable = self._breaker.closed
        self.waited_ns = 0
        self.round_trip_ns = 0
        """How long the last answer took."""

    def ask(self, what: bytes, *arguments: bytes) -> int:
        """Sends a request; what `answer` is to be given.  Raises Unreachable."""
        if not self.usable:
            raise Unreachable("the shared store did not answer of late")
        if self._frames is None:
            self._frames = frames.Frames(self._start())
        self._number += 1
        until_ns = monotonic_ns() + self._remote.timeout_ms * 1_000_000
        try:
            self._frames.send((b"%d" % self._number, what, *arguments), until_ns)
        except (frames.Closed, frames.Late):
            self._fail(now=True)
            raise Unreachable("the process that asks the shared store takes nothing") from None
        return self._number

    def answer(self, number: int, patience_ns: int) -> list[bytes] | None:
        """What was found; None if there is nothing.  Raises Unreachable or Untrusted."""
        assert self._frames is not None
        began = monotonic_ns()
        try:
            while number not in self._answers:
                found, *answer = self._frames.receive(began + patience_ns)
                self._answers[int(found)] = answer
        except frames.Late:
            self._fail()
            raise Unreachable(
                f"the shared store did not answer within {patience_ns / 1e9:.1f} s"
            ) from None
        except frames.Closed:
            self._fail(now=True)
            raise Unreachable("the process that asks the shared store has ended") from None
        finally:
            self.waited_ns += monotonic_ns() - began
        self.round_trip_ns = monotonic_ns() - began
        how, *found_fields = self._answers.pop(number)
        if how == frames.FAILED:
            self._fail()
            raise Unreachable(found_fields[0].decode(errors="replace"))
        self._failures = 0
        self._breaker.succeeded()
        if how == frames.DOUBTED:
            raise Untrusted(found_fields[0].decode(errors="replace"))
        return None if how == frames.NOTHING else found_fields

    def close(self) -> None:
        """The agent ends by itself when it sees that."""
        if self._frames is not None:
            self._frames.close()
            self._frames = None
        self.usable = False

    def _fail(self, now: bool = False) -> None:
        self._failures += 1
        if now or self._failures >= _FAILURES:
            self._breaker.failed()
            self.close()

    def _start(self) -> int:
        import _socket

        own, other = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        ours, theirs = own.detach(), other.detach()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(ours)
                self._become()
                os.setsid()
                # Nobody's child: who waits for any child of the session need not know it.
                if os.fork() == 0:
                    self._execute(theirs)
            finally:
                os._exit(1)
        os.close(theirs)
        os.waitpid(pid, 0)
        return ours

    def _execute(self, fd: int) -> None:
        null = os.open("/dev/null", os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        os.set_inheritable(fd, True)
        python = os.readlink("/proc/self/exe")
        code = f"{_PATH}{sys.path!r}; from pcache.remote.agent import main; main()"
        arguments = [python, "-I", "-S", "-c", code, str(fd), os.fsdecode(self._directory)]
        # Not as an argument, which everybody can read: there may be a password in the URL.
        settings = self._remote.packed().hex().encode()
        os.chdir("/")
        os.execve(python, arguments, {**self._user.env, frames.SETTINGS: settings})
