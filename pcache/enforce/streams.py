"""Writing a stream without ever blocking, and without changing the shared description.

O_NONBLOCK belongs to the open file description, which the caller's other processes share, so it is
never set on it: RWF_NOWAIT asks for the same in one call, where the file supports it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
from stat import S_ISCHR, S_ISFIFO, S_ISREG

from pcache.linux.descriptors import offset_and_size, restore_end

_RWF_NOWAIT = 8
_PIPE_BUF = 4096
_FIONREAD = 0x541B


class Stream:
    """A descriptor that the bytes of a replayed program go to."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        status = os.fstat(fd)
        mode = status.st_mode
        self.is_file = S_ISREG(mode)
        self._pipe = S_ISFIFO(mode)
        self.pipe = status.st_ino if self._pipe else 0
        """The inode of a pipe; 0 for anything else."""
        self._start: tuple[int, int] | None = None
        """Of a regular file: its offset and size before anything was written."""
        self._private = -1
        if S_ISCHR(mode) and os.isatty(fd):
            # A terminal knows neither RWF_NOWAIT nor offsets: another description will do.
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            try:
                self._private = os.open(b"/proc/self/fd/%d" % fd, flags)
            except OSError:
                self._private = -1  # after su(1) it may belong to somebody else

    def write(self, data: memoryview) -> int:
        """Write what goes without waiting; the number of bytes.  Raises BlockingIOError for none,
        and what the program itself would have met: BrokenPipeError, ENOSPC, EIO, ...
        """
        if self._private >= 0:
            return os.write(self._private, data)
        if self.is_file:
            if self._start is None:
                self._start = offset_and_size(self.fd)
            return os.write(self.fd, data)
        try:
            return os.pwritev(self.fd, [data], -1, _RWF_NOWAIT)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
        # Some devices, and pipes that have been spliced into; a writable pipe takes PIPE_BUF.
        if not self._events():
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return os.write(self.fd, data[:_PIPE_BUF])

    def broken(self) -> bool:
        """Whether nobody can read any more what is written here."""
        return not self.is_file and bool(self._events() & select.POLLERR)

    def take_back(self) -> None:
        """Make a regular file what it was before; what went anywhere else has been read."""
        if self._start is not None:
            restore_end(self.fd, self._start)
            self._start = None

    def room(self) -> int | None:
        """How many bytes go without waiting, if nobody else writes; None: any number."""
        if self.is_file:
            return None
        if not self._pipe:
            return _PIPE_BUF  # a socket or terminal: a guess that is always true when it is empty
        waiting = bytearray(4)
        fcntl.ioctl(self.fd, _FIONREAD, waiting)
        size = fcntl.fcntl(self.fd, fcntl.F_GETPIPE_SZ)
        return size - int.from_bytes(waiting, "little")

    def close(self) -> None:
        """Give up what the stream itself opened."""
        if self._private >= 0:
            os.close(self._private)
            self._private = -1

    def _events(self) -> int:
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        ready = poll.poll(0)
        return ready[0][1] if ready else 0
