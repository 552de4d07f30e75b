"""Renames, of files and of directories with all that is in them."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
import time

from pcache.linux.permissions import Permission
from pcache.model import Key, Kind, Reason
from pcache.observe import births
from pcache.observe.accesses.context import NOT_EMPTY, Context
from pcache.observe.accesses.event import Event, Handler
from pcache.observe.accesses.obstacles import not_empty, not_made
from pcache.observe.accesses.present import status_of
from pcache.observe.changes import CREATED, DT_DIR, DT_LNK, DT_REG, GIVEN, REMOVED, REPLACED
from pcache.observe.executions import Execution
from pcache.observe.grown import Tree
from pcache.observe.observations import Observation
from pcache.values import ABSENT, OK, times_value
from pcache.wording import text

Entered = dict[Execution, dict[bytes, int]]
"""Of executions, what `Execution.entered` gives."""

_RENAME_NOREPLACE = 1
_LAYERED = frozenset({b"overlay", b"aufs"})
_MOVED_LIMIT = 20_000  # entries of a directory that is renamed


class Renames:
    def __init__(self, context: Context) -> None:
        self.context = context

    def handlers(self) -> list[tuple[Handler, str]]:
        return [(self._rename, "rename renameat renameat2")]

    def _rename(self, event: Event) -> None:
        body = event.body
        source, target = self.context.path(event), body.path2
        if source is None or target is None:
            return
        free = bool(body.args and body.args[0] & _RENAME_NOREPLACE)
        if body.err:
            self.context.failed(event, source, target, follow=False)
            if body.err == errno.ENOENT:
                not_made(self.context, event, target, alone=False)
            elif body.err in NOT_EMPTY and not free:
                not_empty(self.context, event, target)
            return
        old = self.context.names.canonical(source, follow=False)
        new = self.context.names.canonical(target, follow=False)
        if body.args and body.args[0] & ~_RENAME_NOREPLACE:
            event.execution.problem_throughout(
                Reason.UNSUPPORTED, f"rename of {text(old)} with flags {body.args[0]:#x}"
            )
            return
        older = self.context.hard_links.older.get(old)
        if _same_file(old, new) or older == new:
            # Two names of one file: rename(2) does nothing and reports success.
            event.execution.problem_throughout(
                Reason.UNSUPPORTED, f"rename of {text(old)} to another name it has"
            )
            return
        self.context.led_to(event, source, old)
        self.context.led_to(event, target, new)
        execution = event.execution
        known = self.context.grown.tree(old)
        outdated = known is None and self.context.numbered.move(old)
        below = [] if outdated else _tree(new) if known is None else known
        if below is None:
            what = f"{text(old)}, renamed, with too much in it or gone since"
            execution.problem_throughout(Reason.INPUT_CHANGED, what)
            return
        kind = self.context.grown.kind(old)
        self.context.history.moved(old, new, event.ts)
        self.context.captured.moved(old, new)
        if below:
            self.context.grown.moved(old, new)
            self.context.captured.moved_below(old)
        if not outdated:
            self._observe_moved(event, source, old, new)
        if free:
            self.context.observe(event, Kind.LEXISTS, target, new, value=ABSENT)
        else:
            self.context.observe(event, Kind.OVERWRITABLE, target, new, value=OK)
        self.context.parent_exists(event, target)
        directory = outdated or below != []
        self._stay_on_one_mount(event, source, target)
        if directory and not execution.determined(old, event.ts):
            self._may_be_moved(event, source, old)
        self._move(event, old, new)
        before, origins = _times_before(event, old), _origins(event, old)
        entered = {at: at.entered() for at in execution.chain()} if below else {}
        kept = self._change_moved(event, old, new, below, entered)
        if below and known is None:
            now = time.monotonic_ns()
            for at in execution.chain():
                at.prefix_checks.append((new + b"/", event.ts, now))
        self.context.change(event, old, REMOVED, directory=directory, was=DT_REG)
        # Where a directory comes to there was nothing, or an empty one: it is all its own.
        how = CREATED if free or directory else REPLACED
        self.context.change(event, new, how, directory=directory)
        if kind:
            self.context.grown.put(new, kind)
        if not directory:
            _set_origins(event, new, origins)
        if not outdated:
            kept += _keep_times(event, old, new, before, entered)
        for at in execution.chain() if kept else ():
            at.observe_times(kept)
        self.context.names.look_for_link(new, event.ts)
        self.context.hard_links.move(event.ts, old, new)

    def _move(self, event: Event, old: bytes, new: bytes) -> None:
        """Access control lists go with a file or directory, told before the change is."""
        births.moved(event.execution, event.ts, old, new)
        if old in self.context.with_acl:
            self.context.with_acl.add(new)

    def _stay_on_one_mount(self, event: Event, source: bytes, target: bytes) -> None:
        """rename(2) fails with EXDEV where one of the directories is a mount point by now.  Of one
        that was removed since, a hit finds that out when it does the same."""
        parents = {posixpath.dirname(path.rstrip(b"/")) or b"/" for path in (source, target)}
        for parent in filter(os.path.lexists, parents) if len(parents) > 1 else ():
            name = self.context.names.canonical(parent, follow=True)
            self.context.observe(event, Kind.EXISTS, parent, name)

    def _may_be_moved(self, event: Event, source: bytes, old: bytes) -> None:
        """A directory that was there before was moved, which is refused (EXDEV) where it lies in a
        lower layer.  What is asked for is the file system that it was in: that of its parent."""
        parent = posixpath.dirname(source.rstrip(b"/")) or b"/"
        permission = Permission(parent)
        name = self.context.names.canonical(parent, follow=True)
        observation = Observation(event.ts, name, bytes(permission))
        observation.looked = time.monotonic_ns()
        event.execution.observe((Kind.PERMISSION, parent), observation)
        for at in event.execution.chain() if permission.target.type in _LAYERED else ():
            if at.determined(old, event.ts):
                break
            at.problem(Reason.UNSUPPORTED, f"rename of {text(old)}, a directory in layers")

    def _change_moved(
        self, event: Event, old: bytes, new: bytes, below: Tree, entered: Entered
    ) -> list[tuple[Key, Observation]]:
        """A directory was moved: all that is in it is input at the old place, output at the new.

        What the tree has not made itself is looked at some time after the event; what the tree
        changed there meanwhile is found by the prefix check.  Returns as `_keep_times`.
        """
        execution = event.execution
        kept: list[tuple[Key, Observation]] = []
        for place, entries in below:
            before, after = old + place, new + place
            execution.observe(
                (Kind.LISTING, before), Observation(event.ts, before, entries=frozenset(entries))
            )
            for leaf, kind in entries:
                name, path = posixpath.join(before, leaf), posixpath.join(after, leaf)
                is_directory = kind == DT_DIR
                self.context.history.moved(name, path, event.ts)
                if not is_directory:
                    self._observe_moved(event, name, name, path)
                was = DT_DIR if is_directory else DT_REG
                self._move(event, name, path)
                times, origins = _times_before(event, name), _origins(event, name)
                self.context.change(event, name, REMOVED, directory=is_directory, was=was)
                self.context.change(event, path, CREATED, directory=is_directory)
                self.context.grown.put(path, kind)
                if not is_directory:
                    _set_origins(event, path, origins)
                kept += _keep_times(event, name, path, times, entered)
                if kind == DT_LNK:
                    self.context.names.look_for_link(path, event.ts)
        return kept

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


def _times_before(event: Event, name: bytes) -> dict[Execution, int]:
    """What the executions that changed a file had done to its time."""
    changes = ((at, at.changes.get(name)) for at in event.execution.chain())
    return {at: change.times for at, change in changes if change is not None}


def _origins(event: Event, name: bytes) -> dict[Execution, tuple[bytes, bool]]:
    """`Execution.origin` for all whom a rename of this name concerns."""
    return {at: at.origin(name, event.ts) for at in event.execution.chain()}


def _set_origins(event: Event, new: bytes, origins: dict[Execution, tuple[bytes, bool]]) -> None:
    """A rename leaves the file what it is."""
    for at, (origin, as_it_was) in origins.items():
        change = at.changes[new]
        change.origin = origin
        change.moved = event.ts if as_it_was else 0


def _keep_times(
    event: Event, old: bytes, new: bytes, before: dict[Execution, int], entered: Entered
) -> list[tuple[Key, Observation]]:
    """A rename leaves the times as they are: of what was there before, those are an input if it
    cannot be moved again.  Returns those of a directory, of which none can; `entered`: which
    directories had become newer by then."""
    execution = event.execution
    kept: list[tuple[Key, Observation]] = []
    if not execution.determined(old, event.ts):
        status = status_of(new)
        now = time.monotonic_ns()
        if status is not None and stat.S_IFMT(status.st_mode) in (stat.S_IFREG, stat.S_IFDIR):
            value = times_value(status)
            for at in execution.chain():
                if not at.times_are_ours(old, event.ts) and old not in entered.get(at, ()):
                    at.moved_times.setdefault(old, value)
        is_directory = status is not None and stat.S_ISDIR(status.st_mode)
        if is_directory:
            kept.append(((Kind.LTIMES, old), Observation(event.ts, old, value)))
        for at in execution.chain():
            if at.determined(old, event.ts):
                break
            if status is None:
                at.problem(Reason.INPUT_CHANGED, text(old))
            if is_directory:
                at.owned.add(old)
            at.moved_checks.append((new, new, event.ts, now))
    for at in execution.chain():
        at.changes[new].times = before.get(at, GIVEN)
    return kept


def _same_file(one: bytes, other: bytes) -> bool:
    try:
        return os.path.samestat(os.lstat(one), os.lstat(other))
    except OSError:
        return False


def _tree(top: bytes) -> Tree | None:
    """As `GrownDirectories.tree`, of what is there; empty for what is no directory, None for too
    much, or what cannot be listed (any more)."""
    if not stat.S_ISDIR(_mode(top)):
        return []
    found: Tree = []
    todo, total = [b""], 0
    while todo:
        place = todo.pop()
        try:
            with os.scandir(top + place) as scan:
                entries = sorted((entry.name, _d_type(entry)) for entry in scan)
        except OSError:
            return None
        found.append((place, entries))
        total += len(entries)
        if total > _MOVED_LIMIT:
            return None
        todo += [place + b"/" + leaf for leaf, kind in entries if kind == DT_DIR]
    return found


def _mode(path: bytes) -> int:
    status = status_of(path)
    return 0 if status is None else status.st_mode


def _d_type(entry: os.DirEntry[bytes]) -> int:
    if entry.is_symlink():
        return DT_LNK
    return DT_DIR if entry.is_dir(follow_symlinks=False) else DT_REG
