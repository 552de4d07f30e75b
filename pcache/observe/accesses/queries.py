"""Calls that only look: stat, readlink, access, chdir, a failed execve, directory listings."""

from __future__ import annotations

import errno
import os
import posixpath
import struct
from stat import S_ISREG

from pcache.linux.descriptors import OLDPWD
from pcache.model import Kind, Reason
from pcache.observe import pseudo
from pcache.observe.accesses import jvm
from pcache.observe.accesses.context import LOOKUP_FAILED, Context
from pcache.observe.accesses.descriptors import refuse_inherited, refuse_named
from pcache.observe.accesses.event import Event, Handler
from pcache.observe.accesses.numbers import depend_on_open
from pcache.observe.accesses.streams import Streams
from pcache.observe.events import FAULT, TRUNCATED
from pcache.observe.executions import Execution, PartOfListing
from pcache.observe.interpreters import opened_to_start
from pcache.observe.observations import Observation
from pcache.observe.shells import depend_on_variable
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES
from pcache.values import OK, error_value

_AT_SYMLINK_NOFOLLOW = 0x100
_GRANTED = {os.R_OK: Kind.READABLE, os.W_OK: Kind.WRITABLE, os.X_OK: Kind.EXECUTABLE}
_FMODE_PATH = 0x4000  # include/linux/fs.h

_Listing = tuple[int, PartOfListing]
"""Of an image."""


class Queries:
    def __init__(self, context: Context, streams: Streams) -> None:
        self.context = context
        self._streams = streams
        self._listings: dict[_Listing, set[tuple[bytes, int]]] = {}
        """Entries listed so far."""
        self._listing_of: dict[int, _Listing] = {}
        """tid -> listing that the data events to come belong to."""
        self._rest: dict[int, bytes] = {}
        """tid -> the beginning of an entry that goes on in the next data event."""

    def handlers(self) -> list[tuple[Handler, str]]:
        return [
            (self._stat, "stat lstat newfstatat statx fstat"),
            (self._readlink, "readlink readlinkat"),
            (
                self._access,
                "access faccessat faccessat2 execve execveat statfs file_getattr name_to_handle_at",
            ),
            (self._chdir, "chdir fchdir"),
            (self._list, "getdents64"),
        ]

    def forget(self, tid: int) -> None:
        """The thread has made another call."""
        self._listing_of.pop(tid, None)
        self._rest.pop(tid, None)

    def data(self, execution: Execution, tid: int, flags: int, data: bytes) -> None:
        """Bytes of a listing by thread `tid`, if it is listing."""
        listing = self._listing_of.get(tid)
        if listing is not None:
            if flags & (FAULT | TRUNCATED):
                execution.problem_throughout(Reason.EVENTS_LOST, "part of a listing")
            entries, rest = _directory_entries(self._rest.get(tid, b"") + data)
            self._rest[tid] = rest
            self._listings.setdefault(listing, set()).update(entries)

    def _stat(self, event: Event) -> None:
        body = event.body
        if body.handle is not None:
            self._streams.stat(event)
            self._stat_path_only(event)
            return
        path = self.context.path(event)
        if path is None:
            return
        name_of = SYSCALL_NAMES[body.nr]
        follow = name_of == "stat" or (
            name_of != "lstat" and not (body.args[0] if body.args else 0) & _AT_SYMLINK_NOFOLLOW
        )
        if follow:
            self._streams.look(event, path, by_stat=True)
        if body.err:
            self.context.failed(event, path, follow=follow)
            return
        name = self.context.names.canonical(path, follow=follow)
        if self.context.ignored(event, path, name):
            return
        kind = Kind.CONTENT if follow else Kind.LCONTENT
        self.context.observe_stamp(event, kind, path, name)

    def _stat_path_only(self, event: Event) -> None:
        """fstat of what was opened with O_PATH: the open told only that it is there."""
        body = event.body
        stamp = body.stamp2
        if stamp is None or not stamp.f_mode & _FMODE_PATH or body.file is None or body.deleted:
            return
        if S_ISREG(stamp.st_mode) and not pseudo.ignored(body.file):
            body.stamp = stamp
            self.context.observe_stamp(event, Kind.CONTENT, body.file, body.file)

    def _readlink(self, event: Event) -> None:
        path = self.context.path(event)
        if path is None:
            return
        number = event.body.err
        self._streams.name(event, path)
        if number not in (0, errno.EINVAL):
            self.context.failed(event, path, follow=False)
            return
        name = self.context.names.canonical(path, follow=False)
        if self.context.ignored(event, path, name):
            return
        if number:
            self.context.observe(event, Kind.NOT_LINK, path, name, value=OK)
        else:
            self.context.observe(event, Kind.LCONTENT, path, name, value=b"l" + event.body.out)

    def _access(self, event: Event) -> None:
        """access, statfs, and an execve that failed."""
        path = self.context.path(event)
        if path is None:
            return
        body = event.body
        nofollow = SYSCALL_NAMES[body.nr] == "faccessat2" and body.args[1] & _AT_SYMLINK_NOFOLLOW
        if not nofollow:
            self._streams.look(event, path)
        rights = body.args[0] if "access" in SYSCALL_NAMES[body.nr] else 0
        if body.err:
            if not self._lacks_interpreter(event, path):
                self.context.failed(event, path, follow=not nofollow, wanted=rights)
            return
        name = self.context.names.canonical(path, follow=not nofollow)
        if not self.context.ignored(event, path, name):
            kind = Kind.LEXISTS if nofollow else Kind.EXISTS
            self.context.observe(event, kind, path, name)
            for right, granted in _GRANTED.items():
                if rights & right:
                    self.context.observe(event, granted, path, name, value=OK)

    def _lacks_interpreter(self, event: Event, path: bytes) -> bool:
        """Whether what failed is an execve of something that is there, but for its interpreter.

        Then all that the kernel opened is an input, and that it did not find the last of it.
        """
        number = event.body.err
        executing = SYSCALL_NAMES[event.body.nr].startswith("execve")
        if not executing or number not in LOOKUP_FAILED or not os.path.isfile(path):
            return False
        self.context.not_only_looking()
        try:
            *there, last = opened_to_start(path, event.process.cwd or b"/")
        except FileNotFoundError:
            return False
        if os.path.exists(last):
            return False
        for each in there:
            name = self.context.names.canonical(each, follow=True)
            self.context.observe(event, Kind.CONTENT, each, name, opened=True)
            self.context.observe(event, Kind.EXECUTABLE, each, name, value=OK)
        name = self.context.names.canonical(last, follow=True)
        self.context.observe(event, Kind.CONTENT, last, name, value=error_value(number))
        return True

    def _chdir(self, event: Event) -> None:
        """The event's base is the directory after the call: the one before is remembered."""
        body, process = event.body, event.process
        if body.err:
            if body.raw_path is None:
                self.context.failed_by_descriptor(event)
            elif body.path is not None:
                self.context.failed(event, body.path, follow=True, directory=True)
            return
        before = process.cwd
        if body.raw_path and refuse_named(event, body.path or b"", b""):
            return
        if body.raw_path and b"\0OLDPWD=%b\0" % body.raw_path in event.execution.arguments:
            depend_on_variable(event.ts, event.execution, OLDPWD)
        if body.raw_path is None:  # fchdir: the open was observed
            process.cwd = body.file
            refuse_inherited(event, "working directory")
            return
        if body.raw_path.startswith(b"/"):
            path = body.raw_path
            process.cwd = self.context.names.canonical(path, follow=True)
        else:
            process.cwd = body.base
            path = posixpath.join(before or b"/", body.raw_path)
        if process.cwd is None or before is None:
            event.execution.problem_throughout(
                Reason.UNSUPPORTED, "working directory outside the root directory"
            )
        else:
            kind = Kind.EXISTS if path == process.cwd else Kind.RESOLVES
            self.context.observe(event, kind, path, process.cwd)

    def _list(self, event: Event) -> None:
        body = event.body
        name = body.file
        if body.err:
            self.context.failed_by_descriptor(event)
        if body.err or body.handle is None:
            return
        if name is None:
            event.execution.problem_throughout(Reason.UNSUPPORTED, "listing of a deleted directory")
            return
        if jvm.keeps(event.execution, name):
            return
        part = (body.handle.file, name)
        key = (event.execution.image, part)
        listing = event.execution.listing
        self.context.numbered.list(event.execution, name)
        if event.ret > 0:
            self._listing_of[event.tid] = key
            listing.setdefault(part, (event.ts, body.stamp))
            # Known from the first part on, so that a listing cut short by the program counts.
            self._listings.setdefault(key, set())
            return
        entries = frozenset(self._listings.pop(key, ()))
        _, whole = listing.pop(part, (0, None))
        # rm -r looks first whether there is anything in a directory, and then opens it again.
        for other, (_, seen) in list(listing.items()):
            if whole is None or seen is None or other[1] != name:
                continue
            if seen.same_version(whole, attributes_changed=False):
                del listing[other]
        if name == b"/proc/%d/fd" % event.process.tgid:
            for execution in event.execution.chain():
                depend_on_open(event.ts, execution)
        if name == b"/proc":
            event.execution.problem_throughout(Reason.FOREIGN_INPUT, "the list of processes, /proc")
        elif not pseudo.ignored(name):
            event.execution.observe(
                (Kind.LISTING, name), Observation(event.ts, name, entries=entries)
            )


def _directory_entries(data: bytes) -> tuple[list[tuple[bytes, int]], bytes]:
    """(name, d_type) of each complete struct linux_dirent64, and what is left of `data`.

    The structure: ino u64, off u64, reclen u16, type u8, name.
    """
    entries, at = [], 0
    while at + 19 <= len(data):
        (length,) = struct.unpack_from("<H", data, at + 16)
        if length < 19 or at + length > len(data):
            break
        name = data[at + 19 : at + length].split(b"\0", 1)[0]
        if name not in (b".", b".."):
            entries.append((name, data[at + 18]))
        at += length
    return entries, data[at:]
