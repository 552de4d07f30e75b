"""Single questions about a path that the facts are made of."""

from __future__ import annotations

import errno
import os
from stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG

from pcache.values import ABSENT, OK, error_value


def xattrs_value(path: bytes | int, *, follow: bool) -> bytes:
    """Value of XATTRS or LXATTRS now; by descriptor only with `follow`."""
    try:
        names = sorted(map(os.fsencode, os.listxattr(path, follow_symlinks=follow)))
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            return error_value(error.errno)
        names = []
    return b"X" + b"".join([name + b"\0" for name in names])


def permission_value(path: bytes) -> bytes:
    """Value of PERMISSION now."""
    # Loads ctypes: for the few programs that were refused something.
    from pcache.linux.permissions import Permission

    return bytes(Permission(path))


def granted(path: bytes, right: int) -> bytes:
    """Value of READABLE, WRITABLE or EXECUTABLE."""
    return OK if os.access(path, right, effective_ids=True) else permission_value(path)


def mounted(value: bytes, path: bytes, st: os.stat_result | None = None) -> bytes:
    """The value of a directory, with a mark where something is mounted on it: stat(2) shows that by
    a device that is not its parent's.  `st` is its state, if that is known."""
    try:
        if (st or os.stat(path)).st_dev != os.stat(path + b"/..").st_dev:
            return b"dm" + value[1:]
    except OSError:
        pass  # it is gone, or nobody may look there
    return value


def marked(value: bytes, path: bytes, st: os.stat_result) -> bytes:
    return mounted(value, path, st) if value[:1] == b"d" else value


def absence(path: bytes, error: OSError) -> bytes:
    """Value for a path that is free to be created, if it is: its directory must be there."""
    value = error_value(error.errno)
    return OK if value == ABSENT and os.path.isdir(os.path.dirname(path)) else value


def is_absent(directory: bytes) -> bool:
    """Whether there is nothing at a path, and so nothing below it."""
    try:
        os.stat(directory)
    except OSError as error:
        return error.errno == errno.ENOENT
    return False


def entries_of(path: bytes | int) -> list[tuple[bytes, int]]:
    """Names and d_types in a directory, without a stat of each entry.

    scandir hides d_type, but answers these questions from it; only where the file system gives
    DT_UNKNOWN does it ask the file (a recorder that saw DT_UNKNOWN then has another value: a miss).
    Raises OSError.
    """
    entries = []
    with os.scandir(path) as directory:
        for entry in directory:
            if entry.is_symlink():
                kind = S_IFLNK
            elif entry.is_file(follow_symlinks=False):
                kind = S_IFREG
            elif entry.is_dir(follow_symlinks=False):
                kind = S_IFDIR
            else:
                kind = S_IFMT(entry.stat(follow_symlinks=False).st_mode)
            # IFTODT of dirent.h.
            entries.append((os.fsencode(entry.name), kind >> 12))
    return entries
