"""Another pipe in place of one that a blocked task was handed, from which the same comes.

For a hit that keeps somebody waiting who is done but for what the task has still to read.  Should
the hit come to nothing, the program reads it from there.  A process of its own pours it in, so that
it comes to its end whatever becomes of us.
"""

from __future__ import annotations

import fcntl
import os
from _signal import valid_signals

from pcache.enforce import signals, syscalls
from pcache.enforce.sentinel import let_go

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pcache.enforce.notify import Listener

_FLAGS = os.O_NONBLOCK | os.O_ASYNC
"""Those of an open pipe that programs can set."""


def refill(
    listener: Listener, id: int, numbers: Iterable[int], pipe: int, pieces: Sequence[bytes]
) -> int:
    """Does so for some descriptors of a task, which all are the open file `pipe` is a copy of.

    The pid of who pours.  Raises OSError.
    """
    end, into = os.pipe()
    try:
        pid = _fork(into, pieces)
        os.close(into)
        into = -1
        fcntl.fcntl(end, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) & _FLAGS)
        for number in numbers:
            listener.replace(id, number, end)
    finally:
        os.close(end)
        if into >= 0:
            os.close(into)
    return pid


def _fork(into: int, pieces: Sequence[bytes]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            signals.set_mask(valid_signals())  # a broken pipe is an error then
            os.setsid()
            let_go([into])
            syscalls.set_name(b"pcache-refill")
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    left = left[os.write(into, left) :]
        except OSError:
            pass  # the task has ended, or wants no more
        finally:
            os._exit(0)
    return pid
