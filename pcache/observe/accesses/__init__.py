"""What each observed system call means for the execution that made it.

Handlers, one module for each group of calls, turn an event into observations, changes, stream
chunks, or a reason why the execution cannot be kept.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from stat import S_ISDIR

from pcache.model import Key, Reason
from pcache.observe import errnos
from pcache.observe.accesses.attributes import Attributes
from pcache.observe.accesses.context import Context
from pcache.observe.accesses.descriptors import Descriptors
from pcache.observe.accesses.entries import Entries
from pcache.observe.accesses.event import Event, Handler, Process
from pcache.observe.accesses.external import External
from pcache.observe.accesses.inherited import Inherited
from pcache.observe.accesses.opens import Opens
from pcache.observe.accesses.queries import Queries
from pcache.observe.accesses.renames import Renames
from pcache.observe.accesses.sockets import Sockets
from pcache.observe.accesses.streams import Streams
from pcache.observe.accesses.terminals import Terminals
from pcache.observe.events import (
    FAULT,
    INHERITED,
    LOADER,
    LOST,
    TRUNCATED,
    Body,
    Stamp,
    thread_of,
)
from pcache.observe.executions import Execution
from pcache.observe.observations import Look, Observation, times_may_matter
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES
from pcache.probes.syscall_table import NUMBERS

_LOOKING = frozenset(
    NUMBERS[name]
    for name in (
        *("stat", "lstat", "newfstatat", "statx", "readlink", "readlinkat", "access", "faccessat"),
        *("faccessat2", "execve", "execveat", "open", "openat", "openat2", "creat"),
    )
)

_WITHOUT_PATHS = frozenset(NUMBERS[name] for name in errnos.WITHOUT_PATHS)
_INCOMPLETE = (
    (LOST, "events of the process were lost"),
    (FAULT, "unreadable argument"),
    (TRUNCATED, "a path cut short"),
)


class Accesses:
    """Give `handle` every EVENT_CALL in time order, and `data` the data events after it."""

    def __init__(
        self,
        processes: dict[int, Process],
        spool: int,
        copies: int,
        hash_early: Callable[[bytes, Stamp, int, bool], None],
        look_up_early: Callable[[Key, Observation], None],
        read_whole: Callable[[bytes, Stamp, bytes], None],
    ) -> None:
        """`spool` and `copies` as for Streams, the others as for Context."""
        self.context = Context(processes, hash_early, look_up_early, read_whole)
        self._sockets = Sockets(self.context)
        self._streams = Streams(self.context, spool, copies, self._sockets)
        self._looking = Queries(self.context, self._streams)
        groups = (
            self._looking,
            Opens(self.context),
            Entries(self.context),
            Renames(self.context),
            Attributes(self.context),
            self._streams,
            Descriptors(),
            Terminals(),
            External(self.context),
            self._sockets,
            Inherited(self.context),
        )
        self._handlers: dict[int, Handler] = {
            NUMBERS[name]: handler
            for group in groups
            for handler, names in group.handlers()
            for name in names.split()
        }

    def again(self, execution: Execution, ts: int, body: Body) -> bool:
        """Does the same as `handle` where what these bytes mean is known already; else False."""
        if body.cache is None:
            return False
        meaning: tuple[int, tuple[Look, ...], bool] = body.cache
        generation, meant, timed = meaning
        if generation != self.context.names.generation or (timed and execution.looks is not None):
            return False
        for look in meant:
            execution.look_again(ts, look)
        return True

    def handle(self, event: Event) -> None:
        body, context = event.body, self.context
        self._forget(event.tid)
        if body.flags & (LOST | FAULT | TRUNCATED) and body.err != errno.EFAULT:
            what = next(what for flag, what in _INCOMPLETE if body.flags & flag)
            event.execution.problem_throughout(
                Reason.EVENTS_LOST, f"{SYSCALL_NAMES[body.nr]}: {what}"
            )
        if body.flags & INHERITED:
            _refuse_directory(event)
        if body.homeless:
            event.execution.problem_throughout(
                Reason.UNSUPPORTED, f"{SYSCALL_NAMES[body.nr]} below a removed directory"
            )
        if body.err and body.nr in _WITHOUT_PATHS:
            call = SYSCALL_NAMES[body.nr]
            if errnos.cause(call, body.err) == errnos.TRANSIENT:
                what = f"{call}: {os.strerror(body.err)}"
                event.execution.problem_throughout(Reason.TRANSIENT, what)
        handler = self._handlers[body.nr]
        plain = not (body.flags & ~LOADER or body.homeless)
        if body.handle is None and body.nr in _LOOKING and plain:
            context.gather()
            handler(event)
            looks = context.gathered_looks()
            if looks is not None:
                timed = any(
                    (stamp is not None or value is None) and times_may_matter(name, opened)
                    for _, name, value, stamp, opened in looks
                )
                body.cache = (context.names.generation, looks, timed)
        else:
            handler(event)

    def small_read(self, record: bytes) -> bool:
        """Does the same as `handle` where a record tells nothing but that a small file was read
        whose content is waited for; else False."""
        opened = self.context.small_reads.begins(record)
        if opened is None:
            return False
        tid = thread_of(record)
        self._forget(tid)
        self._streams.reads(tid, opened.name, opened.stamp)
        return True

    def _forget(self, tid: int) -> None:
        self._streams.forget(tid)
        self._looking.forget(tid)
        self._sockets.forget(tid)

    def absent(self, event: Event) -> None:
        """A call failed for want of a descriptor."""
        Descriptors.absent(event)

    def data(self, execution: Execution, tid: int, flags: int, offset: int, data: bytes) -> None:
        """Bytes of the last call of thread `tid`; `offset` is where they lie in the spool."""
        if self._streams.content(tid, flags, data):
            return
        self._streams.data(tid, flags, offset, len(data))
        self._looking.data(execution, tid, flags, data)
        self._sockets.data(tid, data)


def _refuse_directory(event: Event) -> None:
    """Which directory an inherited descriptor leads to is not part of a call."""
    for execution in event.execution.chain():
        directories = [
            descriptor.fd
            for same in execution.descriptors.values()
            for descriptor in same
            if S_ISDIR(descriptor.stamp.st_mode)
        ]
        if directories or execution is event.execution:
            execution.problem(
                Reason.DESCRIPTOR_PASSING, f"paths below an inherited descriptor: {directories}"
            )
