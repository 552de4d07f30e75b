"""What the handlers of all groups share: the event at hand, names, history, noting things down."""

from __future__ import annotations

import errno
import os
import posixpath
import time
from collections.abc import Callable
from stat import S_IFLNK, S_IFMT, S_IFREG

from pcache.model import Key, Kind, Reason
from pcache.observe import pseudo
from pcache.observe.accesses.event import Event, Process
from pcache.observe.captured import CapturedFiles
from pcache.observe.changes import ATTRIBUTES, CREATED, REMOVED, REPLACED
from pcache.observe.events import FAULT, TRUNCATED, Stamp
from pcache.observe.evidence import text
from pcache.observe.executions import Execution
from pcache.observe.history import History
from pcache.observe.names import Names
from pcache.observe.observations import Look, Observation
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES
from pcache.values import ABSENT, OK, content_value, error_value, link_value

_PATH_MAX = 4096
LOOKUP_FAILED = frozenset({errno.ENOENT, errno.ENOTDIR})
NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})  # rmdir(2), rename(2): either may come
_OF_THE_SYSTEM = (
    *(b"/etc/", b"/lib/", b"/lib64/", b"/usr/lib/", b"/usr/lib64/"),
    *(b"/usr/share/locale/", b"/usr/share/zoneinfo/"),
)
"""What the C library opens for every program: its times matter only if a program asks for them."""
_ABOUT_THE_CALL = frozenset({errno.EINTR, errno.EFAULT, errno.EMFILE, errno.ENFILE, errno.ENOSYS})


class Context:
    """One for each recording."""

    def __init__(
        self,
        processes: dict[int, Process],
        hash_early: Callable[[bytes, Stamp], None],
        look_up_early: Callable[[Key, Observation], None],
    ) -> None:
        """`hash_early` is called with each version of a regular file (canonical name, stamp) that
        is looked at, `look_up_early` with observations whose value the event does not tell."""
        self.processes = processes
        self.pids: set[int] = {os.getpid()}
        """Processes that belong or belonged to the tree, and the one that follows it."""
        self.names = Names()
        self.history = History()
        self.captured = CapturedFiles()
        self.temporaries: set[bytes] = set()
        """Random names, never twice the same: of mkstemp(3), and of links to be renamed."""
        self.hard_links: dict[bytes, bytes] = {}
        """Name -> the older name of the same file."""
        self.linked: set[bytes] = set()
        """All names of such files."""
        self.with_acl: set[bytes] = set()
        """Names whose access control list was set; usually it only repeats the mode."""
        self.made_up: dict[bytes, int] = {}
        """Names of files whose stamps say nothing -> magic of their file system."""
        self.made_up_written: set[int] = set()
        """Of such file systems, those to which the tree wrote."""
        self.modifying: dict[tuple[int, bytes], tuple[int, int]] = {}
        """(tgid, name) of a file opened to be modified -> Event.writes and time at that moment."""
        self.accepted: list[Execution] = []
        """Who accepted each connection to a unix socket of the tree."""
        self.connections = 0
        """How many the tree itself made."""
        self._modifiers: dict[bytes, list[Execution]] = {}
        """Who has opened a file to modify it, by name."""
        self.gathered: list[Look] | None = None
        """What the call being handled observed, if that is all it does."""
        self.hash_early = hash_early
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
        key = (kind, path)
        if self.gathered is not None:
            self.gathered.append((key, name, value, stamp, opened))
        observation = Observation(event.ts, name, value, stamp, opened)
        if value is None and stamp is None:
            self._look_up_early(key, observation)
        event.execution.observe(key, observation)

    def observe_stamp(
        self, event: Event, kind: bytes, path: bytes, name: bytes, *, opened: bool = False
    ) -> None:
        """A look at something whose version is known from body.stamp."""
        stamp = event.body.stamp
        if stamp is None:
            self.observe(event, kind, path, name)
            return
        if event.execution.looks is not None:
            self.not_only_looking()
            if not (opened and name.startswith(_OF_THE_SYSTEM)):
                event.execution.looks.setdefault((kind, path), (event.ts, name, stamp))
        form = S_IFMT(stamp.st_mode)
        if form == S_IFREG and not pseudo.is_pseudo(name, stamp.magic):
            self.hash_early(name, stamp)
            self.observe(event, kind, path, name, stamp=stamp, opened=opened)
        elif form == S_IFREG:
            self.made_up[name] = stamp.magic
            self.observe(event, kind, path, name)
        elif form == S_IFLNK:
            self.observe(event, Kind.LINK, path, name, value=link_value(stamp))
        else:
            self.observe(event, kind, path, name, value=content_value(stamp, b""))

    def failed(self, event: Event, path: bytes, *, follow: bool, directory: bool = False) -> None:
        """A call on a path failed: whatever made it fail must still be so.

        `directory`: it wanted a directory there.
        """
        number = event.body.err
        if not event.body.raw_path and event.body.handle is None:
            return  # an empty path fails wherever one is
        if number in _ABOUT_THE_CALL:
            return  # about the call, not the path
        if directory and number == errno.ENOTDIR:
            kind = Kind.NOT_DIRECTORY if follow else Kind.LNOT_DIRECTORY
            name = self.names.canonical(path, follow=follow)
            if not self.ignored(event, path, name):
                self.observe(event, kind, path, name, value=OK)
            return
        # Where nothing was found there was no link to follow, though one may be there by now.
        reached = number not in LOOKUP_FAILED and number != errno.ELOOP
        name = self.names.canonical(path, follow=follow and reached)
        if self.ignored(event, path, name):
            return
        # Of a call with two paths either may be the missing one, and ENOTDIR may be about the last
        # component of the path as well as about one before it: the file system tells.
        unclear = event.body.raw_path2 is not None or number == errno.ENOTDIR
        if number in LOOKUP_FAILED and not (unclear and os.path.lexists(path)):
            kind = Kind.CONTENT if follow else Kind.LCONTENT
            self.observe(event, kind, path, name, value=error_value(number))
        elif number == errno.EEXIST:
            self.observe(event, Kind.PRESENT, path, name, value=OK)
        elif number == errno.ELOOP and follow and event.body.raw_path2 is None:
            self.observe(event, Kind.CONTENT, path, name, value=error_value(number))
        else:
            kind = Kind.EXISTS if follow else Kind.LEXISTS
            self.observe(event, kind, path, name)

    def parent_exists(self, event: Event, path: bytes) -> None:
        parent = posixpath.dirname(path.rstrip(b"/")) or b"/"
        name = self.names.canonical(parent, follow=True)
        self.observe(event, Kind.DIRECTORY, parent, name, value=OK)

    def not_made(self, event: Event, path: bytes) -> None:
        """A call that was to make something at `path` failed with ENOENT.

        If its directory was missing it must still be: that nothing is at `path` would be true of
        an empty directory as well.
        """
        self.not_only_looking()
        reached = self.names.canonical(path, follow=True)
        if reached != self.names.canonical(path, follow=False):
            self.led_to(event, path, reached)
            path = reached  # by a dangling link
        parent = posixpath.dirname(path.rstrip(b"/")) or b"/"
        name = self.names.canonical(parent, follow=True)
        # Of a call with two paths the other one may be to blame.
        value = OK if os.path.isdir(parent) else ABSENT
        observation = Observation(event.ts, name, value)
        observation.looked = time.monotonic_ns()
        event.execution.observe((Kind.DIRECTORY, parent), observation)

    def not_empty(self, event: Event, path: bytes) -> None:
        """A directory could not be removed or replaced for what is in it."""
        self.not_only_looking()
        name = self.names.canonical(path, follow=False)
        if not os.path.isdir(name):
            return
        self.observe(event, Kind.NAMES, path, name)
        now = time.monotonic_ns()
        for execution in event.execution.chain():
            execution.prefix_checks.append((name + b"/", event.ts, now))

    def led_to(self, event: Event, path: bytes, name: bytes) -> None:
        """A change took effect at the canonical `name`: the links on the way to it must still
        lead there."""
        parent, leaf = posixpath.split(path.rstrip(b"/") or b"/")
        directory = self.names.canonical(parent, follow=True)
        if directory != parent and directory != parent.replace(b"/./", b"/").removesuffix(b"/."):
            self.observe(event, Kind.RESOLVES, parent, directory)
        if posixpath.join(directory, leaf) != name and leaf not in (b".", b".."):
            self.observe(event, Kind.LCONTENT, path, posixpath.join(directory, leaf))

    def refuse_other_names(self, event: Event, name: bytes, links: int) -> None:
        """A file with more names than one would change under all of them, but be restored under
        one."""
        if links > 1 or name in self.linked:
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
        if name.startswith(b"/proc/") or path.startswith(b"/proc/"):
            self._refuse_processes(event, path, name)
        return pseudo.ignored(name)

    def _refuse_processes(self, event: Event, path: bytes, name: bytes) -> None:
        if name.startswith(b"/proc/") and pseudo.leads_on(path):
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

    def has_served_strangers(self, execution: Execution) -> bool:
        """Whether somebody outside may have connected to its sockets; when all events are known."""
        strangers = len(self.accepted) > self.connections
        return strangers and any(execution.contains(server) for server in self.accepted)

    def modified_by(self, event: Event, name: bytes, stamp: Stamp) -> None:
        """A file was opened to be modified: the same-time writers of a file, and those that contain
        one but not the other, cannot tell whose bytes are in it."""
        mine = event.execution
        others = self._modifiers.setdefault(name, [])
        for other in [*others]:
            if other.end is not None:
                others.remove(other)
            elif not (other.contains(mine) or mine.contains(other)):
                _conflict(mine, other, name)
                _conflict(other, mine, name)
        if stamp.writers:
            # By an open descriptor, of whoever opened the file before.
            for at in mine.chain():
                change = at.changes.get(name)
                if change is not None and change.first < event.ts:
                    break
                at.problem(Reason.CONFLICT, f"{text(name)}, which somebody else has open to write")
        if mine not in others:
            others.append(mine)

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
        self.history.add(name, event.ts, attributes=how == ATTRIBUTES)
        if was:
            for execution in event.execution.chain():
                change = execution.changes[name]
                if change.first == event.ts:
                    change.was = was
        if how in (CREATED, REMOVED, REPLACED):
            self.names.forget(name)


def _conflict(one: Execution, other: Execution, name: bytes) -> None:
    """Marks `one` and what contains it, as far as it does not contain `other`."""
    evidence = f"{text(name)}, with {other.label()}"
    for at in one.chain():
        if at.contains(other):
            return
        at.problem(Reason.CONFLICT, evidence)
