"""A scratch copy of the file system: everything is there, and what is changed is changed elsewhere.

Each directory of the root is overlaid for itself, because an overlay cannot be made over one that
has something mounted below by somebody else.  Those stay as they are: /dev, /proc and /sys for use,
others read-only.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from stat import S_ISCHR, S_ISDIR

from pcache.linux import mounts
from pcache.store.workdirs import WorkDirectory

_FOR_USE = (b"/dev", b"/proc", b"/sys")
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


class Scratch:
    """`with Scratch(parent) as scratch:` a forked child may `enter`; afterwards, we look at what
    was changed."""

    def __init__(self, parent: bytes) -> None:
        """`parent`: a directory for what is changed; no overlay itself.  Raises OSError."""
        self._claim = WorkDirectory(parent, b"scratch-")
        self._folder = self._claim.path
        self._root = self._folder + b"/root"
        self._uppers: dict[bytes, bytes] = {}
        try:
            self._make_folders()
        except BaseException:
            self.__exit__()
            raise

    def _make_folders(self) -> None:
        for name in (b"/root", b"/upper", b"/work"):
            os.mkdir(self._folder + name)
        points = mounts.mount_points()
        for name in os.listdir(b"/"):
            path = b"/" + name
            if os.path.isdir(path) and not os.path.islink(path) and not _is_above(path, points):
                upper = self._uppers[path] = self._folder + b"/upper" + path
                _make_like(upper, path)
                os.mkdir(self._work(path))

    def _work(self, path: bytes) -> bytes:
        return self._folder + b"/work" + path

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        self._claim.release()

    def prepare(self, path: bytes) -> None:
        """Makes it possible to change what is at `path`: without root an overlay cannot copy the
        directories above it that belong to others."""
        top = self._top(path)
        below = path[len(top) + 1 :].split(b"/")[:-1]
        upper = self._uppers[top]
        for part in below:
            top, upper = top + b"/" + part, upper + b"/" + part
            if not os.path.isdir(top) or os.path.islink(top):
                return
            if not os.path.isdir(upper):
                _make_like(upper, top)

    def enter(self) -> None:
        """Makes the copy the root of this process and what it starts; for good."""
        mounts.leave_namespace(os.geteuid(), os.getegid())
        mounts.temporary(self._root)
        for entry in os.scandir(b"/"):
            place = b"%b/%b" % (self._root, entry.name)
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), place)
            elif entry.is_dir():
                os.mkdir(place)
                self._provide(entry.path, place)
            else:
                os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o600))
                mounts.bind(entry.path, place)
                mounts.make_read_only(place)
        os.chroot(self._root)
        os.chdir("/")

    def _provide(self, path: bytes, place: bytes) -> None:
        upper = self._uppers.get(path)
        if upper is not None:
            mounts.overlay(place, path, upper, self._work(path))
            return
        mounts.bind(path, place)
        if path not in _FOR_USE:
            mounts.make_read_only(place)

    def covers(self, path: bytes) -> bool:
        """Whether a path can be changed in the copy."""
        return self._top(path) in self._uppers and path.count(b"/") > 1

    def changed(self) -> Iterator[bytes]:
        """Every path that was touched: changed, deleted, or copied only to be changed."""
        for top, upper in self._uppers.items():
            for directory, names, files in os.walk(upper):
                for name in (*names, *files):
                    yield top + os.path.join(directory, name)[len(upper) :]

    def place_of(self, path: bytes) -> bytes | None:
        """Where, outside of the copy, that is which it has at `path`; None if it has nothing."""
        top = self._top(path)
        upper = self._uppers.get(top)
        if upper is None:
            return path if os.path.lexists(path) else None
        at = upper
        hidden = False
        for part in path[len(top) + 1 :].split(b"/"):
            at = at + b"/" + part
            try:
                st = os.lstat(at)
            except (FileNotFoundError, NotADirectoryError):
                return None if hidden or not os.path.lexists(path) else path
            if is_whiteout(st):
                return None
            hidden = hidden or (S_ISDIR(st.st_mode) and is_opaque(at))
        return at

    @staticmethod
    def _top(path: bytes) -> bytes:
        return b"/" + path.split(b"/", 2)[1]


def _make_like(directory: bytes, other: bytes) -> None:
    os.mkdir(directory)
    shutil.copystat(other, directory)
    if os.geteuid() == 0:
        st = os.stat(other)
        os.chown(directory, st.st_uid, st.st_gid)


def is_whiteout(st: os.stat_result) -> bool:
    """What stands for something deleted: a device 0:0 (Documentation/filesystems/overlayfs)."""
    return S_ISCHR(st.st_mode) and st.st_rdev == 0


def is_opaque(directory: bytes) -> bool:
    """Whether nothing of the original shows in this directory of a copy."""
    for name in _OPAQUE:
        try:
            if os.getxattr(directory, name, follow_symlinks=False) == b"y":
                return True
        except OSError:
            continue
    return False


def _is_above(path: bytes, points: list[bytes]) -> bool:
    return path in _FOR_USE or any(point.startswith(path + b"/") for point in points)
