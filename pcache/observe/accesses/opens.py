"""The open family."""

from __future__ import annotations

import errno
import os
import struct
from stat import S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG

from pcache.linux import loader_cache
from pcache.linux.descriptors import OwnFds
from pcache.linux.traits import NO_TERMINAL, TERMINAL
from pcache.memo.questions import marked
from pcache.model import Kind, Reason
from pcache.observe import pseudo
from pcache.observe.accesses import jvm, procfs
from pcache.observe.accesses.context import Context
from pcache.observe.accesses.descriptors import adopt
from pcache.observe.accesses.event import Event, Handler
from pcache.observe.accesses.numbers import depend_on_numbers
from pcache.observe.accesses.obstacles import not_made
from pcache.observe.accesses.refusals import OWNER
from pcache.observe.accesses.start import observe_trait
from pcache.observe.changes import CREATED, DT_REG, MODIFIED, REPLACED
from pcache.observe.events import LOADER, Body, Stamp
from pcache.observe.observations import Observation
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES
from pcache.values import (
    ABSENT,
    OK,
    content_value,
    exists_value,
    link_value,
    replaceable_path,
    resolves_value,
)
from pcache.wording import text

_FMODE_WRITE, _FMODE_CREATED = 2, 0x100000  # include/linux/fs.h
_O_ACCMODE, _O_CREAT, _O_EXCL, _O_TRUNC = 3, os.O_CREAT, os.O_EXCL, os.O_TRUNC
_O_PATH, _O_TMPFILE_BIT = 0o10000000, 0o20000000
_NO_EFFECT = os.O_CLOEXEC | os.O_NOCTTY | 0o100000  # O_LARGEFILE
"""bash opens /dev/tty with O_RDWR|O_NONBLOCK only to see that it can (check_dev_tty, shell.c)."""
_HOW = struct.Struct("<QQQ")  # struct open_how
_RESOLVE_CACHED = 0x20
_MKSTEMP_MODE = 0o600


class Opens:
    def __init__(self, context: Context) -> None:
        self.context = context

    def handlers(self) -> list[tuple[Handler, str]]:
        return [(self._open, "open creat openat openat2")]

    def _open(self, event: Event) -> None:
        body = event.body
        path = self.context.path(event)
        if path is None:
            return
        flags, mode = self._open_flags(body)
        self._refuse_resolve(event, path)
        self._depend_on_terminal(event, path, flags)
        if body.err:
            follow = not flags & os.O_NOFOLLOW and not (flags & _O_CREAT and flags & _O_EXCL)
            directory = bool(flags & os.O_DIRECTORY)
            if not (path == b"/dev/tty" and body.err == errno.ENXIO):  # see _depend_on_terminal
                self.context.failed(
                    event, path, follow=follow, directory=directory, wanted=_rights(flags)
                )
            if flags & _O_CREAT and body.err == errno.ENOENT:
                not_made(self.context, event, path, alone=True)
            return
        stamp, name = body.stamp, body.file
        if stamp is None or S_IFMT(stamp.st_mode) not in (S_IFREG, S_IFDIR) or name is None:
            self.context.not_only_looking()
        if stamp is None:
            event.execution.problem_throughout(Reason.EVENTS_LOST, f"open of {text(path)}")
            return
        form = S_IFMT(stamp.st_mode)
        if jvm.follow(event.execution, name or b""):
            self.context.not_only_looking()
        if pseudo.is_magic(path):
            self._open_again(event, path, stamp, flags)
        if name is None or body.deleted:
            self.context.ignored(event, path, b"")
            self._open_nameless(event, path, stamp, flags)
        elif name.startswith(b"/proc/") and procfs.opened(event, name, flags):
            self.context.not_only_looking()
        elif self.context.ignored(event, path, name):
            if name.startswith(b"/proc/"):
                self.context.not_only_looking()  # by whose process it was
            if form == S_IFCHR and not _only_tries(flags):
                for execution in event.execution.chain():
                    if not adopt(event, execution, stamp):
                        execution.problem(Reason.FOREIGN_INPUT, text(name))
        elif form == S_IFDIR and path != name:
            # Names relative to it will be told from where it is, not from how it was reached.
            value = resolves_value(marked(exists_value(stamp), name), name)
            self.context.observe(event, Kind.RESOLVES, path, name, value=value, stamp=stamp)
        elif form == S_IFLNK:
            self.context.observe(event, Kind.LINK, path, name, value=link_value(stamp), stamp=stamp)
        elif form == S_IFDIR or flags & _O_PATH:
            kind = Kind.LEXISTS if flags & os.O_NOFOLLOW else Kind.EXISTS
            value = marked(exists_value(stamp), name)
            self.context.observe(event, kind, path, name, value=value, stamp=stamp)
        elif form == S_IFREG:
            self._open_regular(event, path, name, stamp, flags, mode)
        elif form == S_IFIFO:
            for execution in event.execution.chain():
                if name not in execution.changes:
                    execution.problem(Reason.FOREIGN_INPUT, text(name))
        elif not pseudo.harmless_device(stamp.st_rdev):
            event.execution.problem_throughout(Reason.FOREIGN_INPUT, text(name))
        elif not pseudo.is_magic(path):
            kind = Kind.LCONTENT if flags & os.O_NOFOLLOW else Kind.CONTENT
            value = marked(content_value(stamp, b""), name)
            self.context.observe(event, kind, path, name, value=value)

    @staticmethod
    def _refuse_resolve(event: Event, path: bytes) -> None:
        """openat2 with rules for the way to a file, which no fact follows."""
        out = event.body.out
        if len(out) == _HOW.size and _HOW.unpack(out)[2] & ~_RESOLVE_CACHED:
            event.execution.problem_throughout(
                Reason.UNSUPPORTED, f"openat2 of {text(path)} with resolve flags"
            )

    @staticmethod
    def _depend_on_terminal(event: Event, path: bytes, flags: int) -> None:
        """Whether there is a terminal is no part of a call, beside the kinds of descriptors: that
        none was handed down is a fact, unless it was given up by the tree."""
        if path != b"/dev/tty" or event.body.err != errno.ENXIO or _only_tries(flags):
            return
        value = OwnFds().trait(TERMINAL)
        if value == NO_TERMINAL:
            observe_trait(event.execution, event.ts, TERMINAL, value)
        else:
            event.execution.problem_throughout(Reason.FOREIGN_INPUT, "/dev/tty: there is none")

    @staticmethod
    def _open_flags(body: Body) -> tuple[int, int]:
        name = SYSCALL_NAMES[body.nr]
        if name == "creat":
            return os.O_WRONLY | _O_CREAT | _O_TRUNC, body.args[0] & 0o7777
        if name == "openat2":
            flags, mode = struct.unpack_from("<QQ", body.out.ljust(16, b"\0"))
            return flags, mode
        return body.args[0] & 0xFFFFFFFF, body.args[1] & 0o7777

    @staticmethod
    def _open_again(event: Event, path: bytes, stamp: Stamp, flags: int) -> None:
        """/dev/stdin and its like: for whoever inherited the descriptor, a use of it."""
        for execution in event.execution.chain():
            for same in execution.descriptors.values():
                inherited = same[0].stamp
                if (inherited.st_ino, inherited.st_rdev) != (stamp.st_ino, stamp.st_rdev):
                    continue
                number = b"%d" % same[0].fd
                name = event.body.file or b""
                depend_on_numbers(event.ts, execution, same[0].fd, pseudo.descriptor(path))
                if pseudo.is_null(stamp):
                    continue
                evidence = f"{text(path)}: an inherited file opened anew"
                if flags & _O_ACCMODE:
                    execution.problem(Reason.UNOBSERVABLE_WRITE, evidence)
                elif S_IFMT(stamp.st_mode) != S_IFREG or not name:
                    execution.problem(Reason.FOREIGN_INPUT, evidence)
                else:
                    content = Observation(event.ts, name, stamp=stamp, opened=True)
                    execution.inputs.setdefault((Kind.INPUT, number), content)

    def _open_nameless(self, event: Event, path: bytes, stamp: Stamp, flags: int) -> None:
        """A file without a name: O_TMPFILE, a deleted file, or a magic link (/dev/stdin)."""
        if flags & _O_TMPFILE_BIT and flags & _O_ACCMODE:
            directory = self.context.names.canonical(path, follow=True)
            self.context.observe(event, Kind.DIRECTORY, path, directory, value=OK)
            for execution in event.execution.chain():
                execution.born_in.add(directory)
            return
        if S_IFMT(stamp.st_mode) == S_IFREG and event.body.deleted:
            # Opened through /proc/PID/fd, or unlinked before the open returned.
            event.execution.problem(Reason.INPUT_CHANGED, f"{text(path)}: deleted while opened")

    def _open_regular(
        self, event: Event, path: bytes, name: bytes, stamp: Stamp, flags: int, mode: int
    ) -> None:
        if pseudo.is_magic(path):
            path = name  # /dev/stdin, /proc/self/fd/N: means another file in each process
        content = Kind.LCONTENT if flags & os.O_NOFOLLOW else Kind.CONTENT
        if not stamp.f_mode & (_FMODE_WRITE | _FMODE_CREATED):
            if pseudo.is_pseudo(name, stamp.magic):
                self.context.made_up[name] = stamp.magic
                self.context.observe(event, content, path, name)
            else:
                if event.body.flags & LOADER and name == loader_cache.PATH == path:
                    content, path = Kind.LOADER, b":" + path
                self.context.observe_stamp(event, content, path, name, opened=True)
            return
        self.context.not_only_looking()
        if pseudo.is_pseudo(name, stamp.magic):
            self.context.made_up_written.add(stamp.magic)
            event.execution.problem_throughout(Reason.UNSUPPORTED, f"write to {text(name)}")
            return
        self.context.led_to(event, path, name)
        if self.context.names.canonical(path, follow=False) != name:
            path = name  # through a final link
        self.context.refuse_other_names(event, name, stamp.st_nlink)
        if stamp.f_mode & _FMODE_CREATED:
            in_place = not flags & _O_EXCL and bool(flags & _O_TRUNC)
            if not in_place:
                if flags & _O_EXCL and stamp.st_mode & 0o7777 == _MKSTEMP_MODE:
                    self.context.temporaries.add(name)
                    self.context.made_up_names.private(name, event.ts)
                self.context.observe(event, Kind.LEXISTS, path, name, value=ABSENT)
                self.context.parent_exists(event, path)
            else:
                key = replaceable_path(stamp.st_mode & 0o7777, path)
                self.context.observe(event, Kind.REPLACEABLE, key, name, value=OK)
                self.context.made_up_names.unique(name, event.ts)
            self.context.writers.modified_by(event, name, stamp)
            self.context.change(event, name, CREATED, in_place=in_place)
            self.context.captured.made(name, stamp, event.ts)
        elif flags & _O_TRUNC:
            if flags & _O_CREAT:
                created = mode & ~event.process.umask & 0o7777
                self._observe_replaceable(event, path, name, stamp, created)
            else:
                self.context.observe(event, Kind.EXISTS, path, name, value=exists_value(stamp))
                self._observe_replaceable(event, path, name, stamp, stamp.st_mode & 0o7777)
            self.context.writers.modified_by(event, name, stamp)
            self.context.change(event, name, REPLACED, was=DT_REG, in_place=True)
            self.context.captured.made(name, stamp, event.ts)
        else:
            self.context.observe_stamp(event, content, path, name, opened=True)
            self._observe_replaceable(event, path, name, stamp, stamp.st_mode & 0o7777)
            self.context.writers.modified_by(event, name, stamp)
            self.context.change(event, name, MODIFIED)
            self.context.history.opened(name, event.ts)
            if flags & os.O_APPEND:
                self.context.history.appended(name, event.ts)
            for execution in event.execution.chain():
                change = execution.changes[name]
                if change.first == event.ts:
                    change.before = stamp
            self.context.modifying[event.process.tgid, name] = event.writes, event.ts

    def _observe_replaceable(
        self, event: Event, path: bytes, name: bytes, stamp: Stamp, mode: int
    ) -> None:
        """An existing file to be written that is ours, with one name and this mode.  If O_CREAT
        and O_TRUNC were given, absent would do as well."""
        same = (
            stamp.st_mode & 0o7777 == mode
            and stamp.st_nlink == 1
            and stamp.st_uid == event.execution.uid
        )
        self.context.observe(
            event,
            Kind.REPLACEABLE,
            replaceable_path(mode, path),
            name,
            value=OK if same else exists_value(stamp),
        )


def _rights(flags: int) -> int:
    """What an open with these flags has to be granted: see `refusals.explains`."""
    rights = (os.R_OK, os.W_OK, os.R_OK | os.W_OK, os.R_OK | os.W_OK)[flags & _O_ACCMODE]
    if flags & os.O_NOATIME:
        rights |= OWNER
    return rights | os.W_OK if flags & _O_TRUNC else rights


def _only_tries(flags: int) -> bool:
    return flags & ~_NO_EFFECT == os.O_RDWR | os.O_NONBLOCK
