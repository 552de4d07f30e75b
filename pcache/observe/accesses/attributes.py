"""Calls that change what a file is like: its size, mode, times, owner and extended attributes."""

from __future__ import annotations

import errno
import stat
import struct

from pcache.model import Kind, Reason
from pcache.observe import pseudo
from pcache.observe.accesses.context import Context
from pcache.observe.accesses.descriptors import refuse_inherited, refuse_named
from pcache.observe.accesses.event import Event, Handler
from pcache.observe.accesses.present import status_of
from pcache.observe.changes import ATTRIBUTES, GIVEN, MODIFIED, NOW, UNTOUCHED
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES
from pcache.values import OK
from pcache.wording import text

_NO_ATTRIBUTE = frozenset({errno.ENODATA, errno.EOPNOTSUPP, errno.ERANGE, errno.EPERM})
_AT_SYMLINK_NOFOLLOW = 0x100
_UTIME_NOW, _UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
_MODES = frozenset({"chmod", "fchmodat", "fchmodat2"})
_STATES = (Kind.CONTENT, Kind.LCONTENT, Kind.EXISTS, Kind.LEXISTS)
_ACLS = (b"system.posix_acl_access", b"system.posix_acl_default")


class Attributes:
    def __init__(self, context: Context) -> None:
        self.context = context

    def handlers(self) -> list[tuple[Handler, str]]:
        return [
            (self._truncate, "truncate"),
            (
                self._attributes,
                "chmod fchmodat fchmodat2 fchmod utime utimes futimesat utimensat",
            ),
            (self._owner, "chown lchown fchownat fchown"),
            (
                self._unsupported,
                "setxattr lsetxattr removexattr lremovexattr fsetxattr fremovexattr getxattr "
                "lgetxattr fgetxattr listxattr llistxattr flistxattr setxattrat getxattrat "
                "listxattrat removexattrat file_setattr getdents",
            ),
            (self._umask, "umask"),
        ]

    def _truncate(self, event: Event) -> None:
        path = self.context.path(event)
        if path is None:
            return
        if event.body.err:
            self.context.failed(event, path, follow=True)
            return
        name = self.context.names.canonical(path, follow=True)
        if refuse_named(event, path, name):
            return
        self.context.led_to(event, path, name)
        self.context.refuse_other_names(event, name, _links(name))
        for execution in event.execution.chain():
            if not execution.determined(name, event.ts):
                # The file is not opened, so no event tells of it as it was before.
                execution.problem(Reason.INPUT_CHANGED, f"{text(name)}, truncated")
        self.context.change(event, name, MODIFIED)

    def _attributes(self, event: Event) -> None:
        """chmod and utimensat: mode and times."""
        body = event.body
        call = SYSCALL_NAMES[body.nr]
        path = None
        if body.handle is not None:
            name = body.file
            if body.err:
                self.context.failed_by_descriptor(event)
                return
            refuse_inherited(event)
            if body.deleted:
                return
            if name is None:
                event.execution.problem_throughout(Reason.UNSUPPORTED, call)
                return
        else:
            path = self.context.path(event)
            if path is None:
                return
            nofollow = bool(body.args) and bool(body.args[-1] & _AT_SYMLINK_NOFOLLOW)
            follow = not (nofollow and call in ("utimensat", "fchmodat2"))
            if body.err:
                self.context.failed(event, path, follow=follow)
                return
            name = self.context.names.canonical(path, follow=follow)
            if refuse_named(event, path, name):
                return
        if pseudo.ignored(name):
            return
        if path is not None:
            self.context.led_to(event, path, name)
            self._look(event, path, name, follow=follow)
        self.context.refuse_other_names(event, name, _links(name))
        is_directory = any(name in at.directories for at in event.execution.chain())
        self.context.change(event, name, ATTRIBUTES, directory=is_directory)
        if call in ("utime", "utimes", "futimesat", "utimensat"):
            opened = self.context.modifying.get((event.process.tgid, name))
            if opened is not None and opened[0] == event.writes:
                self.context.history.withdraw(name, opened[1])  # touch(1): nothing was written
            times = _times(body.out) if call == "utimensat" else GIVEN
            for execution in event.execution.chain():
                execution.changes[name].times = times
            if call == "utimensat" and _only_accessed(body.out):
                evidence = f"the access time of {text(name)}, set alone"
                event.execution.problem_throughout(Reason.UNSUPPORTED, evidence)

    def _look(self, event: Event, path: bytes, name: bytes, *, follow: bool) -> None:
        """What is changed unseen: of a mode that is set to another one nothing is left, unless the
        group decides what becomes of it (chmod(2), S_ISGID); else it stays."""
        inputs = event.execution.inputs
        if any((kind, at) in inputs for kind in _STATES for at in (path, name)):
            return
        if SYSCALL_NAMES[event.body.nr] in _MODES and not event.body.args[0] & stat.S_ISGID:
            self.context.observe(event, Kind.NOT_LINK, name, name, value=OK)
        elif (Kind.NOT_LINK, name) not in inputs or name not in event.execution.changes:
            self.context.observe(event, Kind.EXISTS if follow else Kind.LEXISTS, path, name)

    def _owner(self, event: Event) -> None:
        body = event.body
        if body.err:
            if body.handle is not None:
                self.context.failed_by_descriptor(event)
            elif body.path is not None:
                self.context.failed(event, body.path, follow=True)
            return
        wanted = [number & 0xFFFFFFFF for number in body.args[:2]]
        mine = (event.execution.uid, event.execution.gid)
        if any(w not in (0xFFFFFFFF, own) for w, own in zip(wanted, mine, strict=True)):
            where = body.file or body.path or b"?"
            event.execution.problem_throughout(Reason.UNSUPPORTED, f"chown of {text(where)}")
            return
        refuse_inherited(event)
        name = body.file
        if body.path is not None:
            name = self.context.names.canonical(body.path, follow=True)
            if refuse_named(event, body.path, name):
                return
        if name is not None and wanted[1] != 0xFFFFFFFF:
            _must_be_plain(event, name)
        for execution in event.execution.chain():
            if name is None or not execution.determined(name, event.ts):
                # It may have been somebody else's before, or lose its set-user-id bit now.
                where = name or b"?"
                execution.problem(Reason.UNSUPPORTED, f"chown of {text(where)}, not its own")

    def _unsupported(self, event: Event) -> None:
        body = event.body
        refuse_inherited(event)
        if body.path is not None:
            name = self.context.names.canonical(body.path, follow=True)
            if refuse_named(event, body.path, name):
                return
        if body.err and body.path is not None and body.err not in _NO_ATTRIBUTE:
            self.context.failed(event, body.path, follow=SYSCALL_NAMES[body.nr][0] != "l")
        where = body.file or body.path
        if body.err or (SYSCALL_NAMES[body.nr].endswith("listxattr") and event.ret == 0):
            if where is not None and (body.err == 0 or body.err in _NO_ATTRIBUTE):
                self._observe_attributes(event, where)
            return
        if body.raw_path2 in _ACLS and where is not None:
            name = body.file or self.context.names.canonical(where, follow=True)
            self.context.with_acl.add(name)
            _must_be_plain(event, name)  # a list that was there before is gone now
            self.context.change(event, name, ATTRIBUTES)
            return
        evidence = SYSCALL_NAMES[body.nr] + (f" {text(where)}" if where else "")
        event.execution.problem_throughout(Reason.UNSUPPORTED, evidence)

    def _observe_attributes(self, event: Event, path: bytes) -> None:
        """It has none, or not the one asked for: the names are the fact."""
        follow = SYSCALL_NAMES[event.body.nr][0] != "l"
        name = event.body.file or self.context.names.canonical(path, follow=follow)
        if event.body.err not in (0, errno.ENODATA, errno.EOPNOTSUPP):
            self.context.with_attributes.add(name)
        if not self.context.ignored(event, path, name):
            self.context.observe(event, Kind.XATTRS if follow else Kind.LXATTRS, path, name)

    def _umask(self, event: Event) -> None:
        event.process.umask = event.body.args[0] & 0o777


def _must_be_plain(event: Event, name: bytes) -> None:
    """Whatever else the file had than a new one, it has no more (`Execution.owned`)."""
    for execution in event.execution.chain():
        origin, _ = execution.origin(name, event.ts)
        if origin:
            execution.owned.add(origin)


def _links(name: bytes) -> int:
    """How many names a regular file has; 1 for anything else."""
    status = status_of(name)
    return status.st_nlink if status is not None and stat.S_ISREG(status.st_mode) else 1


def _only_accessed(times: bytes) -> bool:
    """Whether utimensat's timespec[2] sets the access time and leaves the other as it is."""
    if len(times) < 32:
        return False
    accessed, modified = struct.unpack_from("<8xq8xq", times)
    return bool(modified == _UTIME_OMIT != accessed)


def _times(times: bytes) -> int:
    """What utimensat's timespec[2] does to the modification time."""
    if len(times) < 32:
        return NOW  # a null pointer
    (nanoseconds,) = struct.unpack_from("<q", times, 24)
    return {_UTIME_NOW: NOW, _UTIME_OMIT: UNTOUCHED}.get(nanoseconds, GIVEN)
