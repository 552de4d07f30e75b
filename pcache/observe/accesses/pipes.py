"""Pipes that were handed down by programs of the tree, and read.

What came through one is an input if it is known: all of it was read by one thread, by read(2), up
to the end, when nobody was left to write.  Who else read from it before or beside does not matter:
what a program got is what there was for it.

When it came is no input, so that it must not have made a difference: no call may have failed for
want of something to read, and of programs that are not known to take what comes as one stream each
read must have got as much as it would if all had been there.
"""

from __future__ import annotations

from stat import S_ISFIFO

from pcache.model import Reason
from pcache.observe.accesses.event import Event
from pcache.observe.chunks import Chunk, PipeInput
from pcache.observe.events import FAULT, TRUNCATED, Stamp
from pcache.observe.executions import Execution
from pcache.probes.syscall_table import NUMBERS

_PIPEFS = 0x50495045  # linux/magic.h: anonymous pipes, not fifos
_READ = NUMBERS["read"]


class Pipes:
    def __init__(self, spool: int) -> None:
        """`spool` is the file that the events come from."""
        self._spool = spool
        self._reading: dict[int, list[PipeInput]] = {}
        """tid -> whose input the data events to come are."""

    def read(self, event: Event, execution: Execution, fd: int, stamp: Stamp) -> bool:
        """A call got something from a descriptor that an execution was handed; False if that is
        none of such pipes."""
        handle = event.body.handle
        if handle is None or event.body.nr != _READ or not _is_of_the_tree(execution, stamp):
            return False
        pipe = execution.pipes.get(handle.file)
        if pipe is None:
            pipe = execution.pipes[handle.file] = PipeInput(fd, event.ts, event.tid)
        pipe.read(event.tid, event.ret, event.body.args[0] if event.body.args else 0, event.ts)
        if event.ret:
            self._reading.setdefault(event.tid, []).append(pipe)
        return True

    def data(self, tid: int, flags: int, offset: int, size: int) -> None:
        """Bytes of the last read of thread `tid`; `offset` is where they lie in the spool."""
        for pipe in self._reading.get(tid, ()):
            pipe.chunks.append(Chunk(pipe.fd, self._spool, offset, size))
            pipe.known &= not flags & (FAULT | TRUNCATED)

    @staticmethod
    def in_vain(event: Event) -> None:
        """A program saw that nothing was ready.  If something is by then another time, it may do
        something else: that is no part of what a pipe on its standard input brings."""
        for execution in event.execution.chain():
            for one in execution.inherited(0):
                if _is_of_the_tree(execution, one.stamp):
                    execution.problem(Reason.FOREIGN_INPUT, "nothing ready, and a pipe is read")

    def forget(self, tid: int) -> None:
        """The thread has made another call."""
        self._reading.pop(tid, None)


def _is_of_the_tree(execution: Execution, stamp: Stamp) -> bool:
    """Whether a file is a pipe that the command itself was not handed."""
    if not S_ISFIFO(stamp.st_mode) or stamp.magic != _PIPEFS:
        return False
    *_, command = execution.chain()
    return not any(
        one.stamp.st_ino == stamp.st_ino and one.stamp.magic == _PIPEFS
        for same in command.descriptors.values()
        for one in same
    )
