"""What calls tell of the descriptors that an execution was handed down.

Which number a call used is what counts: it must be open, or not, and be one open file with the same
others.  A number that the tree has made itself (dup(2), fcntl(2)) was told when it was made, by the
number it was made from.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Iterable
from stat import S_ISREG

from pcache.linux.descriptors import FLAGS, same_as, status_trait, trait_name
from pcache.model import Kind, Reason
from pcache.observe import pseudo
from pcache.observe.accesses import cpython
from pcache.observe.accesses.event import Event, Handler
from pcache.observe.events import Descriptor, Handle, Stamp
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES
from pcache.probes.syscall_table import NUMBERS
from pcache.wording import text

_NO_NUMBER = 0xFFFFFFFF
_LARGEST = 0x7FFFFFFF
_MAKES = frozenset({b"make", b"gmake"})
_MANY_ABSENT = 64
"""From so many on which are open is one fact."""

# linux/fcntl.h
_F_GETFL, _F_SETFL = 3, 4
_F_DUPFD_CLOEXEC, _F_DUPFD_QUERY = 1030, 1027
_ABOUT_THE_NUMBER = frozenset({0, 1, 2, _F_DUPFD_CLOEXEC, _F_DUPFD_QUERY})
"""F_DUPFD, F_GETFD, F_SETFD and their like."""
# asm-generic/ioctls.h
_ANSWERS = {0x5401: b"modes", 0x802C542A: b"modes2", 0x5413: b"winsize"}
"""TCGETS, TCGETS2, TIOCGWINSZ -> trait."""
_SETTINGS = {
    **{0x5402: b"modes", 0x5403: b"modes", 0x5414: b"winsize"},
    **{0x402C542B: b"modes2", 0x402C542C: b"modes2"},
}
"""TCSETS, TCSETSW, TIOCSWINSZ, TCSETS2, TCSETSW2 -> the same."""
_O_APPEND = os.O_APPEND
_SELECTING = frozenset(NUMBERS[name] for name in ("select", "pselect6"))
"""What they were given lies in memory."""


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


def depend_on_fd(event: Event, execution: Execution, fd: int) -> None:
    """An execution used one of the numbers of the open file behind its descriptor `fd`.

    What 1 and 2 are is part of the call; of all others it is a fact.
    """
    handle = event.body.handle
    used = None if handle is None or handle.fd == _NO_NUMBER else handle.fd
    depend_on_numbers(event.ts, execution, fd, used)


def depend_on_numbers(ts: int, execution: Execution, fd: int, used: int | None) -> None:
    """The same; `used` is the number, if it is known."""
    for descriptor in execution.same(fd):
        if used not in (descriptor.fd, None) or descriptor.fd in (1, 2):
            continue
        key = (Kind.FD, b"%d" % descriptor.fd)
        if key not in execution.inputs:
            execution.observe(key, Observation(ts, b"", value_of(execution, descriptor)))


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


class Descriptors:
    """Calls that ask about a descriptor without reading or writing."""

    def handlers(self) -> list[tuple[Handler, str]]:
        return [(self._use, "dup dup2 dup3")]

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
    def _use(event: Event) -> None:
        for execution, fd in _used(event):
            depend_on_fd(event, execution, fd)

    @staticmethod
    def control(event: Event) -> None:
        """fcntl(2), but for locks."""
        command = event.body.args[0] & 0xFFFFFFFF
        for execution, fd in _used(event):
            depend_on_fd(event, execution, fd)
            if command == _F_GETFL:
                _depend_on_flags(event, execution, fd)
            elif command == _F_SETFL:
                Descriptors.set_flags(event, execution, fd)
            elif command not in _ABOUT_THE_NUMBER:
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
    def answered(event: Event, asked: Iterable[tuple[Execution, int]], request: int) -> None:
        """ioctl(2) told something of a terminal."""
        what = _ANSWERS.get(request)
        if what is not None and not event.body.err:
            for execution, fd in asked:
                number = _number(event, execution, fd)
                depend_on_trait(event.ts, execution, what, number, event.body.out)

    @staticmethod
    def sets_what_it_was(event: Event, execution: Execution, fd: int, request: int) -> bool:
        """Whether ioctl(2) gave a terminal what it has told before: readline and libuv do."""
        what = _SETTINGS.get(request)
        if what is None:
            return False
        keys = [(Kind.TRAIT, trait_name(what, one.fd)) for one in execution.same(fd)]
        told = [execution.inputs[key].value for key in keys if key in execution.inputs]
        return event.body.out in told

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
                depend_on_trait(event.ts, execution, b"offset", _number(event, execution, fd))
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
    depend_on_trait(event.ts, execution, what, _number(event, execution, fd))


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


def _number(event: Event, execution: Execution, fd: int) -> int:
    """The number that was used, if the execution was handed it; else one that is the same."""
    handle = event.body.handle
    used = fd if handle is None else handle.fd
    return used if any(one.fd == used for one in execution.same(fd)) else fd


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
