"""Which of the descriptors that an execution was handed a call used.

A number that the tree has made itself (dup(2), fcntl(2)) stands for those that it was made from.
They were used then, but for 1 and 2: that these are open is part of the call.
"""

from __future__ import annotations

import os
import posixpath

from pcache.linux.descriptors import (
    FLAGS,
    ONE,
    OTHER_FILE,
    SAME_FILE,
    same_as,
    status_trait,
    trait_name,
)
from pcache.model import Kind, Reason
from pcache.observe import pseudo
from pcache.observe.accesses.event import Event
from pcache.observe.events import Descriptor, Handle, Stamp
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation

_NO_NUMBER = 0xFFFFFFFF
_MAKES = frozenset({b"make", b"gmake"})
_MANY_ABSENT = 64
"""From so many on which are open is one fact."""
_O_APPEND = os.O_APPEND
_ONE = (Kind.TRAIT, trait_name(b"one", 2))


def inheritors(
    event: Event, handle: Handle | None, stamp: Stamp | None, *, writing: bool
) -> list[tuple[Execution, int]]:
    """Executions that inherited an open file description, with its number there.

    Of several numbers the lowest counts, but stdin only where it is the only one to write to:
    on a terminal 0, 1 and 2 often are one, and stdin need not be at the replay.
    """
    if handle is None or stamp is None:
        return []
    found = []
    for execution in event.execution.chain():
        same = execution.descriptors.get(handle.file)
        # The address may have been used anew after the description was closed everywhere.
        if same is None or same[0].stamp.st_ino != stamp.st_ino:
            continue
        later = writing and same[0].fd == 0 and len(same) > 1
        fd = same[1].fd if later else same[0].fd
        if fd not in execution.jobserver:
            found.append((execution, fd))
    return found


def depend_on_fd(
    event: Event, execution: Execution, fd: int, *, whatever_it_is: bool = False
) -> None:
    """An execution used one of the numbers of the open file behind its descriptor `fd`.

    `whatever_it_is`: in a way that is the same for files, pipes and terminals.  That 1 and 2 are
    among these is part of the call.
    """
    depend_on_numbers(event.ts, execution, fd, _used_number(event), whatever_it_is=whatever_it_is)


def depend_on_writing(event: Event, execution: Execution, fd: int) -> None:
    """The same for a write to it."""
    depend_on_one(event.ts, execution, fd, written=True)
    depend_on_fd(event, execution, fd, whatever_it_is=True)
    if fd and _used_number(event) == 0:
        # To stdin: which is one with what its bytes are kept for.
        depend_on_numbers(event.ts, execution, fd, fd)


def _used_number(event: Event) -> int | None:
    """None if it is not known."""
    handle = event.body.handle
    return None if handle is None or handle.fd == _NO_NUMBER else handle.fd


def depend_on_numbers(
    ts: int, execution: Execution, fd: int, used: int | None, *, whatever_it_is: bool = False
) -> None:
    """The same; `used` is the number, if it is known."""
    same = execution.same(fd)
    handed_down = any(descriptor.fd == used for descriptor in same)
    for descriptor in same:
        if descriptor.fd in (1, 2):
            concerned = not whatever_it_is and (used == descriptor.fd or not handed_down)
        else:
            concerned = used in (descriptor.fd, None)
        key = (Kind.FD, b"%d" % descriptor.fd)
        if concerned and key not in execution.inputs:
            depend_on_one(ts, execution, descriptor.fd)
            execution.observe(key, Observation(ts, b"", value_of(execution, descriptor)))


def depend_on_one(ts: int, execution: Execution, fd: int, *, written: bool = False) -> None:
    """It makes a difference whether 1 and 2 are one open file, if this is one of them.

    `written`: that something is written to them makes one only if they are one: then it is not
    known to which.
    """
    if fd in (1, 2) and _ONE not in execution.inputs:
        value = _one(execution)
        if value == ONE or not written:
            execution.observe(_ONE, Observation(ts, b"", value))


def _one(execution: Execution) -> bytes:
    """As `pcache.linux.descriptors.FdView` has it."""
    first, second = execution.same(1), execution.same(2)
    if any(descriptor.fd == 2 for descriptor in first):
        return ONE
    if first and second:
        one, other = first[0].stamp, second[0].stamp
        if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino):
            return SAME_FILE
    return OTHER_FILE


def depend_on_no_terminal(event: Event, execution: Execution, fd: int) -> None:
    """ioctl(2) told that a descriptor is no terminal: so do all that are none."""
    used = _used_number(event)
    same = execution.same(fd)
    numbers = [one.fd for one in same if one.fd == used] or [one.fd for one in same]
    if set(numbers) <= {1, 2}:
        for number in numbers:
            depend_on_trait(event.ts, execution, b"tty", number, b"0")
    else:
        depend_on_fd(event, execution, fd)


def value_of(execution: Execution, descriptor: Descriptor) -> bytes:
    """As `pcache.linux.descriptors.FdView.value`."""
    kind = pseudo.kind_of(descriptor.stamp)
    if descriptor.fd == 0:
        return b"null" if _counts_as_null(execution, descriptor, kind) else kind
    if descriptor.fd > 2:
        numbers = [other.fd for other in execution.same(descriptor.fd) if other.fd < descriptor.fd]
        return same_as(kind, numbers)
    return kind


def _counts_as_null(execution: Execution, stdin: Descriptor, kind: bytes) -> bool:
    """As `pcache.enforce.task_descriptors.TaskFds.kind`."""
    if not execution.is_make_job:
        return False
    return kind == b"tty" or (kind == b"pipe" and _comes_from_make(execution, stdin))


def _comes_from_make(execution: Execution, stdin: Descriptor) -> bool:
    """Whether make itself has opened what an execution was given as its stdin."""
    at = execution.parent
    while at is not None and any(one.fd == 0 for one in at.descriptors.get(stdin.handle.file, ())):
        at = at.parent
    return at is not None and is_make(at)


def is_make(execution: Execution) -> bool:
    """Whether it is GNU make, whose stdin pcache knows how it hands on, and that only its children
    are told the names of its terminals: in variables that make no difference
    (`pcache.settings.defaults`; GNU make's main.c)."""
    return posixpath.basename(execution.executable) in _MAKES


def depend_on_absent(ts: int, execution: Execution, number: int) -> None:
    """A call on a descriptor failed as there is none: an execution and its ancestors were handed
    none, or one that does not do for such calls."""
    for at in execution.chain():
        if at.inherited(number):
            depend_on_numbers(ts, at, number, number)
            depend_on_trait(ts, at, b"flags", number)
            continue
        at.absent.add(number)
        if len(at.absent) <= _MANY_ABSENT:
            at.observe((Kind.FD, b"%d" % number), Observation(ts, b"", b"closed"))
        else:
            depend_on_open(ts, at)


def depend_on_open(ts: int, execution: Execution) -> None:
    """Which descriptors an execution was handed, all of them, is known to it."""
    numbers = {one.fd for same in execution.descriptors.values() for one in same}
    value = b" ".join([b"%d" % number for number in sorted(numbers - execution.jobserver)])
    execution.observe((Kind.TRAIT, b"open"), Observation(ts, b"", value))


def depend_on_trait(
    ts: int, execution: Execution, what: bytes, number: int, value: bytes | None = None
) -> None:
    """What a descriptor was when it was handed down: flags, offset; or what a terminal told."""
    descriptor = execution.inherited(number)[0]
    if number == 0 and value_of(execution, descriptor) == b"null":
        return  # what make has for its jobs: pcache.linux.descriptors.is_make_job
    stamp = descriptor.stamp
    if what == b"flags":
        value = b"%d" % (stamp.f_flags & FLAGS)
    elif what == b"flags-append":
        value = b"%d" % (stamp.f_flags & FLAGS & ~_O_APPEND)
    elif what == b"status":
        value = status_trait(stamp)
    elif what == b"end":
        value = b"%d" % (descriptor.handle.pos == stamp.st_size)
        if value == b"0":
            execution.problem(Reason.UNSUPPORTED, f"flags of descriptor {number}, not at its end")
    elif what == b"offset":
        value = b"%d" % descriptor.handle.pos
        if stamp.f_flags & _O_APPEND:
            value += b" %d" % stamp.st_size
    execution.observe((Kind.TRAIT, trait_name(what, number)), Observation(ts, b"", value))


def number_of(event: Event, execution: Execution, fd: int) -> int:
    """The number that was used, if the execution was handed it; else one that is the same."""
    handle = event.body.handle
    used = fd if handle is None else handle.fd
    return used if any(one.fd == used for one in execution.same(fd)) else fd
