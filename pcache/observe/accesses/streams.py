"""Descriptors that were inherited: streams written, input read, and what else is done to them."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from stat import S_IFMT, S_IFREG

from pcache.linux import addresses
from pcache.model import Kind, Reason
from pcache.observe import pseudo
from pcache.observe.accesses import jvm
from pcache.observe.accesses.context import Context
from pcache.observe.accesses.descriptors import Descriptors, depend_on_status, tell_status
from pcache.observe.accesses.event import Event, Handler
from pcache.observe.accesses.numbers import (
    depend_on_fd,
    depend_on_numbers,
    depend_on_one,
    depend_on_trait,
    depend_on_writing,
    inheritors,
    is_make,
)
from pcache.observe.accesses.pipes import Pipes
from pcache.observe.accesses.sockets import Sockets
from pcache.observe.changes import MODIFIED
from pcache.observe.chunks import Chunk
from pcache.observe.errnos import DESCRIPTOR, cause
from pcache.observe.events import FAULT, TRUNCATED, Body, Descriptor, Stamp
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.probes.calls import WAITING
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES
from pcache.values import OK
from pcache.wording import text

_FMODE_READ, _FMODE_WRITE = 1, 2
# fcntl.h: F_GETLK to F_OFD_SETLKW; those that ask; l_type of struct flock, F_RDLCK and F_UNLCK.
_LOCKS = frozenset({5, 6, 7, 36, 37, 38})
_ASK_FOR_LOCK = frozenset({5, 36})
_READ_LOCK, _UNLOCKED = struct.pack("<h", 0), struct.pack("<h", 2)
_LOCK_SH = 1
_ASKING = (0, os.SEEK_CUR)
_RWF_NOAPPEND = 0x20  # linux/fs.h


class Streams:
    def __init__(self, context: Context, spool: int, copies: int, sockets: Sockets) -> None:
        """`spool` is the file that the events come from, `copies` one for bytes that the kernel
        moved from file to stream without showing them."""
        self.context = context
        self._sockets = sockets
        self._pipes = Pipes(spool)
        self._spool = spool
        self._copies = copies
        self._reading: dict[int, tuple[bytes, Stamp]] = {}
        """tid -> which small file of its own was read, whose content comes next."""
        self._copying: dict[int, list[tuple[Execution, int]]] = {}
        """tid -> executions and descriptors that the data events to come are written to."""

    def handlers(self) -> list[tuple[Handler, str]]:
        return [
            (self._write, "write pwrite64 sendto writev pwritev pwritev2"),
            (self._read, "read pread64 readv preadv preadv2 recvfrom"),
            (self._copy, "sendfile splice tee copy_file_range vmsplice"),
            (self._map, "mmap"),
            (self._lock, "flock fcntl"),
            (self._inherited_change, "ftruncate fallocate lseek"),
            (Pipes.in_vain, " ".join(WAITING)),
        ]

    def data(self, tid: int, flags: int, offset: int, size: int) -> None:
        """Bytes of the last write of thread `tid`, or of its last read from a pipe; `offset` is
        where they lie in the spool."""
        self._pipes.data(tid, flags, offset, size)
        for execution, fd in self._copying.get(tid, ()):
            execution.chunks.append(Chunk(fd, self._spool, offset, size))
            if flags & (FAULT | TRUNCATED):
                execution.problem(Reason.EVENTS_LOST, f"bytes written to descriptor {fd}")

    def reads(self, tid: int, name: bytes, stamp: Stamp) -> None:
        """The thread has read a small file of its own as a whole."""
        self._reading[tid] = name, stamp

    def content(self, tid: int, flags: int, data: bytes) -> bool:
        """The same as `data`, if they are of a file that the thread has read as a whole: whether
        they are."""
        reading = self._reading.pop(tid, None)
        if reading is not None and not flags & (FAULT | TRUNCATED):
            self.context.read_whole(*reading, data)
        return reading is not None

    def forget(self, tid: int) -> None:
        """The thread has made another call."""
        self._copying.pop(tid, None)
        self._reading.pop(tid, None)
        self._pipes.forget(tid)

    def _write(self, event: Event) -> None:
        body = event.body
        asked = inheritors(event, body.handle, body.stamp2, writing=True)
        if body.stamp2 is not None and pseudo.is_null(body.stamp2):
            return
        call = SYSCALL_NAMES[body.nr]
        if self._sockets.sent(event):
            return
        if call == "sendto" and body.args[1]:
            what = f"sendto {addresses.text(body.out)}"
            event.execution.problem_throughout(Reason.NETWORK, what)
        if body.err:
            for execution, fd in asked:
                # EAGAIN too, and EINTR: who has not read yet is no input.
                execution.problem(
                    Reason.UNOBSERVABLE_WRITE,
                    f"{call} to descriptor {fd} failed: {os.strerror(body.err)}",
                )
            return
        if call == "pwritev2" and body.args[1] & _RWF_NOAPPEND:
            event.execution.problem_throughout(Reason.UNOBSERVABLE_WRITE, f"{call} without append")
        if call.startswith("pwrite"):
            for execution, fd in asked:
                execution.problem(Reason.UNOBSERVABLE_WRITE, f"{call} to descriptor {fd}")
        for execution, fd in asked:
            depend_on_writing(event, execution, fd)
        self._copying[event.tid] = asked

    def stat(self, event: Event) -> None:
        """fstat of an inherited descriptor: the size of a file to read from tells its content;
        of one to write to only its kind matters, but to scripts that ask (`Mentions.status`)."""
        body = event.body
        for execution, fd in inheritors(event, body.handle, body.stamp2, writing=False):
            stamp = body.stamp2
            if stamp is None:
                continue
            if fd not in (1, 2) and S_IFMT(stamp.st_mode) == S_IFREG and stamp.f_mode & _FMODE_READ:
                self._depend_on_input(event, execution, fd, stamp)
            else:
                depend_on_fd(event, execution, fd)
                if S_IFMT(stamp.st_mode) == S_IFREG:
                    tell_status(execution, fd, stamp)

    def look(self, event: Event, path: bytes, *, by_stat: bool = False) -> None:
        """/dev/stdin and its like were looked at by their paths, which C libraries never do:
        whoever does that goes by what it is told, unless by access(2) alone."""
        for execution, descriptor in self._named(event, path, follow=True):
            regular = S_IFMT(descriptor.stamp.st_mode) == S_IFREG
            if descriptor.fd not in (1, 2) and regular:
                execution.problem(Reason.UNSUPPORTED, f"{text(path)}, a file, is looked at")
            else:
                depend_on_numbers(event.ts, execution, descriptor.fd, descriptor.fd)
                if regular and by_stat:
                    if event.body.stamp is not None:
                        tell_status(execution, descriptor.fd, event.body.stamp)
                    depend_on_status(event.ts, execution, descriptor.fd)

    def name(self, event: Event, path: bytes) -> None:
        """readlink(2) of what names a descriptor, as ttyname(3) does: which terminal it is is a
        fact, but for make (`is_make`); which file or pipe, another one each time."""
        for execution, descriptor in self._named(event, path, follow=False):
            kind = pseudo.kind_of(descriptor.stamp)
            if kind == b"tty" and not event.body.err:
                if not is_make(event.execution):
                    depend_on_trait(event.ts, execution, b"name", descriptor.fd, event.body.out)
            elif kind == b"null":
                depend_on_numbers(event.ts, execution, descriptor.fd, descriptor.fd)
            else:
                execution.problem(Reason.DESCRIPTOR_PASSING, f"name of descriptor {descriptor.fd}")

    def _named(
        self, event: Event, path: bytes, *, follow: bool
    ) -> Iterator[tuple[Execution, Descriptor]]:
        """Who inherited the descriptor that a path such as /dev/stdin names, or one that leads
        there, with it."""
        fd = pseudo.descriptor(path)
        if fd is None:
            fd = pseudo.descriptor(self.context.names.canonical(path, follow=follow))
        if fd is None:
            return
        self.context.not_only_looking()
        for execution in event.execution.chain():
            for descriptor in execution.inherited(fd):
                yield execution, descriptor

    def _read(self, event: Event) -> None:
        body = event.body
        if body.stamp is not None and body.handle is None:
            if body.file is not None and not body.deleted:
                self.reads(event.tid, body.file, body.stamp)
            return
        self._sockets.received(event)
        self.inherited_read(event, moved=not SYSCALL_NAMES[event.body.nr].startswith("pread"))

    def inherited_read(self, event: Event, *, moved: bool, seeking: bool = False) -> None:
        body = event.body
        handle, stamp = body.handle, body.stamp2
        if handle is None or stamp is None:
            return
        for execution, fd in inheritors(event, handle, stamp, writing=False):
            depend_on_fd(event, execution, fd)
            if body.err:
                if cause(SYSCALL_NAMES[body.nr], body.err) != DESCRIPTOR:
                    what = f"descriptor {fd}: {os.strerror(body.err)}"
                    execution.problem(Reason.FOREIGN_INPUT, what)
                continue
            if pseudo.is_null(stamp):
                continue
            if S_IFMT(stamp.st_mode) != S_IFREG:
                if self._pipes.read(event, execution, fd, stamp):
                    continue
                what = pseudo.kind_of(stamp).decode()
                execution.problem(Reason.FOREIGN_INPUT, f"descriptor {fd}, a {what}")
                continue
            self._depend_on_input(event, execution, fd, stamp)
            if moved:
                before = execution.offsets.get(fd, execution.inherited(fd)[0].handle.pos)
                if not seeking and handle.pos - event.ret != before:
                    # Who shares the open file has read from it as well.
                    what = f"offset of descriptor {fd}, moved by somebody else"
                    execution.problem(Reason.INPUT_CHANGED, what)
                execution.offsets[fd] = handle.pos

    def _depend_on_input(self, event: Event, execution: Execution, fd: int, stamp: Stamp) -> None:
        name = event.body.file
        key = (Kind.INPUT, b"%d" % fd)
        if fd not in (1, 2) and any(one.fd in (1, 2) for one in execution.same(fd)):
            execution.problem(Reason.UNSUPPORTED, f"descriptor {fd}, to which it also writes")
        if name is None or event.body.deleted:
            execution.problem(Reason.INPUT_CHANGED, f"descriptor {fd}: a deleted file")
        elif key not in execution.inputs:
            execution.inputs[key] = Observation(event.ts, name, stamp=stamp, opened=True)
            self.context.mtimes.add(stamp.st_mtime_ns)

    def _inherited_change(self, event: Event) -> None:
        """ftruncate, fallocate, lseek of an inherited descriptor, and the first two of others."""
        body = event.body
        call = SYSCALL_NAMES[body.nr]
        if call == "lseek" and (body.err or body.args == _ASKING):
            Descriptors.ask_offset(event)
            return
        if body.err:
            self.context.failed_by_descriptor(event)
        else:
            self._own_change(event)
        if body.err or body.handle is None:
            if call == "lseek":
                self.inherited_read(event, moved=False)
            return
        writable = bool(body.stamp2 and body.stamp2.f_mode & _FMODE_WRITE)
        if call == "lseek" and not writable:
            self.inherited_read(event, moved=True, seeking=True)
            return
        for execution, fd in inheritors(event, body.handle, body.stamp2, writing=True):
            execution.problem(Reason.UNOBSERVABLE_WRITE, f"{call} of descriptor {fd}")

    def _own_change(self, event: Event) -> None:
        """ftruncate, fallocate, or O_APPEND taken away by fcntl: what the execution has opened
        itself can change elsewhere than at its end."""
        body = event.body
        call, stamp = SYSCALL_NAMES[body.nr], body.stamp2
        if (
            body.file is not None
            and not body.deleted
            and stamp is not None
            and stamp.f_mode & _FMODE_WRITE
            and S_IFMT(stamp.st_mode) == S_IFREG
            and (call != "fcntl" or not stamp.f_flags & os.O_APPEND)
            and any(body.file in at.changes for at in event.execution.chain())
        ):
            self.context.change(event, body.file, MODIFIED)

    def _lock(self, event: Event) -> None:
        """A lock taken: nobody else may hold one, and only who opened the file has it.  When one
        that somebody holds will be released is no fact."""
        body = event.body
        command = body.args[0] & 0xFFFFFFFF
        if SYSCALL_NAMES[body.nr] == "fcntl" and command not in _LOCKS:
            Descriptors.control(event)
            self._own_change(event)
            return
        self.context.not_only_looking()
        if jvm.keeps(event.execution, body.file or b""):
            return
        asks = SYSCALL_NAMES[body.nr] == "fcntl" and command in _ASK_FOR_LOCK
        if body.err or (asks and body.out != _UNLOCKED):
            event.execution.problem_throughout(
                Reason.CONFLICT, f"{text(body.file or b'?')} is locked by somebody else"
            )
            return
        for execution, fd in inheritors(event, body.handle, body.stamp2, writing=False):
            execution.problem(Reason.UNSUPPORTED, f"lock of descriptor {fd}")
        if body.file is None or body.deleted:
            return
        if SYSCALL_NAMES[body.nr] == "flock":
            shared = bool(body.args[0] & _LOCK_SH)
        else:
            shared = body.out == _READ_LOCK
        prefix = b"r:" if shared else b"w:"
        event.execution.assume(Kind.UNLOCKED, body.file, event.ts, OK, prefix)

    def _copy(self, event: Event) -> None:
        """Bytes moved inside the kernel: read again from the file they came from."""
        body = event.body
        targets = inheritors(event, body.handle, body.stamp, writing=True)
        if body.err:
            for execution, fd in targets:
                what = f"{SYSCALL_NAMES[body.nr]} to descriptor {fd}: {os.strerror(body.err)}"
                execution.problem(Reason.UNOBSERVABLE_WRITE, what)
            targets = []
        if targets and not (body.stamp is not None and pseudo.is_null(body.stamp)):
            offset = None if self._at_offset(body) else self._copy_again(event)
            for execution, fd in targets:
                if offset is None:
                    execution.problem(
                        Reason.UNOBSERVABLE_WRITE, f"{SYSCALL_NAMES[body.nr]} to descriptor {fd}"
                    )
                    continue
                depend_on_one(event.ts, execution, fd, written=True)
                depend_on_fd(event, execution, fd)
                execution.chunks.append(Chunk(fd, self._copies, offset, event.ret))
        if body.handle2 is not None:
            body.handle, body.file = body.handle2, body.file2
            self.inherited_read(event, moved=len(body.out) != 8)

    @staticmethod
    def _at_offset(body: Body) -> bool:
        """Whether the bytes went to a given place of the target rather than its end."""
        return SYSCALL_NAMES[body.nr] in ("splice", "copy_file_range") and body.args[0] != 0

    def _copy_again(self, event: Event) -> int | None:
        """Where in `copies` the bytes of a kernel copy now lie; None if they are not to be had."""
        body = event.body
        stamp, handle = body.stamp2, body.handle2
        if stamp is None or handle is None or body.file2 is None:
            return None
        end = struct.unpack("<q", body.out)[0] if len(body.out) == 8 else handle.pos
        try:
            with open(body.file2, "rb") as file:
                if not stamp.same_version(os.fstat(file.fileno()), attributes_changed=False):
                    return None
                data = os.pread(file.fileno(), event.ret, end - event.ret)
            if len(data) != event.ret:
                return None
            offset = os.lseek(self._copies, 0, os.SEEK_END)
            if os.write(self._copies, data) != len(data):
                return None
        except OSError:
            return None
        for execution in event.execution.chain():
            execution.input_checks.append((body.file2, event.ts, time.monotonic_ns()))
        return offset

    def _map(self, event: Event) -> None:
        body = event.body
        protection, flags = body.args[0], body.args[1]
        if body.err:
            self.inherited_read(event, moved=False)
        elif flags & 1 and protection & 2:  # MAP_SHARED, PROT_WRITE
            for execution, fd in inheritors(event, body.handle, body.stamp2, writing=True):
                execution.problem(Reason.UNOBSERVABLE_WRITE, f"shared mapping of descriptor {fd}")
            if body.file is not None and not body.deleted:
                self.context.change(event, body.file, MODIFIED)
        else:
            self.inherited_read(event, moved=False)
