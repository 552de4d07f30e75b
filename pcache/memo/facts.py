"""Facts: what can be observed about a path now, as one of the values of `pcache.values`."""

from __future__ import annotations

import errno
import os
from stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from time import time_ns

from pcache.linux import locks
from pcache.linux.looks import file_of, identity, look
from pcache.memo.questions import (
    OF_TIMES,
    absence,
    cgroups_value,
    entries_of,
    granted,
    inherited_value,
    interfaces_value,
    is_absent,
    loader_value,
    marked,
    others,
    permission_value,
    plain_value,
    socket_value,
    stream_value,
    with_size,
    xattrs_value,
)
from pcache.model import Kind
from pcache.values import (
    ABSENT,
    FOLLOWING,
    OK,
    content_value,
    error_value,
    exists_value,
    input_value,
    link_value,
    listing_value,
    may_be_one,
    names_value,
    no_directory_value,
    one_value,
    order_files,
    replaceable_value,
    resolves_value,
    times_value,
    unreadable_value,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pcache.counters import Counters
    from pcache.linux.descriptors import FdView
    from pcache.model import Key
    from pcache.store.digests import DigestCache

_BY_PATH = frozenset((Kind.CONTENT, Kind.LCONTENT, Kind.EXISTS, Kind.LEXISTS))
"""Kinds that are ABSENT of all that is below an absent directory."""
_TRIES = 3
"""How often a file that changes while it is being hashed is looked at again."""


class Facts:
    """Looks at paths as the calling process: every answer is of now.  Only what took reading is
    remembered, for as long as stat(2) proves that reading again would give the same.

    `digests` hashes and remembers, `fds` is the task whose descriptors FD and INPUT mean, `uid`
    whose files are replaceable (the effective user unless given), `base_dir` the value of BASE.
    """

    __slots__ = (
        "_base_dir", "_counters", "_digests", "_fds", "_followed", "_itself", "_locks",
        "_remembered", "_uid",
    )  # fmt: skip

    def __init__(
        self,
        digests: DigestCache,
        fds: FdView | None,
        counters: Counters,
        uid: int | None = None,
        base_dir: bytes = b"",
    ) -> None:
        self._digests = digests
        self._fds = fds
        self._counters = counters
        self._uid = os.geteuid() if uid is None else uid
        self._base_dir = base_dir
        self._followed: dict[bytes, bytes] = {}
        self._itself: dict[bytes, bytes] = {}
        """The `identity` of what was found at paths, following a final link or not."""
        self._remembered = 0
        self._locks: dict[int, bytes] | None = None
        """Those that are held, once somebody had to know."""

    def saw(self, files: Iterable[os.stat_result]) -> bool:
        """Whether one of the paths that were looked at may be one of these regular files."""
        return not {file_of(identity(st)) for st in files}.isdisjoint(self._files())

    def _files(self) -> list[bytes]:
        return list(map(file_of, (*self._followed.values(), *self._itself.values())))

    def file(self, path: bytes) -> bytes:
        """Which files were found at a path, following a final link and not."""
        return b"".join(file_of(found.get(path, b"")) for found in (self._followed, self._itself))

    def identity(self, kind: bytes, path: bytes) -> bytes | None:
        """That of what was found by a look at CONTENT or LCONTENT; None for nothing."""
        return (self._followed if kind == Kind.CONTENT else self._itself).get(path)

    def evaluate(self, kind: bytes, path: bytes) -> bytes:
        """The value now.  Raises OSError if the content cannot be known (it keeps changing, the
        disk fails, a pseudo file has no end): then nothing may be concluded from it."""
        return self.values(((kind, path),))[0]

    def values(self, keys: Sequence[Key], known: dict[Key, bytes] | None = None) -> list[bytes]:
        """The value of each key now; values in `known` are taken from there and added to it, but
        for that of ONE, which is about all the others."""
        known = {} if known is None else known
        self._digests.check_mounts()
        had, remembered = len(known), self._digests.values
        self._remembered = look(
            keys, Kind.CONTENT, True, remembered, ABSENT, known, self._followed
        ) + look(keys, Kind.LCONTENT, False, remembered, ABSENT, known, self._itself)
        checked = len(known) - had
        values: list[bytes] = []
        missed = nowhere = b"\0"  # directory of what was absent last; one that is absent itself
        for key in keys:
            value = known.get(key)
            if key[0] == Kind.ONE:
                files = self._files()
                if len(set(files)) == len(files):  # as nearly always
                    value = known[key] = one_value(())
                else:
                    value = known[key] = self.one(keys, values, key[1])
            elif value is None:
                kind, path = key
                if path.startswith(nowhere) and kind in _BY_PATH:
                    value = ABSENT
                else:
                    try:
                        value = _EVALUATORS[kind](self, path)
                    except FileNotFoundError:
                        value = ABSENT
                    if value is ABSENT:  # who misses a locale or header looks for more there
                        before, missed = missed, path[: path.rfind(b"/") + 1]
                        if missed == before and is_absent(missed):
                            nowhere = missed
                known[key] = value
                checked += 1
            values.append(value)
        self._counters.inc("facts checked", checked)
        self._counters.inc("digests remembered", self._remembered)
        return values

    def one(self, keys: Sequence[Key], values: list[bytes], path: bytes) -> bytes:
        """Value of ONE for the keys that have these values."""
        unknown = {file for file, _ in order_files(path)}
        files: list[tuple[bytes, bytes]] = []
        for (kind, at), value in zip(keys, values, strict=False):
            if at not in unknown and may_be_one(kind, at, value):
                follow = kind in FOLLOWING
                one = (self._followed if follow else self._itself).get(at)
                if one is None:
                    one = identity(os.stat(at, follow_symlinks=follow))
                files.append((at, file_of(one)))
        return one_value(files)

    def _content(self, path: bytes) -> bytes:
        try:
            st = os.stat(path)
        except OSError as error:
            return error_value(error.errno)
        found = self._followed[path] = identity(st)
        return self._value(path, st, found)

    def _lcontent(self, path: bytes) -> bytes:
        try:
            st = os.lstat(path)
            if st.st_mode & 0o170000 == S_IFLNK:
                return b"l" + os.readlink(path)
        except OSError as error:
            return error_value(error.errno)
        found = self._itself[path] = identity(st)
        return self._value(path, st, found)

    def _value(self, path: bytes, st: os.stat_result, found: bytes) -> bytes:
        """Value of CONTENT of what has the identity `found`."""
        value = self._digests.values.get(found)
        if value is None:
            value = self._find_value(path, st)
        else:
            self._remembered += 1
        return value

    def _find_value(self, path: bytes, st: os.stat_result) -> bytes:
        digests = self._digests
        for _ in range(_TRIES):
            if st.st_mode & 0o170000 != S_IFREG:
                return marked(content_value(st, b""), path, st)
            try:
                value = content_value(st, digests.file_digest(path, st), digests.holes(path, st))
                if digests.settled(st):
                    digests.values[identity(st)] = value
                return value
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EPERM):
                    return unreadable_value(st, error.errno)
                if error.errno != errno.ESTALE:
                    raise
            # Replaced or written meanwhile; whatever it is now, its content decides.
            st = os.stat(path)
            self._followed[path] = identity(st)
        raise OSError(errno.ESTALE, "keeps changing", path)

    def _exists(self, path: bytes) -> bytes:
        try:
            st = os.stat(path)
        except OSError as error:
            return error_value(error.errno)
        self._followed[path] = identity(st)
        return marked(exists_value(st), path, st)

    def _lexists(self, path: bytes) -> bytes:
        try:
            st = os.lstat(path)
            self._itself[path] = identity(st)
            target = os.readlink(path) if st.st_mode & 0o170000 == S_IFLNK else b""
        except OSError as error:
            return error_value(error.errno)
        return marked(exists_value(st, target), path, st)

    def _listing(self, path: bytes) -> bytes:
        return self._directory_value(Kind.LISTING, path)

    def _names(self, path: bytes) -> bytes:
        return self._directory_value(Kind.NAMES, path)

    def _directory_value(self, kind: bytes, path: bytes) -> bytes:
        digests = self._digests
        try:
            value = digests.values.get(kind + identity(os.stat(path)))
            if value is None:
                # By descriptor: what the path leads to may be replaced, and come back.
                directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    st, now = os.fstat(directory), time_ns()
                    entries = entries_of(directory)
                finally:
                    os.close(directory)
                if kind == Kind.LISTING:
                    value = listing_value(entries)
                else:
                    value = names_value(name for name, _ in entries)
                if digests.settled_directory(st, now):
                    digests.values[kind + identity(st)] = value
        except OSError as error:
            return error_value(error.errno)
        return value

    def _replaceable(self, path: bytes) -> bytes:
        octal, _, path = path.partition(b":")
        try:
            st = os.lstat(path)
            target = os.readlink(path) if st.st_mode & 0o170000 == S_IFLNK else b""
        except OSError as error:
            return absence(path, error)
        return replaceable_value(int(octal, 8), st, self._uid, target)

    def _unlocked(self, path: bytes) -> bytes:
        wanted, _, path = path.partition(b":")
        try:
            inode = os.stat(path).st_ino
        except OSError as error:
            value = error_value(error.errno)
            return OK if value == ABSENT else value
        if self._locks is None:
            self._locks = locks.held()
        lock = self._locks.get(inode, OK)
        return OK if (wanted, lock) == (locks.READ, locks.READ) else lock

    def _removable(self, path: bytes) -> bytes:
        value = self._lexists(path)
        return value if value[:1] in (b"-", b"!", b"d") else OK

    def _not_link(self, path: bytes) -> bytes:
        value = self._lexists(path)
        return value if value[:1] in (b"-", b"!", b"l") else OK

    def _link(self, path: bytes) -> bytes:
        try:
            st = os.lstat(path)
        except OSError as error:
            return error_value(error.errno)
        return link_value(st) if S_IFMT(st.st_mode) == S_IFLNK else exists_value(st)

    def _present(self, path: bytes) -> bytes:
        value = self._lexists(path)
        return value if value[:1] in (b"-", b"!") else OK

    def _resolves(self, path: bytes) -> bytes:
        return resolves_value(self._exists(path), os.path.realpath(path))

    def _directory(self, path: bytes) -> bytes:
        value = self._exists(path)
        return OK if value[:1] == b"d" else value

    def _overwritable(self, path: bytes) -> bytes:
        try:
            st = os.lstat(path)
        except OSError as error:
            return absence(path, error)
        return exists_value(st) if S_IFMT(st.st_mode) == S_IFDIR else OK

    def _loader(self, path: bytes) -> bytes:
        names, path = path.split(b":", 1)
        return loader_value(names, path, self._content(path))

    def _fd(self, path: bytes) -> bytes:
        return self._view().value(int(path))

    def _input(self, path: bytes) -> bytes:
        try:
            number, view = int(path), self._view()
            fd = view.get(number)
            st = os.fstat(fd)
            if any(number != other and view.same(number, other) for other in (1, 2)):
                return error_value(errno.EBADF)  # what is written to it is read
            if S_IFMT(st.st_mode) != S_IFREG:
                return error_value(errno.ESPIPE)
            offset = os.lseek(fd, 0, os.SEEK_CUR)
        except OSError as error:
            return error_value(error.errno)
        return input_value(offset, self._digests.file_digest(fd, st))

    def _input_times(self, path: bytes) -> bytes:
        try:
            return times_value(os.fstat(self._view().get(int(path))))
        except OSError as error:
            return error_value(error.errno)

    def _numbered(self, path: bytes) -> bytes:
        from pcache.memo.numbered import numbered_now

        return numbered_now(path)

    def _view(self) -> FdView:
        if self._fds is None:
            raise OSError(errno.EBADF, "no descriptors to look at")
        return self._fds


_EVALUATORS: dict[bytes, Callable[[Facts, bytes], bytes]] = {
    Kind.CONTENT: Facts._content,
    Kind.LCONTENT: Facts._lcontent,
    Kind.EXISTS: Facts._exists,
    Kind.LEXISTS: Facts._lexists,
    Kind.SIZE: lambda facts, path: with_size(facts._exists(path), path, follow=True),
    Kind.LSIZE: lambda facts, path: with_size(facts._lexists(path), path, follow=False),
    Kind.LISTING: Facts._listing,
    Kind.REPLACEABLE: Facts._replaceable,
    Kind.NAMES: Facts._names,
    Kind.OTHERS: lambda _, path: others(path),
    Kind.NUMBERED: Facts._numbered,
    Kind.PLAIN: lambda _, path: plain_value(path),
    Kind.DEFAULTS: lambda _, path: inherited_value(path),
    Kind.UNLOCKED: Facts._unlocked,
    Kind.REMOVABLE: Facts._removable,
    Kind.NOT_LINK: Facts._not_link,
    Kind.NOT_DIRECTORY: lambda facts, path: no_directory_value(facts._exists(path)),
    Kind.LNOT_DIRECTORY: lambda facts, path: no_directory_value(facts._lexists(path)),
    Kind.LINK: Facts._link,
    Kind.DIRECTORY: Facts._directory,
    Kind.RESOLVES: Facts._resolves,
    Kind.PRESENT: Facts._present,
    Kind.OVERWRITABLE: Facts._overwritable,
    **OF_TIMES,
    Kind.INPUT_TIMES: Facts._input_times,
    Kind.XATTRS: lambda _, path: xattrs_value(path, follow=True),
    Kind.LXATTRS: lambda _, path: xattrs_value(path, follow=False),
    Kind.READABLE: lambda _, path: granted(path, os.R_OK),
    Kind.WRITABLE: lambda _, path: granted(path, os.W_OK),
    Kind.EXECUTABLE: lambda _, path: granted(path, os.X_OK),
    Kind.PERMISSION: lambda _, path: permission_value(path),
    Kind.TRAIT: lambda facts, path: facts._view().trait(path),
    Kind.LOADER: Facts._loader,
    Kind.SOCKET: lambda _, path: socket_value(path),
    Kind.CGROUPS: lambda *_: cgroups_value(),
    Kind.INTERFACES: lambda *_: interfaces_value(),
    Kind.FD: Facts._fd,
    Kind.INPUT: Facts._input,
    Kind.PIPE: lambda facts, path: facts._view().pipe(int(path)),
    Kind.STREAM: lambda facts, path: stream_value(path, facts._view()),
    Kind.BASE: lambda facts, _: facts._base_dir,
}
