"""Standard descriptors of the kinds that a call had, and what is written to them."""

from __future__ import annotations

import os
import pty
import select
import socket
import tempfile
import time
import tty
from collections.abc import Mapping
from contextlib import ExitStack

_PIECE = 1 << 16
_PAUSE_MS = 20


class CannotMake(Exception):
    """A descriptor of this kind cannot be made again."""


class Descriptors:
    """Descriptors 0-2 for a child: `install` them there, `collect` here, `close` at the end."""

    def __init__(self, kinds: tuple[bytes, ...], statuses: Mapping[int, bytes]) -> None:
        """`kinds` as in `Call.fds`; `statuses`: of files, by number, as `status_trait` gives them.

        Raises CannotMake."""
        self._statuses = statuses
        self._theirs: list[int] = []
        """-1 for one that is closed."""
        self._ours: dict[int, int] = {}
        """Where to read what is written to a pipe, terminal or socket, by number."""
        self._files: dict[int, int] = {}
        self._held: set[int] = set()
        self._named = ExitStack()
        try:
            for number, kind in enumerate(kinds):
                same = number == 2 and kind == b"=1"
                self._theirs.append(self._theirs[1] if same else self._make(number, kind))
        except BaseException:
            self.close()
            raise

    def _make(self, number: int, kind: bytes) -> int:
        if kind == b"closed":
            return -1
        ours = -1
        if kind == b"null":
            theirs = os.open(os.devnull, os.O_RDWR)
        elif kind == b"pipe":
            ours, theirs = os.pipe()
        elif kind == b"file":
            theirs = self._files[number] = self._make_file(self._statuses.get(number, b""))
        elif kind == b"socket":
            one, other = socket.socketpair()
            ours, theirs = one.detach(), other.detach()
        elif kind == b"tty":
            ours, theirs = pty.openpty()
            tty.setraw(theirs)  # what comes out is what was written
        else:
            raise CannotMake(kind.decode(errors="replace"))
        if number == 0 and kind == b"pipe":
            os.close(theirs)  # nothing comes
            ours, theirs = -1, ours
        self._held.add(theirs)
        if ours >= 0:
            self._held.add(ours)
            self._ours[number] = ours
        return theirs

    def _make_file(self, status: bytes) -> int:
        theirs, name = tempfile.mkstemp()
        if b"+0 " in status:
            os.unlink(name)
        else:
            self._named.callback(os.unlink, name)
        if status:
            os.fchmod(theirs, int(status.partition(b":")[0], 8) & 0o7777)
        return theirs

    def install(self) -> None:
        """In the child: makes them 0, 1 and 2."""
        # Above all of these first, lest one is overwritten before its turn.
        spare = [fd if fd < 0 else os.dup(fd) for fd in self._theirs]
        for number, fd in enumerate(spare):
            if fd >= 0:
                os.dup2(fd, number)
            else:
                try:
                    os.close(number)
                except OSError:
                    continue

    def collect(self, pid: int, seconds: float) -> tuple[int, dict[int, bytes]] | None:
        """Waits for the child, reading what it writes: its wait status, and the bytes by
        descriptor.  None if that takes longer than `seconds`."""
        for fd in set(self._theirs) - set(self._files.values()) - {-1}:
            os.close(fd)
            self._held.discard(fd)
        parts: dict[int, list[bytes]] = {number: [] for number in self._ours}
        numbers = {fd: number for number, fd in self._ours.items()}
        poll = select.poll()
        for fd in numbers:
            poll.register(fd, select.POLLIN)
        deadline = time.monotonic() + seconds
        status: int | None = None
        while True:
            ready = [fd for fd, _ in poll.poll(_PAUSE_MS)]
            for fd in ready:
                try:
                    data = os.read(fd, _PIECE)
                except OSError:
                    data = b""  # EIO: nobody has the terminal open any more
                if data:
                    parts[numbers[fd]].append(data)
                else:
                    poll.unregister(fd)
                    del numbers[fd]
            if status is not None and not ready:
                break
            if status is None:
                ended, found = os.waitpid(pid, os.WNOHANG)
                if ended:
                    status = found
                elif time.monotonic() > deadline:
                    return None
        written = {number: b"".join(pieces) for number, pieces in parts.items()}
        for number, fd in self._files.items():
            if number:
                written[number] = os.pread(fd, os.fstat(fd).st_size, 0)
        return status, written

    def close(self) -> None:
        while self._held:
            os.close(self._held.pop())
        self._named.close()
