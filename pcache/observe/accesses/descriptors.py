"""Calls that ask about descriptors that an execution was handed, or change how they are open.

Which number a call used is what counts: it must be open, or not, and be one open file with the same
others.
"""

from __future__ import annotations

import errno
import os
from stat import S_ISREG

from pcache.linux.descriptors import FLAGS
from pcache.model import Reason
from pcache.observe import pseudo
from pcache.observe.accesses import cpython
from pcache.observe.accesses.event import Event, Handler
from pcache.observe.accesses.numbers import (
    depend_on_absent,
    depend_on_fd,
    depend_on_numbers,
    depend_on_trait,
    inheritors,
    is_make,
    number_of,
)
from pcache.observe.events import Stamp
from pcache.observe.executions import Execution
from pcache.probes.calls import OF_DESCRIPTORS
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES
from pcache.probes.syscall_table import NUMBERS
from pcache.wording import text

_LARGEST = 0x7FFFFFFF

# linux/fcntl.h
_F_GETFL, _F_SETFL = 3, 4
_F_DUPFD_CLOEXEC, _F_DUPFD_QUERY = 1030, 1027
_ABOUT_THE_NUMBER = frozenset({0, 1, 2, _F_DUPFD_CLOEXEC, _F_DUPFD_QUERY})
"""F_DUPFD, F_GETFD, F_SETFD and their like."""
_O_APPEND = os.O_APPEND
_SELECTING = frozenset(NUMBERS[name] for name in ("select", "pselect6"))
"""What they were given lies in memory."""


class Descriptors:
    """Calls that ask about a descriptor without reading or writing."""

    def handlers(self) -> list[tuple[Handler, str]]:
        return [
            (self._duplicate, "dup dup2 dup3"),
            (self._use, " ".join(OF_DESCRIPTORS)),
        ]

    @staticmethod
    def absent(event: Event) -> None:
        """A call failed with EBADF; its arguments may be the descriptors."""
        if event.body.nr in _SELECTING:
            event.execution.problem_throughout(Reason.UNSUPPORTED, "select of an absent descriptor")
            return
        for argument in event.body.args:
            number = argument & 0xFFFFFFFF
            if number <= _LARGEST:
                depend_on_absent(event.ts, event.execution, number)

    @staticmethod
    def _duplicate(event: Event) -> None:
        for execution, fd in _used(event):
            depend_on_fd(event, execution, fd, whatever_it_is=True)

    @staticmethod
    def _use(event: Event) -> None:
        """Something that not every descriptor does for."""
        for execution, fd in _used(event):
            depend_on_fd(event, execution, fd)

    @staticmethod
    def control(event: Event) -> None:
        """fcntl(2), but for locks."""
        command = event.body.args[0] & 0xFFFFFFFF
        for execution, fd in _used(event):
            number = command in _ABOUT_THE_NUMBER
            compares = command == _F_DUPFD_QUERY
            depend_on_fd(event, execution, fd, whatever_it_is=number and not compares)
            if command == _F_GETFL:
                _depend_on_flags(event, execution, fd)
            elif command == _F_SETFL:
                Descriptors.set_flags(event, execution, fd)
            elif not number:
                execution.problem(Reason.UNSUPPORTED, f"fcntl {command} of descriptor {fd}")

    @staticmethod
    def set_flags(event: Event, execution: Execution, fd: int) -> None:
        """fcntl(2) or ioctl(2) with FIONBIO gave an open file other flags, or the same.  What they
        were before it matters: left as they were they may be changed where they were others."""
        stamp = event.body.stamp2
        if stamp is None or _is_adopted(event, execution):
            return
        _depend_on_flags(event, execution, fd)
        before, left = execution.inherited(fd)[0].stamp.f_flags & FLAGS, stamp.f_flags & FLAGS
        if left & _O_APPEND:
            # As GNU make does with its stdout (output.c).  A hit sets it before it writes.
            execution.appending.add(fd)
            if not before & _O_APPEND:
                depend_on_end(event.ts, execution, fd)
                before |= _O_APPEND
        else:
            execution.appending.discard(fd)
        if before != left:
            execution.flags_changed.add(fd)
        else:
            execution.flags_changed.discard(fd)

    @staticmethod
    def ask_offset(event: Event) -> None:
        """lseek(2) by 0 from where it is, or one that failed."""
        stamp, handle = event.body.stamp2, event.body.handle
        starts = handle is not None and cpython.starts(event.execution, handle.fd)
        for execution, fd in _used(event):
            depend_on_fd(event, execution, fd)
            if starts:
                continue
            if event.body.err not in (0, errno.ESPIPE):
                execution.problem(Reason.UNSUPPORTED, f"lseek of descriptor {fd} failed")
            elif stamp is not None and S_ISREG(stamp.st_mode) and not event.body.err:
                depend_on_trait(event.ts, execution, b"offset", number_of(event, execution, fd))
                if not _is_where_it_left_it(execution, fd, event.ret):
                    what = f"offset of descriptor {fd}, moved by somebody else"
                    execution.problem(Reason.INPUT_CHANGED, what)


def _is_adopted(event: Event, execution: Execution) -> bool:
    handle = event.body.handle
    return handle is not None and handle.file in execution.adopted


def _depend_on_flags(event: Event, execution: Execution, fd: int) -> None:
    if _is_adopted(event, execution):
        return  # of its own making
    # make asks for them to add O_APPEND, which the next make at this terminal finds there.
    what = b"flags-append" if is_make(event.execution) else b"flags"
    depend_on_trait(event.ts, execution, what, number_of(event, execution, fd))


def refuse_inherited(event: Event, use: str = "") -> None:
    """Which file an inherited descriptor leads to is not part of a call: some uses of it make
    uncacheable whoever inherited it.  `use`: what for, if it is not the call that tells."""
    body = event.body
    asked = inheritors(event, body.handle, body.stamp2 or body.stamp, writing=False)
    for execution, fd in asked:
        what = (
            f"descriptor {fd} as {use}" if use else f"{SYSCALL_NAMES[body.nr]} of descriptor {fd}"
        )
        execution.problem(Reason.DESCRIPTOR_PASSING, what)


def refuse_named(event: Event, path: bytes, name: bytes) -> bool:
    """The same where a call does something to a file by a path, of the canonical `name`, that means
    another one in each process.  Whether it is one."""
    if not (pseudo.is_magic(path) or pseudo.is_magic(name)):
        return False
    what = f"{SYSCALL_NAMES[event.body.nr]} of {text(path)}"
    event.execution.problem_throughout(Reason.DESCRIPTOR_PASSING, what)
    return True


def tell_status(execution: Execution, fd: int, seen: Stamp) -> None:
    """stat(2) told of a file that is written to: how it was at the start, and what the execution
    has written itself, if nobody else has."""
    same = execution.same(fd)
    numbers = {one.fd for one in same}
    start, at = same[0].stamp.st_size, same[0].handle.pos
    written: int = sum(chunk.length for chunk in execution.chunks if chunk.fd in numbers)
    if same[0].stamp.f_flags & _O_APPEND or fd in execution.appending:
        at = start
    ours = seen.st_size == (max(start, at + written) if written else start)
    execution.told[fd] = execution.told.get(fd, True) and ours


def depend_on_status(ts: int, execution: Execution, fd: int) -> None:
    """It went by what `tell_status` noted."""
    depend_on_trait(ts, execution, b"status", fd)
    if execution.chunks and S_ISREG(execution.same(fd)[0].stamp.st_mode):
        depend_on_trait(ts, execution, b"offset", fd)  # how far what it wrote reached
    if execution.looks is not None:
        execution.problem(Reason.UNSUPPORTED, f"the time of descriptor {fd} is looked at")
    if not execution.told.get(fd, True):
        what = f"descriptor {fd}, written to by somebody else"
        execution.problem(Reason.INPUT_CHANGED, what)


def depend_on_end(ts: int, execution: Execution, fd: int) -> None:
    """What it had written before to a file was written at its end, or not."""
    same = execution.same(fd)
    numbers = {one.fd for one in same}
    if S_ISREG(same[0].stamp.st_mode) and any(chunk.fd in numbers for chunk in execution.chunks):
        depend_on_trait(ts, execution, b"end", fd)


def adopt(event: Event, execution: Execution, stamp: Stamp) -> bool:
    """A terminal was opened by its name: if an execution was handed it, what is done with it is
    done with that.  Whether it was; which terminal it is has been an input then."""
    body = event.body
    place = stamp.st_ino, stamp.st_rdev
    found = [
        same
        for same in execution.descriptors.values()
        if (same[0].stamp.st_ino, same[0].stamp.st_rdev) == place
        and pseudo.kind_of(same[0].stamp) == b"tty"
    ]
    if not found or body.handle is None or body.file is None:
        return False
    known = execution.descriptors.get(body.handle.file)
    if known is not None and known not in found:
        return False  # its address was that of another one
    # Where its bytes go, if it is handed several.
    same = next((same for same in found if any(one.fd in (1, 2) for one in same)), found[0])
    number = same[-1].fd
    depend_on_numbers(event.ts, execution, number, None)
    depend_on_trait(event.ts, execution, b"name", number, body.file)
    execution.descriptors[body.handle.file] = same
    execution.adopted.add(body.handle.file)
    return True


def _used(event: Event) -> list[tuple[Execution, int]]:
    body = event.body
    return inheritors(event, body.handle, body.stamp2, writing=False)


def _is_where_it_left_it(execution: Execution, fd: int, offset: int) -> bool:
    """Whether nobody but an execution itself has moved the offset of what it was handed."""
    descriptor = execution.same(fd)[0]
    numbers = [one.fd for one in execution.same(fd)]
    written: int = sum(chunk.length for chunk in execution.chunks if chunk.fd in numbers)
    left = [execution.offsets[number] for number in numbers if number in execution.offsets]
    if left:
        return offset == left[0] and not written
    start = descriptor.handle.pos
    if written and descriptor.stamp.f_flags & _O_APPEND:
        start = descriptor.stamp.st_size
    return bool(offset == start + written)
