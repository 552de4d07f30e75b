"""Calls that change names, modes, times and owners."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import re
import stat
import struct
import time
from stat import S_IFIFO, S_IFMT, S_IFREG

from pcache.model import Kind, Reason
from pcache.observe import pseudo
from pcache.observe.accesses.context import Context, Event, Handler, text
from pcache.observe.executions import (
    ATTRIBUTES,
    CREATED,
    GIVEN,
    MODIFIED,
    NOW,
    REMOVED,
    REPLACED,
    UNTOUCHED,
    Execution,
    Observation,
)
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES
from pcache.values import ABSENT, OK, times_value

_NO_ATTRIBUTE = frozenset({errno.ENODATA, errno.EOPNOTSUPP, errno.ERANGE, errno.EPERM})
_NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})  # rmdir(2), rename(2): either may come
_AT_SYMLINK_NOFOLLOW, _AT_REMOVEDIR, _AT_SYMLINK_FOLLOW = 0x100, 0x200, 0x400
_RENAME_NOREPLACE = 1
_UTIME_NOW, _UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
_DT_DIR, _DT_REG, _DT_LINK = 4, 8, 10
_MOVED_LIMIT = 20_000  # entries of a directory that is renamed
_RANDOM_LINK = re.compile(rb"Cu[0-9A-Za-z]{6}")  # lib/force-link.c of coreutils, as for ln -f
_ACLS = (b"system.posix_acl_access", b"system.posix_acl_default")

_Entries = list[tuple[bytes, list[os.DirEntry[bytes]]]]


class Changes:
    def __init__(self, context: Context) -> None:
        self.context = context

    def handlers(self) -> list[tuple[Handler, str]]:
        return [
            (self._unlink, "unlink unlinkat rmdir"),
            (self._create, "mkdir mkdirat mknod mknodat symlink symlinkat link linkat"),
            (self._rename, "rename renameat renameat2"),
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

    def _unlink(self, event: Event) -> None:
        body = event.body
        path = self.context.path(event)
        if path is None:
            return
        call = SYSCALL_NAMES[body.nr]
        directory = call == "rmdir" or (call == "unlinkat" and bool(body.args[0] & _AT_REMOVEDIR))
        if body.err:
            self.context.failed(event, path, follow=False, directory=directory)
            if body.err in _NOT_EMPTY:
                self.context.not_empty(event, path)
            return
        name = self.context.names.canonical(path, follow=False)
        self.context.led_to(event, path, name)
        self.context.history.removed(name, event.ts)
        self.context.kept.gone(name)
        self.context.hard_links.pop(name, None)
        self.context.linked.discard(name)
        if directory:
            event.execution.observe(
                (Kind.NAMES, path), Observation(event.ts, name, entries=frozenset())
            )
            self.context.change(event, name, REMOVED, directory=True, was=_DT_DIR)
        else:
            self.context.observe(event, Kind.REMOVABLE, path, name, value=OK)
            self.context.change(event, name, REMOVED, was=_DT_REG)

    def _create(self, event: Event) -> None:
        """mkdir, mknod, symlink, link: something new at a path that was free."""
        body = event.body
        call = SYSCALL_NAMES[body.nr]
        is_link = call.startswith("link")
        path = body.path2 if is_link else self.context.path(event)
        if path is None:
            return
        if body.err:
            self.context.failed(event, path, follow=False)
            if is_link and body.path is not None:
                self.context.failed(event, body.path, follow=False)
            if body.err == errno.ENOENT:
                self.context.not_made(event, path)
            return
        name = self.context.names.canonical(path, follow=False)
        self.context.led_to(event, path, name)
        if _RANDOM_LINK.fullmatch(posixpath.basename(name)):
            self.context.temporaries.add(name)
        self.context.observe(event, Kind.LEXISTS, path, name, value=ABSENT)
        self.context.parent_exists(event, path)
        if is_link and body.path is not None and not pseudo.is_magic(body.path):
            follow = call == "linkat" and bool(body.args[0] & _AT_SYMLINK_FOLLOW)
            source = self.context.names.canonical(body.path, follow=follow)
            # Its content can from now on be found at the new name as well.
            kind = Kind.CONTENT if follow else Kind.LCONTENT
            self.context.observe(event, kind, body.path, source, opened=True)
            self.context.hard_links[name] = source
            self.context.linked.update((name, source))
            self.context.history.linked(source, event.ts)
        if call.startswith("mknod") and S_IFMT(body.args[0]) not in (0, S_IFREG, S_IFIFO):
            event.execution.problem_throughout(Reason.UNSUPPORTED, f"{call} {text(path)}")
        self.context.change(event, name, CREATED, directory=call.startswith("mkdir"))
        if call.startswith("symlink"):
            self.context.names.link(name, body.raw_path2 or b"")
        elif is_link:
            self._link_moved(name)

    def _rename(self, event: Event) -> None:
        body = event.body
        source, target = self.context.path(event), body.path2
        if source is None or target is None:
            return
        if body.err:
            self.context.failed(event, source, follow=False)
            self.context.failed(event, target, follow=False)
            if body.err == errno.ENOENT:
                self.context.not_made(event, target)
            elif body.err in _NOT_EMPTY:
                self.context.not_empty(event, target)
            return
        old = self.context.names.canonical(source, follow=False)
        new = self.context.names.canonical(target, follow=False)
        if body.args and body.args[0] & ~_RENAME_NOREPLACE:
            event.execution.problem_throughout(
                Reason.UNSUPPORTED, f"rename of {text(old)} with flags {body.args[0]:#x}"
            )
            return
        older = self.context.hard_links.get(old)
        if _same_file(old, new) or older == new:
            # Two names of one file: rename(2) does nothing and reports success.
            event.execution.problem_throughout(
                Reason.UNSUPPORTED, f"rename of {text(old)} to another name it has"
            )
            return
        self.context.led_to(event, source, old)
        self.context.led_to(event, target, new)
        execution = event.execution
        below = _tree(new)
        if below is None:
            execution.problem_throughout(Reason.UNSUPPORTED, f"rename of large {text(old)}")
            return
        self.context.history.moved(old, new, event.ts)
        self.context.kept.moved(old, new)
        if below:
            self.context.kept.moved_below(old)
        self._observe_moved(event, source, old, new)
        free = bool(body.args and body.args[0] & _RENAME_NOREPLACE)
        if free:
            self.context.observe(event, Kind.LEXISTS, target, new, value=ABSENT)
        else:
            self.context.observe(event, Kind.OVERWRITABLE, target, new, value=OK)
        self.context.parent_exists(event, target)
        directory = below != []
        before = self._times_before(event, old)
        self._change_moved(event, old, new, below)
        self.context.change(event, old, REMOVED, directory=directory, was=_DT_REG)
        self.context.change(event, new, CREATED if free else REPLACED, directory=directory)
        self._keep_times(event, source, old, new, before)
        self._link_moved(new)
        self._hard_links_moved(old, new)

    @staticmethod
    def _times_before(event: Event, name: bytes) -> dict[Execution, int]:
        """What the executions that changed a file had done to its time."""
        changes = ((at, at.changes.get(name)) for at in event.execution.chain())
        return {at: change.times for at, change in changes if change is not None}

    @staticmethod
    def _keep_times(
        event: Event, path: bytes, old: bytes, new: bytes, before: dict[Execution, int]
    ) -> None:
        """A rename leaves the times as they are: of what was there before, those are an input."""
        execution = event.execution
        if not execution.determined(old, event.ts):
            status = _status(new)
            now = time.monotonic_ns()
            if status is not None and stat.S_ISREG(status.st_mode):
                moved = Observation(event.ts, old, times_value(status))
                execution.observe_times([((Kind.TIMES, path), moved)])
            for at in execution.chain():
                if at.determined(old, event.ts):
                    break
                if status is None:
                    at.problem(Reason.INPUT_CHANGED, text(old))
                at.moved_checks.append((new, new, event.ts, now))
        for at in execution.chain():
            at.changes[new].times = before.get(at, GIVEN)

    def _link_moved(self, name: bytes) -> None:
        """What came to `name` may be a symbolic link."""
        with contextlib.suppress(OSError):
            self.context.names.link(name, os.readlink(name))

    def _hard_links_moved(self, old: bytes, new: bytes) -> None:
        """As `ln -f` does it, by a name of its own first."""
        linked, below = self.context.linked, old + b"/"
        moved = [name for name in linked if name == old or name.startswith(below)]
        linked.difference_update(moved, (new,))
        linked.update(new + name[len(old) :] for name in moved)
        links = self.context.hard_links
        older = links.pop(old, None)
        links.pop(new, None)
        if older is not None:
            links[new] = older

    def _change_moved(
        self,
        event: Event,
        old: bytes,
        new: bytes,
        below: list[tuple[bytes, list[os.DirEntry[bytes]]]],
    ) -> None:
        """A directory was moved: all that is in it is input at the old place, output at the new.

        It is looked at some time after the event; what the tree changed there meanwhile is found
        by the prefix check.
        """
        execution = event.execution
        for directory, entries in below:
            before = old + directory[len(new) :]
            listing = frozenset((entry.name, _d_type(entry)) for entry in entries)
            execution.observe(
                (Kind.LISTING, before), Observation(event.ts, before, entries=listing)
            )
            for entry in entries:
                name = posixpath.join(before, entry.name)
                is_directory = entry.is_dir(follow_symlinks=False)
                self.context.history.moved(name, entry.path, event.ts)
                if not is_directory:
                    self._observe_moved(event, name, name, entry.path)
                was = _DT_DIR if is_directory else _DT_REG
                times = self._times_before(event, name)
                self.context.change(event, name, REMOVED, directory=is_directory, was=was)
                self.context.change(event, entry.path, CREATED, directory=is_directory)
                if not is_directory:
                    self._keep_times(event, name, name, entry.path, times)
                if entry.is_symlink():
                    self._link_moved(entry.path)
        if below:
            now = time.monotonic_ns()
            for at in execution.chain():
                at.prefix_checks.append((new + b"/", event.ts, now))

    def _observe_moved(self, event: Event, path: bytes, old: bytes, new: bytes) -> None:
        """The content of what was moved is an input, and can from now on be found at `new`."""
        for execution in event.execution.chain():
            for kind in (Kind.CONTENT, Kind.LCONTENT):
                known = execution.inputs.get((kind, path))
                if known is not None and known.place == old:
                    known.place = new
        observation = Observation(event.ts, old, opened=True)
        observation.place = new
        event.execution.observe((Kind.LCONTENT, path), observation)

    def _truncate(self, event: Event) -> None:
        path = self.context.path(event)
        if path is None:
            return
        if event.body.err:
            self.context.failed(event, path, follow=True)
            return
        name = self.context.names.canonical(path, follow=True)
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
            if body.err or body.deleted:
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
        if pseudo.ignored(name):
            return
        if path is not None:
            self.context.led_to(event, path, name)
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

    def _owner(self, event: Event) -> None:
        body = event.body
        if body.err:
            if body.path is not None:
                self.context.failed(event, body.path, follow=True)
            return
        wanted = [number & 0xFFFFFFFF for number in body.args[:2]]
        mine = (event.execution.uid, event.execution.gid)
        if any(w not in (0xFFFFFFFF, own) for w, own in zip(wanted, mine, strict=True)):
            where = body.file or body.path or b"?"
            event.execution.problem_throughout(Reason.UNSUPPORTED, f"chown of {text(where)}")
            return
        name = body.file
        if body.path is not None:
            name = self.context.names.canonical(body.path, follow=True)
        for execution in event.execution.chain():
            if name is None or not execution.determined(name, event.ts):
                # It may have been somebody else's before, or lose its set-user-id bit now.
                where = name or b"?"
                execution.problem(Reason.UNSUPPORTED, f"chown of {text(where)}, not its own")

    def _unsupported(self, event: Event) -> None:
        body = event.body
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
            self.context.change(event, name, ATTRIBUTES)
            return
        evidence = SYSCALL_NAMES[body.nr] + (f" {text(where)}" if where else "")
        event.execution.problem_throughout(Reason.UNSUPPORTED, evidence)

    def _observe_attributes(self, event: Event, path: bytes) -> None:
        """It has none, or not the one asked for: the names are the fact."""
        follow = SYSCALL_NAMES[event.body.nr][0] != "l"
        name = event.body.file or self.context.names.canonical(path, follow=follow)
        if not self.context.ignored(event, path, name):
            self.context.observe(event, Kind.XATTRS if follow else Kind.LXATTRS, path, name)

    def _umask(self, event: Event) -> None:
        event.process.umask = event.body.args[0] & 0o777


def _same_file(one: bytes, other: bytes) -> bool:
    try:
        return os.path.samestat(os.lstat(one), os.lstat(other))
    except OSError:
        return False


def _links(name: bytes) -> int:
    """How many names a regular file has; 1 for anything else."""
    try:
        status = os.lstat(name)
    except OSError:
        return 1
    return status.st_nlink if stat.S_ISREG(status.st_mode) else 1


def _tree(top: bytes) -> _Entries | None:
    """(directory, entries) from the top down; empty for what is no directory, None for too many."""
    if not stat.S_ISDIR(_mode(top)):
        return []
    found: _Entries = []
    todo, total = [top], 0
    while todo:
        directory = todo.pop()
        try:
            with os.scandir(directory) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError:
            return None
        found.append((directory, entries))
        total += len(entries)
        if total > _MOVED_LIMIT:
            return None
        todo += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    return found


def _mode(path: bytes) -> int:
    status = _status(path)
    return 0 if status is None else status.st_mode


def _status(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _d_type(entry: os.DirEntry[bytes]) -> int:
    if entry.is_symlink():
        return _DT_LINK
    return _DT_DIR if entry.is_dir(follow_symlinks=False) else _DT_REG


def _times(times: bytes) -> int:
    """What utimensat's timespec[2] does to the modification time."""
    if len(times) < 32:
        return NOW  # a null pointer
    (nanoseconds,) = struct.unpack_from("<q", times, 24)
    return {_UTIME_NOW: NOW, _UTIME_OMIT: UNTOUCHED}.get(nanoseconds, GIVEN)
