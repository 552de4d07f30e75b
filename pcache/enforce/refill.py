"""Another pipe in place of one that a blocked task was handed, from which the same comes.

For a hit whose program shares the pipe with others, or that keeps somebody waiting who is done but
for what the program has still to read.  Should the hit come to nothing, the program reads it from
there, whatever becomes of us.
"""

from __future__ import annotations

import fcntl
import os
from _signal import valid_signals

from pcache.enforce import pipes, signals, syscalls
from pcache.enforce.sentinel import let_go
from pcache.values import pipe_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcache.enforce.notify import Listener
    from pcache.enforce.task_descriptors import TaskFds

_AT_ONCE = 1 << 16
_FLAGS = os.O_NONBLOCK | os.O_ASYNC
"""Those of an open pipe that programs can set."""


def refill(listener: Listener, id: int, task: TaskFds, pipe: int, pieces: Sequence[bytes]) -> None:
    """Gives a task another pipe in place of the one with that inode.  Raises OSError."""
    numbers = [fd for fd in task.numbers() if task.status(fd).st_ino == pipe]
    flags = fcntl.fcntl(task.get(numbers[0]), fcntl.F_GETFL) & _FLAGS
    end, into = os.pipe()
    try:
        if sum(map(len, pieces)) <= fcntl.fcntl(into, fcntl.F_GETPIPE_SZ):
            os.write(into, b"".join(pieces))
        else:
            pipes.Tree.ignore(_fork(into, pieces))
        os.close(into)
        into = -1
        fcntl.fcntl(end, fcntl.F_SETFL, flags)
        for number in numbers:
            listener.replace(id, number, end)
        task.refilled = pipe
    finally:
        os.close(end)
        if into >= 0:
            os.close(into)


def take_over(listener: Listener, id: int, task: TaskFds) -> bool:
    """Makes what comes from pipes that a task shares with others its own; whether it is what was
    looked at.  Raises OSError."""
    same = True
    for pipe, value in task.shared.items():
        ours = next(task.get(fd) for fd in task.numbers() if task.status(fd).st_ino == pipe)
        taken = _all_of(ours)
        refill(listener, id, task, pipe, taken)
        same &= pipe_value(taken) == value
    task.shared.clear()
    return same


def _all_of(pipe: int) -> list[bytes]:
    """What is in a pipe to which nobody can write any more, taken out."""
    taken = []
    while data := os.read(pipe, _AT_ONCE):
        taken.append(data)
    return taken


def _fork(into: int, pieces: Sequence[bytes]) -> int:
    """A process of its own pours it in, so that all of it comes."""
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
