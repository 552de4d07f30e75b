"""The listener of a seccomp user-notification filter (seccomp_unotify(2))."""

from __future__ import annotations

import os
from fcntl import ioctl
from struct import Struct

# _IOWR('!', 0, struct seccomp_notif) and so on; linux/seccomp.h
_RECV = 0xC0502100
_SEND = 0xC0182101
_ID_VALID = 0x40082102
_ADD_FD = 0x40182103
_SET_FLAGS = 0x40082104
_SYNC_WAKE_UP = 1
_CONTINUE = 1
_ERESTARTSYS = 512
_SETFD = 1

_NOTIFICATION = Struct("=QIIiIQ6Q")
_RESPONSE = Struct("=QqiI")
_ID = Struct("=Q")
_DESCRIPTOR = Struct("=QIIII")
_ZEROS = bytes(_NOTIFICATION.size)


class Notification:
    """A task blocked at a filtered system call."""

    __slots__ = ("args", "id", "ip", "nr", "tid")

    def __init__(self, id: int, tid: int, nr: int, ip: int, args: list[int]) -> None:
        self.id = id
        self.tid = tid
        """Thread id, in our PID namespace."""
        self.nr = nr
        """System call number (x86-64: the filter lets other architectures through)."""
        self.ip = ip
        """Address of the instruction after the system call."""
        self.args = args


class Listener:
    """Receives notifications and answers them.  Owns its descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._buffer = bytearray(_ZEROS)
        try:
            # Whoever wakes the other is about to sleep itself: the scheduler need not wake
            # another processor for it.  Linux 6.6.
            ioctl(fd, _SET_FLAGS, _SYNC_WAKE_UP)
        except OSError:
            pass

    def receive(self) -> Notification | None:
        """The next notification; None if its task has gone before it could be received.

        Blocks unless poll(2) said that the descriptor is readable.
        """
        self._buffer[:] = _ZEROS  # the kernel insists on it (EINVAL)
        try:
            ioctl(self.fd, _RECV, self._buffer, True)
        except OSError:
            return None
        id, tid, _flags, nr, _arch, ip, *args = _NOTIFICATION.unpack(self._buffer)
        return Notification(id, tid, nr, ip, args)

    def proceed(self, id: int) -> bool:
        """Let the system call run; False if nobody waits for this answer any more."""
        return self._send(id, 0, _CONTINUE)

    def restart(self, id: int) -> bool:
        """End the wait of a task that is about to stop for its tracer.

        The error never reaches user mode: the task stops first, and then either its registers
        are replaced or the kernel restarts the system call, which notifies again.
        """
        return self._send(id, -_ERESTARTSYS, 0)

    def answer(self, id: int, value: int) -> bool:
        """End the system call without running it: a result, or an error as its negative."""
        return self._send(id, min(value, 0), 0, max(value, 0))

    def replace(self, id: int, fd: int, ours: int) -> None:
        """Make descriptor `fd` of a task that waits one of the same open file as `ours`.

        Raises OSError."""
        ioctl(self.fd, _ADD_FD, _DESCRIPTOR.pack(id, _SETFD, ours, fd, 0))

    def valid(self, id: int) -> bool:
        """Whether the task still waits: its tid has not been reused for another one."""
        try:
            ioctl(self.fd, _ID_VALID, _ID.pack(id))
        except OSError:
            return False
        return True

    def close(self) -> None:
        os.close(self.fd)

    def _send(self, id: int, error: int, flags: int, value: int = 0) -> bool:
        try:
            ioctl(self.fd, _SEND, _RESPONSE.pack(id, value, error, flags))
        except OSError:
            # ENOENT: the task died.  EINPROGRESS: answered before, or not received yet.
            return False
        return True
