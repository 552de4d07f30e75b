"""The command and its orphans as children of ours, and the signals that were sent to us."""

from __future__ import annotations

import os

from pcache.enforce import signals, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.observer import Observer
    from pcache.enforce.sentinel import Sentinel


class Children:
    """Collects the command (`root`, a pid) and its orphans; passes signals on to it."""

    def __init__(self, root: int, observer: Observer | None, sentinel: Sentinel) -> None:
        self.status: int | None = None
        """The command's wait status, once it has ended."""
        self._root = root
        self._observer = observer
        self._sentinel = sentinel
        self._pending: signals.Pending | None = None

    def collected(self, tid: int, status: int | None) -> None:
        """A task's end was collected for its tracer, which is us.

        We are the command's parent as well: then it is all that there is to collect.
        """
        if tid == self._root and status is not None:
            self.status = status

    def arrange_signals(self) -> int:
        """Signals wait to be read from now on; the descriptor that tells when."""
        signals.ignore((signals.TTOU,))
        signals.restore((signals.CHLD,))
        syscalls.ignore_child_stops()
        wanted = [signals.CHLD, *signals.handled(signals.FORWARDED)]
        signals.block(wanted)
        self._pending = signals.Pending(wanted)
        return self._pending.fd

    def take_signals(self) -> None:
        """Pass on what was sent to us alone, for whoever sent it knows no other process."""
        if self._pending is None:
            return
        for signal, by_kernel in self._pending.read():
            if signal == signals.CHLD:
                self.reap()
                continue
            if signals.to_pass_on(signal, by_kernel, self._sentinel.reached_group(signal)):
                self._forward(signal)
            if self._observer is not None:
                self._observer.signalled(signal)

    def _forward(self, signal: int) -> None:
        if self.status is None:  # not reaped yet, so the pid is still the command's
            try:
                os.kill(self._root, signal)
            except PermissionError:
                return  # it has become another user's: nobody but root can signal it

    def reap(self) -> None:
        """Collect the command, and orphans that became our children: init would do it at once,
        and programs wait for a daemon's end by looking for its pid.

        No tracee is in a stop here but those of parked jobs, whose death ends their job anyway.
        """
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == self._root and not os.WIFSTOPPED(status):
                self.status = status
            elif pid == 0:
                return

    def close(self) -> None:
        """Read no more signals: what came when nobody was left to be given them is dropped."""
        if self._pending is not None:
            for _ in self._pending.read():
                pass
            self._pending.close()
            self._pending = None
