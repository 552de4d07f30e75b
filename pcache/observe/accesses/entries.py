"""Calls that make and remove directory entries."""

from __future__ import annotations

import errno
import posixpath
from stat import S_IFIFO, S_IFMT, S_IFREG

from pcache.model import Kind, Reason
from pcache.observe import births, pseudo
from pcache.observe.accesses.context import NOT_EMPTY, Context
from pcache.observe.accesses.descriptors import refuse_inherited
from pcache.observe.accesses.event import Event, Handler
from pcache.observe.accesses.obstacles import not_empty, not_made
from pcache.observe.accesses.present import status_of
from pcache.observe.changes import CREATED, DT_DIR, DT_LNK, DT_REG, REMOVED
from pcache.observe.executions import Execution
from pcache.observe.observations import Observation
from pcache.pattern import Pattern
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES
from pcache.values import ABSENT, OK
from pcache.wording import text

_AT_REMOVEDIR, _AT_SYMLINK_FOLLOW = 0x200, 0x400
_MKDTEMP_MODE = 0o700
_RANDOM_LINK = Pattern(rb"Cu[0-9A-Za-z]{6}")  # lib/force-link.c of coreutils, as for ln -f


class Entries:
    def __init__(self, context: Context) -> None:
        self.context = context

    def handlers(self) -> list[tuple[Handler, str]]:
        return [
            (self._unlink, "unlink unlinkat rmdir"),
            (self._create, "mkdir mkdirat mknod mknodat symlink symlinkat link linkat"),
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
            if body.err in NOT_EMPTY:
                not_empty(self.context, event, path)
            return
        name = self.context.names.canonical(path, follow=False)
        self.context.led_to(event, path, name)
        self.context.history.removed(name, event.ts)
        self.context.captured.gone(name)
        self.context.hard_links.remove(event.ts, name)
        if directory:
            event.execution.observe(
                (Kind.NAMES, path), Observation(event.ts, name, entries=frozenset())
            )
            self.context.change(event, name, REMOVED, directory=True, was=DT_DIR)
        else:
            self.context.observe(event, Kind.REMOVABLE, path, name, value=OK)
            self.context.change(event, name, REMOVED, was=DT_REG)

    def _create(self, event: Event) -> None:
        """mkdir, mknod, symlink, link: something new at a path that was free."""
        body = event.body
        call = SYSCALL_NAMES[body.nr]
        is_link = call.startswith("link")
        path = body.path2 if is_link else self.context.path(event)
        if path is None:
            return
        if body.err:
            also = (body.path,) if is_link and body.path is not None else ()
            self.context.failed(event, *also, path, follow=False)
            if body.err == errno.ENOENT:
                not_made(self.context, event, path, alone=not is_link)
            return
        name = self.context.names.canonical(path, follow=False)
        self.context.led_to(event, path, name)
        if _RANDOM_LINK.fullmatch(posixpath.basename(name)):
            self.context.temporaries.add(name)
        self.context.observe(event, Kind.LEXISTS, path, name, value=ABSENT)
        self.context.parent_exists(event, path)
        origins: dict[Execution, bytes] = {}
        follow = call == "linkat" and bool(body.args[0] & _AT_SYMLINK_FOLLOW)
        source = b""
        if is_link and body.path is not None:
            source = self.context.names.canonical(body.path, follow=follow)
        if is_link and (body.path is None or pseudo.is_magic(source)):
            _link_what_is_open(event, source, name)
        elif is_link and body.path is not None:
            # Its content can from now on be found at the new name as well.
            kind = Kind.CONTENT if follow else Kind.LCONTENT
            self.context.observe(event, kind, body.path, source, opened=True)
            self.context.hard_links.add(event.ts, name, source)
            births.moved(event.execution, event.ts, source, name)
            origins = {at: at.origin(source, event.ts)[0] for at in event.execution.chain()}
        if call.startswith("mknod") and S_IFMT(body.args[0]) not in (0, S_IFREG, S_IFIFO):
            event.execution.problem_throughout(Reason.UNSUPPORTED, f"{call} {text(path)}")
        directory = call.startswith("mkdir")
        self.context.change(event, name, CREATED, directory=directory)
        if directory:
            self.context.grown.made(name)
            self.context.numbered.make(event.execution, name)
            if body.args[0] & 0o777 == _MKDTEMP_MODE:
                self.context.made_up_names.private(name, event.ts)
        for at, origin in origins.items():
            at.changes[name].origin = origin
        if call.startswith("symlink"):
            self.context.grown.put(name, DT_LNK)
            self.context.names.link(name, body.raw_path2 or b"", event.ts)
        elif is_link:
            self.context.names.look_for_link(name, event.ts)


def _link_what_is_open(event: Event, path: bytes, name: bytes) -> None:
    """An open file was given a name, by its descriptor or what names that: one without a name, as
    of O_TMPFILE, is new.  Of any other one it is another name, and of what was handed down too,
    whichever file that is."""
    refuse_inherited(event)
    number = pseudo.descriptor(path)
    status = status_of(name)
    for execution in event.execution.chain():
        handed = number is not None and execution.inherited(number)
        if handed or status is None or status.st_nlink > 1:
            execution.problem(Reason.DESCRIPTOR_PASSING, f"{text(name)}, linked to what was open")
