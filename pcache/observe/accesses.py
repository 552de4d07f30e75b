"""What each observed system call means for the execution that made it.

One handler per group of calls: it turns an event into observations, changes, stream chunks, or a
reason why the execution cannot be kept.  `Accesses.handle` is given every EVENT_CALL in time order.
"""

from __future__ import annotations

import errno
import os
import posixpath
import struct
import time
from collections.abc import Callable
from stat import S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG

from ..facts import ABSENT, OK, content_value, exists_value, replaceable_path
from ..model import Key, Kind, Reason
from . import pseudo
from .events import FAULT, LOST, TRUNCATED, Body, Handle, Stamp
from .executions import (
    ATTRIBUTES,
    CREATED,
    MODIFIED,
    REMOVED,
    REPLACED,
    Chunk,
    Execution,
    Observation,
)
from .history import History
from .names import Names
from .syscall_table import NAMES as SYSCALL_NAMES
from .syscall_table import NUMBERS

_FMODE_READ, _FMODE_WRITE, _FMODE_CREATED = 1, 2, 0x100000
_O_ACCMODE, _O_CREAT, _O_EXCL, _O_TRUNC = 3, os.O_CREAT, os.O_EXCL, os.O_TRUNC
_O_PATH, _O_TMPFILE_BIT = 0o10000000, 0o20000000
_AT_SYMLINK_NOFOLLOW, _AT_SYMLINK_FOLLOW, _AT_REMOVEDIR = 0x100, 0x400, 0x200
_RENAME_EXCHANGE = 2
_AF_UNIX, _AF_UNSPEC = 1, 0
_UTIME_NOW, _UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
_NAMESPACES = 0x7E020080  # CLONE_NEW*, sched.h
_LOOKUP_FAILED = frozenset({errno.ENOENT, errno.ENOTDIR})
_DT_DIR, _DT_REG = 4, 8
_MKSTEMP_MODE = 0o600
_SYMLINK, _DIRECTORY = S_IFLNK, S_IFDIR

Handler = Callable[["Event"], None]
_Look = tuple[Key, bytes, bytes | None, Stamp | None, bool]
"""What an observation is made of, but for its time."""
_LOOKING = frozenset(
    NUMBERS[name]
    for name in [
        "stat",
        "lstat",
        "newfstatat",
        "statx",
        "readlink",
        "readlinkat",
        "access",
        "faccessat",
        "faccessat2",
        "chdir",
        "execve",
        "execveat",
        "open",
        "openat",
        "openat2",
        "creat",
    ]
)


class Event:
    """One system call of an execution."""

    __slots__ = ("body", "execution", "process", "ret", "tid", "ts")

    def __init__(
        self, ts: int, ret: int, tid: int, process: Process, execution: Execution, body: Body
    ) -> None:
        self.ts = ts
        self.ret = ret
        self.tid = tid
        self.process = process
        self.execution = execution
        self.body = body


class Process:
    """A process of the tree while it runs: which program, and what of it changes without one."""

    __slots__ = ("execution", "senders", "tgid", "umask")

    def __init__(self, tgid: int, execution: Execution | None, umask: int = 0) -> None:
        self.tgid = tgid
        self.execution = execution
        self.umask = umask
        self.senders: dict[int, list[Execution]] = {}
        """Signal number -> executions that sent it here."""


class Accesses:
    """Handlers by system call number, and the state they share."""

    def __init__(
        self,
        processes: dict[int, Process],
        spool: int,
        copies: int,
        met: Callable[[bytes, Stamp], None],
        met_unseen: Callable[[Key, Observation], None],
    ) -> None:
        """`spool` is the file that the events come from, `copies` one for bytes that the kernel
        moved from file to stream without showing them.  `met` is called with each version of a
        regular file (canonical name, stamp) that is looked at, `met_unseen` with observations
        whose value the event does not tell."""
        self.names = Names()
        self.history = History()
        self.temporaries: set[bytes] = set()
        """Names made as mkstemp(3) makes them: never twice the same."""
        self._met = met
        self._met_unseen = met_unseen
        self._processes = processes
        self._spool = spool
        self._copies = copies
        self._listings: dict[tuple[int, int], set[tuple[bytes, int]]] = {}
        """(image, file) -> entries listed so far."""
        self._copying: dict[int, list[tuple[Execution, int]]] = {}
        """tid -> executions and descriptors that the data events to come are written to."""
        self._listing_of: dict[int, tuple[int, int]] = {}
        """tid -> listing that the data events to come belong to."""
        self._handlers = self._table()
        self._gathered: list[_Look] | None = None

    def _table(self) -> dict[int, Handler]:
        groups: list[tuple[Handler, str]] = [
            (self._open, "open creat openat openat2"),
            (self._stat, "stat lstat newfstatat statx fstat"),
            (self._readlink, "readlink readlinkat"),
            (self._access, "access faccessat faccessat2 chdir execve execveat"),
            (self._list, "getdents64"),
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
                "lgetxattr listxattr llistxattr settimeofday clock_settime getdents",
            ),
            (self._inherited_change, "ftruncate fallocate lseek"),
            (self._write, "write pwrite64 sendto writev pwritev pwritev2"),
            (self._read, "read pread64 readv preadv preadv2 recvfrom"),
            (self._copy, "sendfile splice tee copy_file_range vmsplice"),
            (self._map, "mmap"),
            (self._ioctl, "ioctl"),
            (self._message, "sendmsg recvmsg pidfd_getfd"),
            (self._socket, "socket"),
            (self._address, "connect bind"),
            (self._kill, "kill tkill tgkill rt_sigqueueinfo pidfd_send_signal"),
            (self._umask, "umask"),
            (self._breaker, " ".join(_BREAKERS)),
        ]
        return {NUMBERS[name]: handler for handler, names in groups for name in names.split()}

    def handle(self, event: Event) -> None:
        body = event.body
        if body.cache is not None:
            meaning: tuple[int, tuple[_Look, ...]] = body.cache
            generation, looks = meaning
            if generation == self.names.generation:
                # What these bytes meant is known: nine of ten events of a build end here.
                observe, ts = event.execution.observe, event.ts
                for key, name, value, stamp, opened in looks:
                    observe(key, Observation(ts, name, value, stamp, opened))
                return
        if self._copying:
            self._copying.pop(event.tid, None)
        if self._listing_of:
            self._listing_of.pop(event.tid, None)
        if body.flags & (LOST | FAULT | TRUNCATED) and body.err != errno.EFAULT:
            what = "events of the process were lost" if body.flags & LOST else "unreadable argument"
            event.execution.problem_throughout(
                Reason.EVENTS_LOST, f"{SYSCALL_NAMES[body.nr]}: {what}"
            )
        handler = self._handlers[body.nr]
        if body.handle is None and body.nr in _LOOKING and not body.flags:
            self._gathered = []
            handler(event)
            if self._gathered is not None:
                body.cache = (self.names.generation, tuple(self._gathered))
                self._gathered = None
        else:
            handler(event)

    def _not_only_looking(self) -> None:
        """The call being handled does more than observe: its meaning must not be remembered."""
        self._gathered = None

    def data(self, tid: int, flags: int, offset: int, data: bytes) -> None:
        """Bytes of the last call of thread `tid`; `offset` is where they lie in the spool."""
        targets = self._copying.get(tid)
        if targets:
            for execution, fd in targets:
                execution.chunks.append(Chunk(fd, self._spool, offset, len(data)))
                if flags & (FAULT | TRUNCATED):
                    execution.problem(Reason.EVENTS_LOST, f"bytes written to descriptor {fd}")
            return
        listing = self._listing_of.get(tid)
        if listing is not None:
            self._listings.setdefault(listing, set()).update(_directory_entries(data))

    # ---- looking ----

    def _observe(
        self,
        event: Event,
        kind: bytes,
        path: bytes,
        name: bytes,
        *,
        value: bytes | None = None,
        stamp: Stamp | None = None,
        opened: bool = False,
    ) -> None:
        key = (kind, path)
        if self._gathered is not None:
            self._gathered.append((key, name, value, stamp, opened))
        observation = Observation(event.ts, name, value, stamp, opened)
        if value is None and stamp is None:
            self._met_unseen(key, observation)
        event.execution.observe(key, observation)

    def _failed(self, event: Event, path: bytes, *, follow: bool) -> None:
        """A call on a path failed: whatever made it fail must still be so."""
        number = event.body.err
        if number in (errno.EINTR, errno.EFAULT, errno.EMFILE, errno.ENFILE, errno.ENOSYS):
            return  # about the call, not the path
        name = self.names.canonical(path, follow=follow)
        if pseudo.ignored(name):
            return
        if number in _LOOKUP_FAILED:
            kind = Kind.CONTENT if follow else Kind.LCONTENT
            self._observe(event, kind, path, name, value=ABSENT)
        else:
            kind = Kind.EXISTS if follow else Kind.LEXISTS
            self._observe(event, kind, path, name)

    def _path(self, event: Event) -> bytes | None:
        """The path of a call, or None (noted as a problem) when it is unknown."""
        path = event.body.path
        if path is None:
            self._not_only_looking()
        if path is None and event.body.err != errno.EFAULT:
            event.execution.problem_throughout(
                Reason.UNSUPPORTED,
                f"{SYSCALL_NAMES[event.body.nr]}: a path outside the root directory",
            )
        return path

    def _stat(self, event: Event) -> None:
        body = event.body
        if body.handle is not None:
            # fstat of an inherited or O_PATH descriptor: a file's size tells its content.
            readable = body.stamp2 is not None and body.stamp2.f_mode & _FMODE_READ
            if readable and S_IFMT(body.stamp2.st_mode) == S_IFREG:  # type: ignore[union-attr]
                self._inherited_read(event, moved=False)
            return
        path = self._path(event)
        if path is None:
            return
        name_of = SYSCALL_NAMES[body.nr]
        follow = name_of == "stat" or (
            name_of != "lstat" and not (body.args[0] if body.args else 0) & _AT_SYMLINK_NOFOLLOW
        )
        if body.err:
            self._failed(event, path, follow=follow)
            return
        name = self.names.canonical(path, follow=follow)
        if pseudo.ignored(name):
            return
        kind = Kind.CONTENT if follow else Kind.LCONTENT
        self._observe_stamp(event, kind, path, name)

    def _observe_stamp(
        self, event: Event, kind: bytes, path: bytes, name: bytes, *, opened: bool = False
    ) -> None:
        """A look at something whose version is known from body.stamp."""
        stamp = event.body.stamp
        if stamp is None:
            self._observe(event, kind, path, name)
            return
        form = S_IFMT(stamp.st_mode)
        if form == S_IFREG and not pseudo.is_pseudo(name):
            self._met(name, stamp)
            self._observe(event, kind, path, name, stamp=stamp, opened=opened)
        elif form in (S_IFREG, _SYMLINK):
            self._observe(event, kind, path, name)
        else:
            self._observe(event, kind, path, name, value=content_value(stamp, b""))

    def _readlink(self, event: Event) -> None:
        path = self._path(event)
        if path is None:
            return
        number = event.body.err
        if number not in (0, errno.EINVAL):
            self._failed(event, path, follow=False)
            return
        name = self.names.canonical(path, follow=False)
        if pseudo.ignored(name):
            return
        if number:
            self._observe(event, Kind.NOT_LINK, path, name, value=OK)
        else:
            self._observe(event, Kind.LCONTENT, path, name, value=b"l" + event.body.out)

    def _access(self, event: Event) -> None:
        """access, chdir, and an execve that failed."""
        path = self._path(event)
        if path is None:
            return
        if event.body.err:
            self._failed(event, path, follow=True)
            return
        name = self.names.canonical(path, follow=True)
        if not pseudo.ignored(name):
            self._observe(event, Kind.EXISTS, path, name)

    def _list(self, event: Event) -> None:
        body = event.body
        name = body.file
        if body.err or body.handle is None:
            return
        if name is None:
            event.execution.problem_throughout(Reason.UNSUPPORTED, "listing of a deleted directory")
            return
        key = (event.execution.image, body.handle.file)
        if event.ret > 0:
            self._listing_of[event.tid] = key
            # Known from the first part on, so that a listing cut short by the program counts.
            self._listings.setdefault(key, set())
            return
        entries = frozenset(self._listings.pop(key, ()))
        if name == b"/proc":
            event.execution.problem_throughout(Reason.FOREIGN_INPUT, "the list of processes, /proc")
        elif not pseudo.ignored(name):
            event.execution.observe(
                (Kind.LISTING, name), Observation(event.ts, name, entries=entries)
            )

    def unfinished_listings(self) -> list[tuple[int, int]]:
        """(image, file) of listings that were not read to their end."""
        return list(self._listings)

    # ---- opening ----

    def _open(self, event: Event) -> None:
        body = event.body
        path = self._path(event)
        if path is None:
            return
        flags, mode = self._open_flags(body)
        if body.err:
            follow = not flags & os.O_NOFOLLOW and not (flags & _O_CREAT and flags & _O_EXCL)
            self._failed(event, path, follow=follow)
            if flags & _O_CREAT and body.err == errno.ENOENT:
                self._parent_exists(event, path)
            return
        stamp, name = body.stamp, body.file
        if stamp is None or S_IFMT(stamp.st_mode) not in (S_IFREG, S_IFDIR) or name is None:
            self._not_only_looking()
        if stamp is None:
            event.execution.problem_throughout(Reason.EVENTS_LOST, f"open of {_text(path)}")
            return
        form = S_IFMT(stamp.st_mode)
        if name is None or body.deleted:
            self._open_nameless(event, path, stamp, flags)
        elif pseudo.ignored(name):
            return
        elif flags & _O_PATH:
            self._observe(event, Kind.EXISTS, path, name, value=_exists(stamp))
        elif form == S_IFREG:
            self._open_regular(event, path, name, stamp, flags, mode)
        elif form == S_IFDIR:
            self._observe(event, Kind.EXISTS, path, name, value=_exists(stamp))
        elif form == S_IFIFO:
            for execution in event.execution.chain():
                if name not in execution.changes:
                    execution.problem(Reason.FOREIGN_INPUT, _text(name))
        elif not pseudo.harmless_device(stamp.st_rdev):
            event.execution.problem_throughout(Reason.FOREIGN_INPUT, _text(name))

    @staticmethod
    def _open_flags(body: Body) -> tuple[int, int]:
        name = SYSCALL_NAMES[body.nr]
        if name == "creat":
            return os.O_WRONLY | _O_CREAT | _O_TRUNC, body.args[0] & 0o7777
        if name == "openat2":
            flags, mode = struct.unpack_from("<QQ", body.out.ljust(16, b"\0"))
            return flags, mode
        return body.args[0] & 0xFFFFFFFF, body.args[1] & 0o7777

    def _open_nameless(self, event: Event, path: bytes, stamp: Stamp, flags: int) -> None:
        """A file without a name: O_TMPFILE, a deleted file, or a magic link (/dev/stdin)."""
        if flags & _O_TMPFILE_BIT and flags & _O_ACCMODE:
            return
        for execution in event.execution.chain():
            for same in execution.descriptors.values():
                if same[0].stamp.st_ino == stamp.st_ino:
                    reason = (
                        Reason.UNOBSERVABLE_WRITE if flags & _O_ACCMODE else Reason.FOREIGN_INPUT
                    )
                    execution.problem(reason, f"{_text(path)}: an inherited file opened anew")
        if S_IFMT(stamp.st_mode) == S_IFREG and event.body.deleted:
            # Opened through /proc/PID/fd, or unlinked before the open returned.
            event.execution.problem(Reason.INPUT_CHANGED, f"{_text(path)}: deleted while opened")

    def _open_regular(
        self, event: Event, path: bytes, name: bytes, stamp: Stamp, flags: int, mode: int
    ) -> None:
        if pseudo.is_magic(path):
            path = name  # /dev/stdin, /proc/self/fd/N: means another file in each process
        if not stamp.f_mode & (_FMODE_WRITE | _FMODE_CREATED):
            if pseudo.is_pseudo(name):
                self._observe(event, Kind.CONTENT, path, name)
            else:
                self._observe_stamp(event, Kind.CONTENT, path, name, opened=True)
            return
        self._not_only_looking()
        if pseudo.is_pseudo(name):
            event.execution.problem_throughout(Reason.UNSUPPORTED, f"write to {_text(name)}")
            return
        used = self.names.canonical(path, follow=False)
        if used != name:  # through a final link, which must still lead there
            self._observe(event, Kind.LCONTENT, path, used)
            path = name
        if stamp.f_mode & _FMODE_CREATED:
            if flags & _O_EXCL:
                if stamp.st_mode & 0o7777 == _MKSTEMP_MODE:
                    self.temporaries.add(name)
                self._observe(event, Kind.LEXISTS, path, name, value=ABSENT)
                self._parent_exists(event, path)
            else:
                key = replaceable_path(stamp.st_mode & 0o7777, path)
                self._observe(event, Kind.REPLACEABLE, key, name, value=OK)
            self._change(event, name, CREATED)
        elif flags & _O_TRUNC:
            if flags & _O_CREAT:
                self._observe_replaceable(event, path, name, stamp, mode)
            else:
                self._observe(event, Kind.EXISTS, path, name, value=_exists(stamp))
            self._change(event, name, REPLACED, was=_DT_REG)
        else:
            self._observe_stamp(event, Kind.CONTENT, path, name, opened=True)
            self._change(event, name, MODIFIED)

    def _observe_replaceable(
        self, event: Event, path: bytes, name: bytes, stamp: Stamp, mode: int
    ) -> None:
        """An existing file truncated by O_CREAT|O_TRUNC: absent would do as well, if the mode it
        would then get is the one it has."""
        created_mode = mode & ~event.process.umask & 0o7777
        same = (
            stamp.st_mode & 0o7777 == created_mode
            and stamp.st_nlink == 1
            and stamp.st_uid == event.execution.uid
        )
        self._observe(
            event,
            Kind.REPLACEABLE,
            replaceable_path(created_mode, path),
            name,
            value=OK if same else _exists(stamp),
        )

    def _parent_exists(self, event: Event, path: bytes) -> None:
        parent = posixpath.dirname(path.rstrip(b"/")) or b"/"
        self._observe(event, Kind.EXISTS, parent, self.names.canonical(parent, follow=True))

    # ---- changing ----

    def _change(
        self, event: Event, name: bytes, how: str, *, directory: bool = False, was: int = 0
    ) -> None:
        event.execution.change(name, event.ts, how, directory=directory)
        self.history.add(name, event.ts, attributes=how == ATTRIBUTES)
        if was:
            for execution in event.execution.chain():
                change = execution.changes[name]
                if change.first == event.ts:
                    change.was = was
        if how in (CREATED, REMOVED, REPLACED):
            self.names.forget(name)

    def _unlink(self, event: Event) -> None:
        body = event.body
        path = self._path(event)
        if path is None:
            return
        if body.err:
            self._failed(event, path, follow=False)
            return
        name = self.names.canonical(path, follow=False)
        call = SYSCALL_NAMES[body.nr]
        if call == "rmdir" or (call == "unlinkat" and body.args[0] & _AT_REMOVEDIR):
            event.execution.observe(
                (Kind.NAMES, path), Observation(event.ts, name, entries=frozenset())
            )
            self._change(event, name, REMOVED, directory=True, was=_DT_DIR)
        else:
            self._observe(event, Kind.REMOVABLE, path, name, value=OK)
            self._change(event, name, REMOVED, was=_DT_REG)

    def _create(self, event: Event) -> None:
        """mkdir, mknod, symlink, link: something new at a path that was free."""
        body = event.body
        call = SYSCALL_NAMES[body.nr]
        is_link = call.startswith("link")
        path = body.path2 if is_link else self._path(event)
        if path is None:
            return
        if body.err:
            self._failed(event, path, follow=False)
            if is_link and body.path is not None:
                self._failed(event, body.path, follow=False)
            return
        name = self.names.canonical(path, follow=False)
        self._observe(event, Kind.LEXISTS, path, name, value=ABSENT)
        self._parent_exists(event, path)
        if is_link and body.path is not None and not pseudo.is_magic(body.path):
            source = self.names.canonical(body.path, follow=False)
            self._observe(event, Kind.LCONTENT, body.path, source)
        if call.startswith("mknod") and S_IFMT(body.args[0]) not in (0, S_IFREG, S_IFIFO):
            event.execution.problem_throughout(Reason.UNSUPPORTED, f"{call} {_text(path)}")
        self._change(event, name, CREATED, directory=call.startswith("mkdir"))
        if call.startswith("symlink"):
            self.names.link(name, body.raw_path2 or b"")

    def _rename(self, event: Event) -> None:
        body = event.body
        source, target = self._path(event), body.path2
        if source is None or target is None:
            return
        if body.err:
            self._failed(event, source, follow=False)
            self._failed(event, target, follow=False)
            return
        old = self.names.canonical(source, follow=False)
        new = self.names.canonical(target, follow=False)
        if body.args and body.args[0] & _RENAME_EXCHANGE:
            event.execution.problem_throughout(Reason.UNSUPPORTED, f"exchange of {_text(old)}")
            return
        execution = event.execution
        moved_directory = False
        for at in execution.chain():
            change = at.changes.get(old)
            if old in at.directories and change is not None and change.last_how != REMOVED:
                moved_directory = True
            elif moved_directory or os.path.isdir(new):
                # A directory that was there before: its whole content would be input and output.
                at.problem(Reason.UNSUPPORTED, f"rename of directory {_text(old)}")
        self._observe_moved(event, source, old, new)
        self._observe(event, Kind.OVERWRITABLE, target, new, value=OK)
        self._parent_exists(event, target)
        if moved_directory:
            self._move_tree(event, old, new)
        self._change(event, old, REMOVED, directory=moved_directory, was=_DT_REG)
        self._change(event, new, REPLACED, directory=moved_directory)

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

    def _move_tree(self, event: Event, old: bytes, new: bytes) -> None:
        """What the tree made below a directory it made itself goes along with it."""
        prefix = old + b"/"
        below = {
            name: name in execution.directories
            for execution in event.execution.chain()
            for name, change in execution.changes.items()
            if name.startswith(prefix) and change.last_how != REMOVED
        }
        for name in sorted(below):
            self._change(event, name, REMOVED, directory=below[name])
            self._change(event, new + name[len(old) :], CREATED, directory=below[name])

    def _truncate(self, event: Event) -> None:
        path = self._path(event)
        if path is None:
            return
        if event.body.err:
            self._failed(event, path, follow=True)
            return
        name = self.names.canonical(path, follow=True)
        self._observe(event, Kind.CONTENT, path, name, opened=True)
        self._change(event, name, MODIFIED)

    def _attributes(self, event: Event) -> None:
        """chmod and utimensat: mode and times."""
        body = event.body
        call = SYSCALL_NAMES[body.nr]
        if body.handle is not None:
            name = body.file
            if body.err or body.deleted:
                return
            if name is None:
                event.execution.problem_throughout(Reason.UNSUPPORTED, call)
                return
        else:
            path = self._path(event)
            if path is None:
                return
            nofollow = bool(body.args) and bool(body.args[-1] & _AT_SYMLINK_NOFOLLOW)
            follow = not (nofollow and call in ("utimensat", "fchmodat2"))
            if body.err:
                self._failed(event, path, follow=follow)
                return
            name = self.names.canonical(path, follow=follow)
        if pseudo.ignored(name):
            return
        is_directory = any(name in at.directories for at in event.execution.chain())
        self._change(event, name, ATTRIBUTES, directory=is_directory)
        if call in ("utime", "utimes", "futimesat", "utimensat"):
            explicit = _sets_mtime(body.out) if call == "utimensat" else True
            for execution in event.execution.chain():
                execution.changes[name].explicit_times = explicit

    def _owner(self, event: Event) -> None:
        body = event.body
        if body.err:
            if body.path is not None:
                self._failed(event, body.path, follow=True)
            return
        wanted = [number & 0xFFFFFFFF for number in body.args[:2]]
        mine = (event.execution.uid, event.execution.gid)
        if any(w not in (0xFFFFFFFF, own) for w, own in zip(wanted, mine, strict=True)):
            where = body.file or body.path or b"?"
            event.execution.problem_throughout(Reason.UNSUPPORTED, f"chown of {_text(where)}")

    def _unsupported(self, event: Event) -> None:
        body = event.body
        if body.err or (SYSCALL_NAMES[body.nr].endswith("listxattr") and event.ret == 0):
            return
        where = body.file or body.path
        evidence = SYSCALL_NAMES[body.nr] + (f" {_text(where)}" if where else "")
        event.execution.problem_throughout(Reason.UNSUPPORTED, evidence)

    # ---- inherited descriptors ----

    @staticmethod
    def _inheritors(
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

    def _write(self, event: Event) -> None:
        body = event.body
        inheritors = self._inheritors(event, body.handle, body.stamp2, writing=True)
        if body.stamp2 is not None and pseudo.is_null(body.stamp2):
            return
        call = SYSCALL_NAMES[body.nr]
        if body.err:
            for execution, fd in inheritors:
                if body.err not in (errno.EINTR, errno.EAGAIN):
                    execution.problem(
                        Reason.UNOBSERVABLE_WRITE,
                        f"{call} to descriptor {fd} failed: {os.strerror(body.err)}",
                    )
            return
        if call.startswith("pwrite"):
            for execution, fd in inheritors:
                execution.problem(Reason.UNOBSERVABLE_WRITE, f"{call} to descriptor {fd}")
        for execution, fd in inheritors:
            self._depend_on_fd(event, execution, fd)
        self._copying[event.tid] = inheritors

    @staticmethod
    def _depend_on_fd(event: Event, execution: Execution, fd: int) -> None:
        """All but stdout and stderr are not part of the call: their kind is a fact."""
        key = (Kind.FD, b"%d" % fd)
        if fd not in (1, 2) and key not in execution.inputs:
            stamp = next(
                descriptor.stamp
                for same in execution.descriptors.values()
                for descriptor in same
                if descriptor.fd == fd
            )
            execution.observe(key, Observation(event.ts, b"", pseudo.kind_of(stamp)))

    def _read(self, event: Event) -> None:
        self._inherited_read(event, moved=not SYSCALL_NAMES[event.body.nr].startswith("pread"))

    def _inherited_read(self, event: Event, *, moved: bool) -> None:
        body = event.body
        handle, stamp = body.handle, body.stamp2
        if handle is None or stamp is None:
            return
        for execution, fd in self._inheritors(event, handle, stamp, writing=False):
            self._depend_on_fd(event, execution, fd)
            if pseudo.is_null(stamp):
                continue
            if S_IFMT(stamp.st_mode) != S_IFREG:
                what = pseudo.kind_of(stamp).decode()
                execution.problem(Reason.FOREIGN_INPUT, f"descriptor {fd}, a {what}")
                continue
            name = body.file
            if name is None or body.deleted:
                execution.problem(Reason.INPUT_CHANGED, f"descriptor {fd}: a deleted file")
                continue
            key = (Kind.INPUT, b"%d" % fd)
            if key not in execution.inputs:
                execution.inputs[key] = Observation(event.ts, name, stamp=stamp, opened=True)
            if moved:
                execution.offsets[fd] = handle.pos

    def _inherited_change(self, event: Event) -> None:
        """ftruncate, fallocate, lseek of an inherited descriptor."""
        body = event.body
        call = SYSCALL_NAMES[body.nr]
        if body.err or body.handle is None:
            return
        writable = bool(body.stamp2 and body.stamp2.f_mode & _FMODE_WRITE)
        if call == "lseek" and not writable:
            self._inherited_read(event, moved=True)
            return
        for execution, fd in self._inheritors(event, body.handle, body.stamp2, writing=True):
            execution.problem(Reason.UNOBSERVABLE_WRITE, f"{call} of descriptor {fd}")

    def _ioctl(self, event: Event) -> None:
        """A look at what a descriptor is (isatty), or something that cannot be repeated."""
        body = event.body
        request = body.args[0] & 0xFFFFFFFF
        for execution, fd in self._inheritors(event, body.handle, body.stamp2, writing=False):
            self._depend_on_fd(event, execution, fd)
            if request not in _HARMLESS_IOCTLS and not body.err:
                execution.problem(Reason.UNSUPPORTED, f"ioctl {request:#x} of descriptor {fd}")

    def _copy(self, event: Event) -> None:
        """Bytes moved inside the kernel: read again from the file they came from."""
        body = event.body
        targets = self._inheritors(event, body.handle, body.stamp, writing=True)
        if targets and not (body.stamp is not None and pseudo.is_null(body.stamp)):
            offset = self._copy_again(event)
            for execution, fd in targets:
                if offset is None:
                    execution.problem(
                        Reason.UNOBSERVABLE_WRITE, f"{SYSCALL_NAMES[body.nr]} to descriptor {fd}"
                    )
                    continue
                self._depend_on_fd(event, execution, fd)
                execution.chunks.append(Chunk(fd, self._copies, offset, event.ret))
        if body.handle2 is not None:
            body.handle, body.file = body.handle2, body.file2
            self._inherited_read(event, moved=len(body.out) != 8)

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
        if flags & 1 and protection & 2:  # MAP_SHARED, PROT_WRITE
            for execution, fd in self._inheritors(event, body.handle, body.stamp2, writing=True):
                execution.problem(Reason.UNOBSERVABLE_WRITE, f"shared mapping of descriptor {fd}")
            if body.file is not None and not body.deleted:
                self._change(event, body.file, MODIFIED)
        else:
            self._inherited_read(event, moved=False)

    # ---- surroundings ----

    def _message(self, event: Event) -> None:
        if not event.body.err:
            event.execution.problem_throughout(
                Reason.DESCRIPTOR_PASSING, SYSCALL_NAMES[event.body.nr]
            )

    def _socket(self, event: Event) -> None:
        family = event.body.args[0]
        if not event.body.err and family not in (_AF_UNIX, _AF_UNSPEC):
            event.execution.problem_throughout(
                Reason.NETWORK, f"socket of family {_FAMILIES.get(family, family)}"
            )

    def _address(self, event: Event) -> None:
        """connect and bind of unix sockets; others were noted when made."""
        body = event.body
        address = body.out
        if len(address) < 2 or struct.unpack_from("<H", address)[0] != _AF_UNIX:
            return
        path = address[2:].split(b"\0")[0]
        if not path.startswith(b"/"):
            where = f"unix socket {_text(address[2:])!r}"
            event.execution.problem_throughout(Reason.NETWORK, where)
            return
        name = self.names.canonical(path, follow=True)
        if SYSCALL_NAMES[body.nr] == "bind":
            if not body.err:
                self._observe(event, Kind.LEXISTS, path, name, value=ABSENT)
                self._change(event, name, CREATED)
        elif body.err in _LOOKUP_FAILED:
            self._observe(event, Kind.CONTENT, path, name, value=ABSENT)
        else:
            for execution in event.execution.chain():
                if name not in execution.changes:
                    execution.problem(Reason.NETWORK, f"unix socket {_text(path)}")

    def _kill(self, event: Event) -> None:
        body = event.body
        pid = struct.unpack("<i", struct.pack("<I", body.args[0] & 0xFFFFFFFF))[0]
        call = SYSCALL_NAMES[body.nr]
        if body.err:
            return
        target = self._processes.get(pid) if pid > 0 and call != "pidfd_send_signal" else None
        number = body.args[2] if call == "tgkill" else body.args[1]
        if target is not None:
            target.senders.setdefault(number, []).append(event.execution)
        for execution in event.execution.chain():
            if target is None or not execution.contains(target.execution):
                execution.problem(Reason.SIGNAL_OUTSIDE, f"{call} of {pid} with signal {number}")

    def _umask(self, event: Event) -> None:
        event.process.umask = event.body.args[0] & 0o777

    def _breaker(self, event: Event) -> None:
        body = event.body
        if body.err:
            return
        call = SYSCALL_NAMES[body.nr]
        if call == "unshare" and not body.args[0] & _NAMESPACES:
            return
        if call in ("shmget", "semget", "msgget") and body.args[0] == 0:
            return  # IPC_PRIVATE
        event.execution.problem_throughout(_BREAKERS[call], call)


_BREAKERS = {
    "io_uring_setup": Reason.UNOBSERVABLE_WRITE,
    "ptrace": Reason.PTRACE,
    "process_vm_readv": Reason.SHARED_MEMORY,
    "process_vm_writev": Reason.SHARED_MEMORY,
    "shmget": Reason.SHARED_MEMORY,
    "semget": Reason.SHARED_MEMORY,
    "msgget": Reason.SHARED_MEMORY,
    "mq_open": Reason.SHARED_MEMORY,
    "userfaultfd": Reason.SHARED_MEMORY,
    "unshare": Reason.NAMESPACE,
    "setns": Reason.NAMESPACE,
    "chroot": Reason.NAMESPACE,
    "pivot_root": Reason.NAMESPACE,
    "mount": Reason.NAMESPACE,
    "umount2": Reason.NAMESPACE,
    "fsopen": Reason.NAMESPACE,
    "open_tree": Reason.NAMESPACE,
    "move_mount": Reason.NAMESPACE,
    "open_by_handle_at": Reason.UNSUPPORTED,
    "fanotify_init": Reason.UNSUPPORTED,
    "bpf": Reason.UNSUPPORTED,
    "perf_event_open": Reason.UNSUPPORTED,
}

# asm-generic/ioctls.h: TCGETS, TIOCGPGRP, TIOCGWINSZ, FIONCLEX, FIOCLEX.
_HARMLESS_IOCTLS = frozenset({0x5401, 0x540F, 0x5413, 0x5450, 0x5451})

_FAMILIES = {2: "inet", 10: "inet6", 16: "netlink", 17: "packet", 38: "alg", 40: "vsock"}


def _exists(stamp: Stamp) -> bytes:
    return exists_value(stamp)


def _sets_mtime(times: bytes) -> bool:
    """Whether utimensat's timespec[2] sets the modification time to something but now."""
    if len(times) < 32:
        return False  # a null pointer: both now
    (nanoseconds,) = struct.unpack_from("<q", times, 24)
    return nanoseconds not in (_UTIME_NOW, _UTIME_OMIT)


def _directory_entries(data: bytes) -> list[tuple[bytes, int]]:
    """(name, d_type) of struct linux_dirent64: ino, off, reclen u16, type u8, name."""
    entries, at = [], 0
    while at + 19 <= len(data):
        (length,) = struct.unpack_from("<H", data, at + 16)
        if length < 19:
            break
        name = data[at + 19 : at + length].split(b"\0", 1)[0]
        if name not in (b".", b".."):
            entries.append((name, data[at + 18]))
        at += length
    return entries


def _text(path: bytes) -> str:
    return path.decode(errors="backslashreplace")
