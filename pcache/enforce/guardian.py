"""The guardian: a process that keeps a dead or departed supervisor from breaking anybody.

A listener that closes makes every filtered call fail with ENOSYS.  The guardian holds a copy; when
the supervisor is gone, whether it crashed or has done its work, it lets every call pass until
no task uses the filter any more.
"""

from __future__ import annotations

import mmap
import os
import select
from struct import Struct

from pcache.enforce import signals, syscalls
from pcache.enforce.notify import Listener
from pcache.enforce.sentinel import Sentinel, let_go

_SWEEP = 4096
_ID = Struct("=Q")
_IDS = mmap.PAGESIZE // _ID.size


class Guardian:
    """Forks the guardian; the supervisor tells it through shared memory what it is working on."""

    def __init__(self, listener: Listener, errors: dict[int, tuple[int, str]]) -> None:
        """`errors`: (error, why) by the number of each system call that is denied for good."""
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        """Slot 0: the notification being handled; the others: parked ones, 0 where free."""
        self._free = list(range(1, _IDS))
        self.sentinel = Sentinel()
        watched, self._lifeline = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.sentinel.fork()  # here, where nobody waits for it
                _guard(listener, watched, self._shared, errors)
            finally:
                os._exit(0)
        os.close(watched)
        self.sentinel.forked_by_child()

    def handling(self, id: int) -> None:
        """Note the notification that was received last."""
        _ID.pack_into(self._shared, 0, id)

    def park(self, id: int) -> int:
        """Note a notification that stays unanswered for a while; the slot, 0 if none is left."""
        slot = self._free.pop() if self._free else 0
        if slot:
            _ID.pack_into(self._shared, slot * _ID.size, id)
        return slot

    def unpark(self, slot: int) -> None:
        """The notification of a slot has been answered."""
        if slot:
            _ID.pack_into(self._shared, slot * _ID.size, 0)
            self._free.append(slot)

    def close(self) -> None:
        """Leave everything to the guardian."""
        os.close(self._lifeline)
        self.sentinel.close()


def _guard(
    listener: Listener, watched: int, shared: mmap.mmap, errors: dict[int, tuple[int, str]]
) -> None:
    signals.ignore(
        (
            signals.HUP,
            signals.INT,
            signals.QUIT,
            signals.TERM,
            signals.TSTP,
            signals.TTIN,
            signals.TTOU,
            signals.CHLD,  # the sentinel's end
        )
    )
    os.setsid()  # away from the terminal and from whoever signals the caller's group
    let_go([listener.fd, watched])
    syscalls.set_name(b"pcache-guardian")
    os.read(watched, 1)  # ends when the last copy of the lifeline closes
    for (id,) in _ID.iter_unpack(shared[:]):
        listener.proceed(id)
    # A notification may have been received without having been noted.  Ids are consecutive (from a
    # random one, which is why `spawn` has the first one noted before anything runs) and are given
    # when a task blocks, so that it lies near the last one, on either side.
    last = _ID.unpack_from(shared, 0)[0]
    for id in range(last - _SWEEP, last + _SWEEP):
        listener.proceed(id & (1 << 64) - 1)
    poll = select.poll()
    poll.register(listener.fd, select.POLLIN)
    while True:
        [(_, events)] = poll.poll()
        if events & select.POLLIN:
            notification = listener.receive()
            if notification is None:
                continue
            if syscalls.is_handshake(notification):
                listener.answer(notification.id, syscalls.HANDSHAKE)
            elif notification.nr in errors:
                listener.answer(notification.id, -errors[notification.nr][0])
            else:
                listener.proceed(notification.id)
        elif events & (select.POLLHUP | select.POLLERR):
            return
