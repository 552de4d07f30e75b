"""What an execution left behind: its postconditions."""

from __future__ import annotations

import os
import posixpath
import time
from stat import S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG

from pcache.linux.plain import default_acl, has_attributes, new_gid
from pcache.linux.sparse import extents, may_have_holes
from pcache.linux.stamps import is_coarse
from pcache.linux.unseen import open_unseen
from pcache.model import APPENDING, FRESH, Fact, Key, Kind, Outcome, Output, Reason
from pcache.model import NOW as TOUCHED
from pcache.observe import pseudo
from pcache.observe.accesses.context import Context
from pcache.observe.births import born_in, gives_list
from pcache.observe.captured import CapturedFile, Snapshot
from pcache.observe.changes import CREATED, DT_DIR, GIVEN, NOW, REMOVED, Change
from pcache.observe.conditions.clock import Clock
from pcache.observe.conditions.links import Links
from pcache.observe.conditions.streams import stored_streams
from pcache.observe.conditions.unknowable import Unknowable
from pcache.observe.events import Stamp
from pcache.observe.executions import Execution
from pcache.settings.stand_ins import TEMPORARY_DIRECTORIES
from pcache.store.blobs import Blobs
from pcache.store.digests import DigestCache
from pcache.store.hashing import stamp as version_of
from pcache.store.writers import has_writers
from pcache.values import OK, defaults_value
from pcache.wording import text


class _Taken:
    """An output, when it was looked at (CLOCK_MONOTONIC ns), and how if not by its name."""

    def __init__(self, output: Output, at: int, snapshot: Snapshot | None, mtime_ns: int) -> None:
        self.output = output
        self.at = at
        self.snapshot = snapshot
        self.mtime_ns = mtime_ns


class Outputs:
    """Stores what executions left, each version once however many of them it is an output of."""

    def __init__(self, digests: DigestCache, blobs: Blobs, context: Context, clock: Clock) -> None:
        self._digests = digests
        self._blobs = blobs
        self._context = context
        self._history = context.history
        self._captured = context.captured
        self._clock = clock
        self._taken: dict[tuple[bytes, int, int, int, bytes], _Taken] = {}
        """By name, changes and older name."""

    def outcome(self, execution: Execution) -> tuple[Outcome, dict[bytes, int]]:
        """Of an execution that has ended, and the modification times of its outputs that are
        there, by path.  Raises Unknowable."""
        outputs = []
        mtimes: dict[bytes, int] = {}
        moved = {
            name: change.origin
            for name, change in execution.changes.items()
            if change.only_moved and change.origin not in execution.directories
        }
        links = Links(execution, self._context)
        moved.update(links.moved)
        for name, change in execution.changes.items():
            if name in execution.ignored:
                continue
            if change.only_moved and change.origin == name:
                continue  # away and back: as it was
            if name in moved and not _in_circle(name, moved):
                output = self._moved(execution, name, change)
            else:
                output = self._output(execution, name, change, links, mtimes)
            if output is not None:
                outputs.append((change.last, len(name), output))
        for directory, at in execution.touched.items():
            if directory not in TEMPORARY_DIRECTORIES and not execution.made_below(directory, at):
                outputs.append((at, len(directory), Output(b"t", directory)))
        # Of equal times (a moved tree) the shorter name is the directory.
        outputs.sort(key=lambda item: item[:2])
        chunks, data = stored_streams(self._blobs, execution.chunks)
        assert execution.end is not None
        outcome = Outcome(
            execution.status,
            tuple(output for _, _, output in outputs),
            chunks,
            data,
            (*execution.offsets.items(), *((fd, APPENDING) for fd in sorted(execution.appending))),
            execution.end - execution.image,
            execution.cpu_ns,
        )
        return outcome, mtimes

    def assumptions(self, execution: Execution, outcome: Outcome) -> list[Fact]:
        """What the outcome takes for granted, beside what the execution has looked at: that what
        it makes anew is not something else that was there before, and the directories' say in what
        is made in them.  Raises Unknowable."""
        facts: dict[Key, Fact] = {}
        directories: set[bytes] = set()
        owned = {at for at in execution.owned if at in execution.changes}
        for output in outcome.outputs:
            if output.kind in (b"-", b"m", b"h", b"r", b"t"):
                continue
            change = execution.changes[output.path]
            if output.kind == b"d" and change.was == DT_DIR:
                owned.add(output.path)  # removed and made anew
            if change.origin and change.origin != output.path:
                owned.add(change.origin)
                times = execution.moved_times.get(change.origin)
                if times is not None:
                    key = (Kind.TIMES, change.origin)
                    facts[key] = Fact(*key, times)
            directory = posixpath.dirname(output.path)
            # Or moved with it, at the same time.
            if not execution.made_below(directory, change.last + 1):
                directories.add(directory)
        directories.update(born_in(execution))
        for directory in directories:
            value = self._defaults(execution, directory)
            if execution.born_in and gives_list(value):
                what = f"moved, and the access control list of {text(directory)}"
                raise Unknowable(Reason.UNSUPPORTED, f"what was {what}")
            facts[Kind.DEFAULTS, directory] = Fact(Kind.DEFAULTS, directory, value)
        for name in owned:
            facts[Kind.PLAIN, name] = Fact(Kind.PLAIN, name, OK)
        return list(facts.values())

    def _defaults(self, execution: Execution, directory: bytes) -> bytes:
        try:
            value = defaults_value(os.stat(directory), default_acl(directory))
        except OSError as error:
            raise Unknowable(Reason.OUTPUT_OVERWRITTEN, directory) from error
        if value != OK and directory in execution.changes:
            raise Unknowable(Reason.UNSUPPORTED, f"mode of {text(directory)}, changed meanwhile")
        return value

    def _moved(self, execution: Execution, name: bytes, change: Change) -> Output | None:
        """What was there before the execution, and is somewhere else now."""
        if pseudo.ignored(name):
            return None
        if self._history.last(name) > change.last or not os.path.lexists(name):
            raise Unknowable(Reason.OUTPUT_OVERWRITTEN, name)
        execution.output_checks.append((name, change.last, time.monotonic_ns()))
        return Output(b"r", name, 0, change.origin)

    def _output(
        self,
        execution: Execution,
        name: bytes,
        change: Change,
        links: Links,
        mtimes: dict[bytes, int],
    ) -> Output | None:
        if pseudo.ignored(name):
            return None
        if change.last_how == REMOVED:
            # Made and removed again: what an interrupted run has left there goes as well.
            directory = posixpath.dirname(name)
            if change.first_how == CREATED:
                if execution.made_below(directory, change.last):
                    return None
                if name in self._context.temporaries:
                    execution.touched[directory] = change.last
                    return None
            return Output(b"-", name)
        if change.before is not None and self._is_as_before(name, change.before, change.first):
            return None
        older = links.older(name, change)
        key = (name, change.last, change.content_last, change.times, older)
        taken = self._taken.get(key)
        if change.times == GIVEN and name in execution.directories:
            taken = None  # what is made in it since gives it another time
        if taken is None:
            if self._history.last(name) > change.last:
                raise Unknowable(Reason.OUTPUT_OVERWRITTEN, name)
            output, snapshot, mtime = self._take(execution, name, change, older)
            taken = self._taken[key] = _Taken(output, time.monotonic_ns(), snapshot, mtime)
        if taken.snapshot is None:
            execution.output_checks.append((name, change.last, taken.at))
        else:
            execution.captured_outputs.append((taken.snapshot, name, change.last))
        mtimes[name] = taken.mtime_ns
        output = taken.output
        if output.kind == b"f" and change.origin == name:
            return Output(b"w", name, output.mode, output.content, output.mtime_ns, output.extents)
        return output

    def _is_as_before(self, name: bytes, before: Stamp, opened: int) -> bool:
        """Whether a file that was opened to be modified was not: its time must stay, then."""
        try:
            if not before.same_version(os.lstat(name), attributes_changed=False):
                return False
        except OSError as error:
            raise Unknowable(Reason.OUTPUT_OVERWRITTEN, name) from error
        if not self._clock.tells_changes(before, opened):
            raise Unknowable(Reason.INPUT_CHANGED, name)
        return True

    def _take(
        self, execution: Execution, name: bytes, change: Change, older: bytes
    ) -> tuple[Output, Snapshot | None, int]:
        """What was left at a name, how it was looked at if not there, and its modification time;
        `older`: another name of the same file, which was there before it."""
        file = self._captured.at(name)
        if file is not None and change.content_last and name not in self._context.hard_links.older:
            captured, snapshot = self._take_captured(execution, name, change, file)
            return captured, snapshot, snapshot.status.st_mtime_ns
        try:
            now = os.lstat(name)
        except OSError as error:
            raise Unknowable(Reason.OUTPUT_OVERWRITTEN, name) from error
        return self._take_named(execution, name, change, now, older), None, now.st_mtime_ns

    def _take_captured(
        self, execution: Execution, name: bytes, change: Change, file: CapturedFile
    ) -> tuple[Output, Snapshot]:
        """A plain file whose content was written, whether it is still there or not."""
        assert execution.end is not None
        self._refuse_acl(name, file.fd)
        try:
            now = os.fstat(file.fd)
            _refuse_coarse(name, now)
            if now.st_uid != execution.uid:
                raise Unknowable(Reason.UNSUPPORTED, f"owner of {name!r}")
            writers, began = has_writers(file.fd), time.time_ns()
            digest = self._blobs.put_file(file.fd)
            data = extents(file.fd, now.st_size) if may_have_holes(now) else ()
            taken, after = time.monotonic_ns(), os.fstat(file.fd)
        except OSError as error:
            raise Unknowable(Reason.OUTPUT_OVERWRITTEN, name) from error
        late = self._clock.is_after(after.st_mtime_ns, execution.end)
        if late or _written(after) != _written(now):
            raise Unknowable(Reason.OUTPUT_OVERWRITTEN, name)
        self._digests.remember(after, digest, began, writers)
        mtime = now.st_mtime_ns if change.times == GIVEN else FRESH
        self._refuse_group(execution, name, change, now)
        output = Output(b"f", name, now.st_mode & 0o7777, digest, mtime, data)
        return output, Snapshot(file, after, taken)

    def _take_named(
        self,
        execution: Execution,
        name: bytes,
        change: Change,
        now: os.stat_result,
        older: bytes,
    ) -> Output:
        form, mode = S_IFMT(now.st_mode), now.st_mode & 0o7777
        mtime = now.st_mtime_ns if change.times == GIVEN else FRESH
        if form == S_IFDIR:
            assert execution.end is not None
            if change.times == GIVEN and self._clock.is_after(now.st_mtime_ns, execution.end):
                raise Unknowable(Reason.OUTPUT_OVERWRITTEN, name)
            if name in self._context.with_acl and has_attributes(name):
                raise Unknowable(Reason.UNSUPPORTED, f"access control list of {text(name)}")
            if change.content_last:
                self._refuse_group(execution, name, change, now)
                return Output(b"d", name, mode, b"", mtime)
            return Output(b"m", name, mode, b"", TOUCHED if change.times == NOW else mtime)
        assert execution.end is not None
        _refuse_coarse(name, now)
        if self._clock.is_after(now.st_ctime_ns, execution.end):
            raise Unknowable(Reason.OUTPUT_OVERWRITTEN, name)
        self._refuse_acl(name, name)
        if not change.content_last and change.times != NOW:
            return Output(b"m", name, mode, b"", mtime)
        if older:
            changed = self._history.changed(older, execution.end, time.monotonic_ns())
            if not (changed or _same_file(older, now)):
                raise Unknowable(Reason.OUTPUT_OVERWRITTEN, older)
            return Output(b"h", name, mode, older)
        try:
            if form == S_IFREG:
                if name in self._context.hard_links.older and now.st_nlink != 1:
                    raise Unknowable(Reason.UNSUPPORTED, f"{text(name)} has other names")
                if now.st_uid != execution.uid:
                    raise Unknowable(Reason.UNSUPPORTED, f"owner of {name!r}")
                self._refuse_group(execution, name, change, now)
                digest, data = self._stored(name, now)
                return Output(b"f", name, mode, digest, mtime, data)
            if form == S_IFLNK:
                return Output(b"l", name, 0o777, os.readlink(name), mtime)
        except OSError as error:
            raise Unknowable(Reason.OUTPUT_OVERWRITTEN, name) from error
        if form == S_IFIFO:
            return Output(b"p", name, mode)
        raise Unknowable(Reason.UNSUPPORTED, f"{name!r} is a socket or device")

    def _stored(self, name: bytes, now: os.stat_result) -> tuple[bytes, tuple[int, ...]]:
        """Digest of a regular file that is as in `now`, once it is stored, and its extents.
        Raises OSError."""
        file = open_unseen(name, now.st_uid, os.O_NOFOLLOW)
        try:
            writers, began = has_writers(file), time.time_ns()
            digest = self._blobs.put_file(file)
            data = extents(file, now.st_size) if may_have_holes(now) else ()
            if version_of(os.fstat(file)) != version_of(now):
                raise Unknowable(Reason.OUTPUT_OVERWRITTEN, name)
        finally:
            os.close(file)
        self._digests.remember(now, digest, began, writers)
        return digest, data

    @staticmethod
    def _refuse_group(
        execution: Execution, name: bytes, change: Change, now: os.stat_result
    ) -> None:
        """A new file will have the group that its directory gives it."""
        if change.origin == name and change.first_how != CREATED and name not in execution.owned:
            return  # it stays as it was
        try:
            directory = os.stat(posixpath.dirname(name))
        except OSError:
            return  # removed with it, by somebody who answers for that
        if now.st_gid != new_gid(directory, execution.gid):
            raise Unknowable(Reason.UNSUPPORTED, f"group of {text(name)}")

    def _refuse_acl(self, name: bytes, file: bytes | int) -> None:
        if name in self._context.with_acl and b"system.posix_acl_access" in _xattrs(file):
            raise Unknowable(Reason.UNSUPPORTED, f"access control list of {name!r}")


def _in_circle(name: bytes, moved: dict[bytes, bytes]) -> bool:
    """Whether what was moved to this name made room for what was there, in however many steps;
    `moved`: name -> former name."""
    at = name
    for _ in moved:
        at = moved[at]
        if at not in moved:
            return False
    return True


def _written(status: os.stat_result) -> tuple[int, int, int]:
    """What changes when a file is written to, or its mode is changed."""
    return status.st_size, status.st_mtime_ns, status.st_mode


def _refuse_coarse(name: bytes, status: os.stat_result) -> None:
    """What somebody does to an output right after the program's end would not be noticed."""
    if is_coarse(status.st_ctime_ns):
        evidence = f"{text(name)}, where times have no fractions of a second"
        raise Unknowable(Reason.UNSUPPORTED, evidence)


def _xattrs(file: bytes | int) -> list[bytes]:
    """Of what is at a path itself, or open."""
    try:
        names = os.listxattr(file, follow_symlinks=isinstance(file, int))
        return [os.fsencode(name) for name in names]
    except OSError:
        return []


def _same_file(path: bytes, one: os.stat_result) -> bool:
    try:
        other = os.lstat(path)
    except OSError:
        return False
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
