"""What the handlers of all groups share: the event at hand, names, history, noting things down."""

from __future__ import annotations

import errno
import os
import posixpath
import time
from collections.abc import Callable
from stat import S_IFLNK, S_IFMT, S_IFREG

from pcache.linux.permissions import Permission
from pcache.memo.questions import marked
from pcache.model import Key, Kind, Reason
from pcache.observe import pseudo
from pcache.observe.accesses import jvm
from pcache.observe.accesses.concurrent import ConcurrentWriters, look_at_streams
from pcache.observe.accesses.event import Event, Process
from pcache.observe.accesses.hard_links import HardLinks
from pcache.observe.accesses.interfaces import depend_on_interfaces
from pcache.observe.accesses.made_up import MadeUpNames
from pcache.observe.accesses.numbered import Numbered
from pcache.observe.accesses.numbers import depend_on_absent
from pcache.observe.accesses.own_obstacles import note_own_obstacle
from pcache.observe.accesses.present import is_socket, status_of
from pcache.observe.accesses.refusals import crosses_mounts, explains
from pcache.observe.captured import CapturedFiles
from pcache.observe.changes import ATTRIBUTES, CREATED, DT_DIR, DT_REG, REMOVED, REPLACED
from pcache.observe.connections import Connections
from pcache.observe.errnos import CALL, CONTENT, LOOK, PERMISSION, TRANSIENT, cause
from pcache.observe.events import FAULT, TRUNCATED, Stamp
from pcache.observe.executions import Execution
from pcache.observe.grown import GrownDirectories
from pcache.observe.history import History
from pcache.observe.names import Names
from pcache.observe.observations import Look, Observation, times_may_matter
from pcache.observe.small_reads import SmallReads
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES
from pcache.values import OK, content_value, error_value, link_value
from pcache.wording import text

_PATH_MAX = 4096
_FMODE_WRITE = 2  # include/linux/fs.h
_OF_PROCESSES = (b"/proc/", b"/dev/fd/")
LOOKUP_FAILED = frozenset({errno.ENOENT, errno.ENOTDIR})
NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})  # rmdir(2), rename(2): either may come


class Context:
    """One for each recording."""

    def __init__(
        self,
        processes: dict[int, Process],
        hash_early: Callable[[bytes, Stamp, int, bool], None],
        look_up_early: Callable[[Key, Observation], None],
        read_whole: Callable[[bytes, Stamp, bytes], None],
    ) -> None:
        """`hash_early` is called with each version of a regular file (canonical name, stamp) that
        is looked at, when, and whether it was opened to be read alone; `look_up_early` with
        observations whose value the event does not tell, and `read_whole` with the content of a
        small file that was read: canonical name, stamp after it was read."""
        self.processes = processes
        self.pids: set[int] = {os.getpid()}
        """Processes that belong or belonged to the tree, and the one that follows it."""
        self.ended: dict[int, Execution] = {}
        """Of those that have ended, which program they were."""
        self.names = Names()
        self.history = History()
        self.captured = CapturedFiles()
        self.grown = GrownDirectories()
        self.temporaries: set[bytes] = set()
        """Random names, never twice the same: of mkstemp(3), and of links to be renamed."""
        self.made_up_names = MadeUpNames()
        self.numbered = Numbered()
        self.hard_links = HardLinks(self.history)
        self.with_acl: set[bytes] = set()
        """Names whose access control list was set; usually it only repeats the mode."""
        self.with_attributes: set[bytes] = set()
        """Names of what has, or may have, an extended attribute that was asked for."""
        self.made_up: dict[bytes, int] = {}
        """Names of files whose stamps say nothing -> magic of their file system."""
        self.made_up_written: set[int] = set()
        """Of such file systems, those to which the tree wrote."""
        self.mtimes: set[int] = set()
        """Modification times in ns that were seen, and are still to be looked for in outputs."""
        self.modifying: dict[tuple[int, bytes], tuple[int, int]] = {}
        """(tgid, name) of a file opened to be modified -> Event.writes and time at that moment."""
        self.connections = Connections()
        self.common_descriptors = False  # of processes: CLONE_FILES
        self.writers = ConcurrentWriters()
        self.gathered: list[Look] | None = None
        """What the call being handled observed, if that is all it does."""
        self.hash_early = hash_early
        self.small_reads = SmallReads()
        self._read_whole = read_whole
        self._look_up_early = look_up_early

    def gather(self) -> None:
        """The call to be handled may be one that only observes."""
        self.gathered = []

    def gathered_looks(self) -> tuple[Look, ...] | None:
        """What the call since `gather` observed; None if it did more than that."""
        gathered, self.gathered = self.gathered, None
        return None if gathered is None else tuple(gathered)

    def not_only_looking(self) -> None:
        """The call being handled does more than observe: its meaning must not be remembered."""
        self.gathered = None

    def path(self, event: Event) -> bytes | None:
        """The path of a call, or None (noted as a problem) when it is unknown."""
        body = event.body
        path = body.path
        if path is None and body.handle is not None and not body.deleted:
            path = body.file  # an empty path relative to a descriptor
        if path is None:
            self.not_only_looking()
        elif len(path) >= _PATH_MAX:
            # Reached step by step: nobody can look it up again in one go.
            event.execution.problem_throughout(
                Reason.UNSUPPORTED, f"a path of {len(path)} bytes in {SYSCALL_NAMES[body.nr]}"
            )
            return None
        known = body.flags & (FAULT | TRUNCATED) or body.err in (errno.EFAULT, errno.EBADF)
        if path is None and not known:
            event.execution.problem_throughout(
                Reason.UNSUPPORTED,
                f"{SYSCALL_NAMES[event.body.nr]}: a path outside the root directory",
            )
        return path

    def observe(
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
        if event.execution.starts_jvm and jvm.observe(event, path, name):
            self.not_only_looking()
            return
        if path.startswith(b"/proc/"):
            path = pseudo.of_the_process(path)
        key = (kind, path)
        if self.gathered is not None:
            self.gathered.append((key, name, value, stamp, opened))
        observation = Observation(event.ts, name, value, stamp, opened)
        if stamp is not None:
            self.mtimes.add(stamp.st_mtime_ns)
        elif value is None:
            self._look_up_early(key, observation)
        event.execution.observe(key, observation)

    def observe_stamp(
        self, event: Event, kind: bytes, path: bytes, name: bytes, *, opened: bool = False
    ) -> None:
        """A look at something whose version is known from body.stamp."""
        stamp = event.body.stamp
        if event.execution.looks is not None and times_may_matter(name, opened):
            # statx(2) tells no version if it was asked for nothing else than, say, an owner.
            seen = stamp or status_of(name, follow=kind == Kind.CONTENT)
            if seen is not None:
                event.execution.looks.setdefault((kind, path), (event.ts, name, seen))
        if stamp is None:
            self.observe(event, kind, path, name)
            return
        form = S_IFMT(stamp.st_mode)
        if form == S_IFREG and event.execution.streams and look_at_streams(event, name, stamp):
            self.not_only_looking()
        if form == S_IFREG and not pseudo.is_pseudo(name, stamp.magic):
            self.hash_early(name, stamp, event.ts, opened and not stamp.f_mode & _FMODE_WRITE)
            self.observe(event, kind, path, name, stamp=stamp, opened=opened)
        elif form == S_IFREG:
            self.made_up[name] = stamp.magic
            self.observe(event, kind, path, name)
        elif form == S_IFLNK:
            self.observe(event, Kind.LINK, path, name, value=link_value(stamp), stamp=stamp)
        else:
            value = marked(content_value(stamp, b""), name)
            self.observe(event, kind, path, name, value=value, stamp=stamp)

    def read_whole(self, name: bytes, stamp: Stamp, data: bytes) -> None:
        """A small file was read from beginning to end, and had this stamp afterwards."""
        if len(data) == stamp.st_size:
            self._read_whole(name, stamp, data)

    def failed(
        self,
        event: Event,
        *paths: bytes,
        follow: bool,
        directory: bool = False,
        wanted: int = 0,
    ) -> None:
        """A call on one or two paths failed: whatever made it fail must still be so.

        `directory`: it wanted a directory there.  `wanted`: as for `refusals.explains`.
        """
        body = event.body
        number, call = body.err, SYSCALL_NAMES[body.nr]
        if body.raw_path == b"" and body.handle is None:
            return  # an empty path fails wherever one is
        descriptor = pseudo.descriptor(paths[0]) if paths else None
        if descriptor is not None and number == errno.ENOENT:
            self.not_only_looking()
            depend_on_absent(event.ts, event.execution, descriptor)
            return
        if directory and number == errno.ENOTDIR:
            kind = Kind.NOT_DIRECTORY if follow else Kind.LNOT_DIRECTORY
            name = self.names.canonical(paths[0], follow=follow)
            if not self.ignored(event, paths[0], name):
                self.observe(event, kind, paths[0], name, value=OK)
            return
        why = cause(call, number)
        if why == PERMISSION:
            self._refused(event, paths, follow=follow, wanted=wanted)
        elif why == TRANSIENT or (number == errno.ENXIO and not is_socket(paths[0])):
            self._transient(event, paths)
        elif why != CALL:
            for path in paths:
                self._failed_look(event, path, why, follow=follow, alone=len(paths) == 1)

    def _failed_look(
        self, event: Event, path: bytes, why: str, *, follow: bool, alone: bool
    ) -> None:
        """What is at a path made a call fail; `alone`: it had no other path."""
        number = event.body.err
        # Where nothing was found there was no link to follow, though one may be there by now.
        name = self.names.canonical(path, follow=follow and why != LOOK)
        if self.ignored(event, path, name):
            return
        # Of a call with two paths either may be the missing one, and ENOTDIR may be about the last
        # component of the path as well as about one before it: the file system tells.
        unclear = not alone or number == errno.ENOTDIR
        if number == errno.ENOTDIR:
            note_own_obstacle(event, name)
        if number in LOOKUP_FAILED and not (unclear and os.path.lexists(path)):
            kind = Kind.CONTENT if follow else Kind.LCONTENT
            self.observe(event, kind, path, name, value=error_value(number))
        elif number in (errno.EEXIST, errno.EADDRINUSE):
            self.observe(event, Kind.PRESENT, path, name, value=OK)
        elif why == LOOK and number == errno.ENAMETOOLONG and alone:
            kind = Kind.CONTENT if follow else Kind.LCONTENT
            self.observe(event, kind, path, name, value=error_value(number))
        elif number == errno.ELOOP and follow and alone:
            self.observe(event, Kind.CONTENT, path, name, value=error_value(number))
        elif why == CONTENT:
            self.observe(event, Kind.CONTENT, path, name, opened=True)
        else:
            kind = Kind.EXISTS if follow else Kind.LEXISTS
            self.observe(event, kind, path, name)

    def failed_by_descriptor(self, event: Event) -> None:
        """The same for a call on an open file."""
        body = event.body
        if body.file is not None and not body.deleted:
            self.failed(event, body.file, follow=True)
        elif cause(SYSCALL_NAMES[body.nr], body.err) in (PERMISSION, TRANSIENT):
            self._transient(event, ())

    def _refused(
        self, event: Event, paths: tuple[bytes, ...], *, follow: bool, wanted: int
    ) -> None:
        """The kernel permits a call or not by what it finds: that is the fact, if it explains the
        failure; then it does not matter whether it was found a moment later."""
        self.not_only_looking()
        number, call = event.body.err, SYSCALL_NAMES[event.body.nr]
        found, names = [], []
        explained = False
        for path in paths:
            permission = Permission(path)
            found.append(permission)
            name = self.names.canonical(path, follow=follow)
            if self.ignored(event, path, name):
                continue
            way = permission.target if follow else permission.itself
            key = (Kind.PERMISSION, path)
            value = bytes(permission)
            if number == way.error == errno.EACCES:
                key = (Kind.CONTENT if follow else Kind.LCONTENT, path)
                value = error_value(number)  # on the way there is what may not be searched
                explained = True
            elif not permission.exists:
                parent = posixpath.dirname(path.rstrip(b"/")) or b"/"
                name = self.names.canonical(parent, follow=True)
            observation = Observation(event.ts, name, value)
            observation.looked = time.monotonic_ns()
            event.execution.observe(key, observation)
            names.append(name)
            explained |= explains(call, number, permission, event.execution.uid, wanted)
        if number == errno.EXDEV and len(found) > 1:
            explained = crosses_mounts(*found, linking=call.startswith("link"))
        for at in event.execution.chain() if names and not explained else ():
            if any(at.determined(name, event.ts) for name in names):
                break  # what it made is found in the same state again
            at.problem(Reason.TRANSIENT, _failure(event, paths))

    def _transient(self, event: Event, paths: tuple[bytes, ...]) -> None:
        self.not_only_looking()
        names = [self.names.canonical(path, follow=True) for path in paths]
        if not names or not all(map(pseudo.ignored, names)):
            event.execution.problem_throughout(Reason.TRANSIENT, _failure(event, paths))

    def parent_exists(self, event: Event, path: bytes) -> None:
        parent = posixpath.dirname(path.rstrip(b"/")) or b"/"
        name = self.names.canonical(parent, follow=True)
        self.observe(event, Kind.DIRECTORY, parent, name, value=OK)

    def led_to(self, event: Event, path: bytes, name: bytes) -> None:
        """A change took effect at the canonical `name`: the links on the way to it must still
        lead there."""
        if path.startswith(_OF_PROCESSES):
            self._refuse_processes(event, path, name)
        parent, leaf = posixpath.split(path.rstrip(b"/") or b"/")
        directory = self.names.canonical(parent, follow=True)
        if directory != parent and directory != parent.replace(b"/./", b"/").removesuffix(b"/."):
            self.observe(event, Kind.RESOLVES, parent, directory)
        if posixpath.join(directory, leaf) != name and leaf not in (b".", b".."):
            self.observe(event, Kind.LCONTENT, path, posixpath.join(directory, leaf))

    def refuse_other_names(self, event: Event, name: bytes, links: int) -> None:
        """A file with more names than one would change under all of them, but be restored under
        one."""
        if links > 1 or name in self.hard_links.names:
            self.history.link_written(event.ts)
        if links > 1:
            event.execution.problem_throughout(
                Reason.UNSUPPORTED, f"{text(name)} has {links} names and is written to"
            )

    def ignored(self, event: Event, path: bytes, name: bytes) -> bool:
        """Whether what is looked at is no input, as it says nothing or is another file each time.

        It is a reason for those to which it says something all the same: about a process that is
        not theirs, or a file reached by way of /proc.
        """
        if name.startswith(b"/proc/") or path.startswith(_OF_PROCESSES):
            self._refuse_processes(event, path, name)
            if pseudo.tells_interfaces(name):
                self.not_only_looking()
                depend_on_interfaces(event.ts, event.execution)
            if lasting := pseudo.lasting(name):
                self.observe(event, Kind.CONTENT, lasting, lasting)
        return pseudo.ignored(name)

    def _refuse_processes(self, event: Event, path: bytes, name: bytes) -> None:
        if pseudo.leads_on(path) and (name.startswith(b"/proc/") or b"/fd/" in path):
            event.execution.problem_throughout(Reason.UNSUPPORTED, text(path))
        for at in (path, name):
            pid = at.split(b"/", 3)[2] if at.startswith(b"/proc/") else b""
            if not pid.isdigit():
                continue
            process = self.processes.get(int(pid))
            for execution in event.execution.chain():
                known = process is not None and execution.contains(process.execution)
                if not known and not (process is None and int(pid) in self.pids):
                    execution.problem(Reason.FOREIGN_INPUT, text(at))

    def change(
        self,
        event: Event,
        name: bytes,
        how: str,
        *,
        directory: bool = False,
        was: int = 0,
        in_place: bool = False,
    ) -> None:
        event.execution.change(name, event.ts, how, directory=directory, in_place=in_place)
        for execution in event.execution.chain() if jvm.keeps(event.execution, name) else ():
            execution.ignored.add(name)
        self.history.add(name, event.ts, attributes=how == ATTRIBUTES)
        if was:
            for execution in event.execution.chain():
                change = execution.changes[name]
                if change.first == event.ts:
                    change.was = was
        if how in (CREATED, REMOVED, REPLACED):
            self.names.forget(name, event.ts, free=how == CREATED)
        if how == REMOVED:
            self.grown.gone(name)
        elif how in (CREATED, REPLACED):
            self.grown.put(name, DT_DIR if directory else DT_REG)


def _failure(event: Event, paths: tuple[bytes, ...]) -> str:
    """The call that failed and how, for people."""
    words = [SYSCALL_NAMES[event.body.nr], *map(text, paths)]
    return f"{' '.join(words)}: {os.strerror(event.body.err)}"
