"""Single questions about a path that the facts are made of."""

from __future__ import annotations

import errno
import os
from stat import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG

from pcache.linux.plain import default_acl, is_plain
from pcache.model import Kind
from pcache.values import (
    ABSENT,
    OK,
    content_of,
    defaults_value,
    error_value,
    exists_value,
    not_newer_files,
    not_newer_value,
    order_files,
    order_value,
    others_names,
    others_value,
    size_value,
    times_value,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pcache.linux.descriptors import FdView
    from pcache.linux.loader_cache import LoaderCache


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


def plain_value(path: bytes) -> bytes:
    """Value of PLAIN now."""
    try:
        st = os.lstat(path)
        if is_plain(path, st, os.getegid()):
            return OK
        target = os.readlink(path) if st.st_mode & 0o170000 == S_IFLNK else b""
    except FileNotFoundError:
        return OK
    except OSError as error:
        return error_value(error.errno)
    return exists_value(st, target)


def inherited_value(path: bytes) -> bytes:
    """Value of DEFAULTS now."""
    try:
        return defaults_value(os.stat(path), default_acl(path))
    except OSError as error:
        return error_value(error.errno)


def _loader_cache(path: bytes, content: bytes) -> LoaderCache | None:
    from pcache.linux.loader_cache import loader_cache

    digest = content_of(content)
    if not digest:
        return None
    try:
        return loader_cache(path, digest)
    except ValueError as error:
        raise OSError(errno.ESTALE, str(error), path) from error


def loader_value(names: bytes, path: bytes, content: bytes) -> bytes:
    """Value of LOADER; `content` is that of CONTENT.  Raises OSError if the file changes."""
    cache = _loader_cache(path, content)
    return content if cache is None else cache.value(names)


def loader_directories(path: bytes, content: bytes) -> frozenset[bytes]:
    """Those that hold the libraries of the loader's cache.  Raises OSError as `loader_value`."""
    cache = _loader_cache(path, content)
    return frozenset() if cache is None else cache.directories


def interfaces_value() -> bytes:
    """Value of INTERFACES now.  Raises OSError."""
    from pcache.linux import interfaces

    return interfaces.interfaces_value()


def cgroups_value() -> bytes:
    """Value of CGROUPS now.  Raises OSError."""
    from pcache.linux import cgroups

    return cgroups.cgroups_value()


def socket_value(path: bytes) -> bytes:
    """Value of SOCKET now."""
    import _socket

    from pcache.linux.addresses import INET

    family, form, protocol, *bound = path.split(b":")
    try:
        made = _socket.socket(int(family), int(form) | os.O_CLOEXEC, int(protocol))
        try:
            for address in map(bytes.fromhex, map(bytes.decode, bound)):
                if int(family) == INET:
                    made.bind((_socket.inet_ntoa(address[4:8]), 0))
                else:
                    host = _socket.inet_ntop(_socket.AF_INET6, address[8:24])
                    scope = int.from_bytes(address[24:28], "little")
                    made.bind((host, 0, int.from_bytes(address[4:8], "big"), scope))
        finally:
            made.close()
    except OSError as error:
        return error_value(error.errno)
    return OK


def shown_times(path: bytes, *, follow: bool) -> bytes:
    """Value of TIMES or LTIMES now."""
    try:
        return times_value(os.stat(path, follow_symlinks=follow))
    except OSError as error:
        return error_value(error.errno)


def with_size(exists: bytes, path: bytes, *, follow: bool) -> bytes:
    """Value of SIZE or LSIZE now; `exists`: that of EXISTS or LEXISTS."""
    if exists[:1] != b"f":
        return exists
    try:
        return size_value(os.stat(path, follow_symlinks=follow))
    except OSError as error:
        return error_value(error.errno)


def version_value(inode: int, ctime_ns: int) -> bytes:
    """Value of VERSION."""
    return b"v%d %d" % (inode, ctime_ns)


def shown_version(path: bytes, *, follow: bool) -> bytes:
    """Value of VERSION or LVERSION now."""
    try:
        st = os.stat(path, follow_symlinks=follow)
    except OSError as error:
        return error_value(error.errno)
    return version_value(st.st_ino, st.st_ctime_ns)


def relative_times(path: bytes) -> bytes:
    """Value of ORDER now."""
    files = order_files(path)
    try:
        times = [os.stat(file).st_mtime_ns for file, _ in files]
    except OSError as error:
        return error_value(error.errno)
    return order_value(times, [decisive for _, decisive in files])


def latest_time(path: bytes) -> bytes:
    """Value of NOT_NEWER now."""
    mtime_ns, files = not_newer_files(path)
    try:
        return not_newer_value(mtime_ns, [os.stat(file).st_mtime_ns for file in files])
    except OSError as error:
        return error_value(error.errno)


OF_TIMES: dict[bytes, Callable[[object, bytes], bytes]] = {
    Kind.TIMES: lambda _, path: shown_times(path, follow=True),
    Kind.LTIMES: lambda _, path: shown_times(path, follow=False),
    Kind.VERSION: lambda _, path: shown_version(path, follow=True),
    Kind.LVERSION: lambda _, path: shown_version(path, follow=False),
    Kind.ORDER: lambda _, path: relative_times(path),
    Kind.NOT_NEWER: lambda _, path: latest_time(path),
}
"""How the kinds are evaluated that are about times."""


def marked(value: bytes, path: bytes, st: os.stat_result | None = None) -> bytes:
    """The value of a directory with a mark where something is mounted on it, which stat(2) shows by
    a device that is not its parent's; that of a device with one where the mount lets none be
    opened.  `st` is its state, if that is known."""
    letter = value[:1]
    try:
        if letter == b"d":
            if (st or os.stat(path)).st_dev != os.stat(path + b"/..").st_dev:
                return b"dm" + value[1:]
        elif letter in (b"c", b"b") and os.statvfs(path).f_flag & os.ST_NODEV:
            return letter + b"n" + value[1:]
    except OSError:
        pass  # it is gone, or nobody may look there
    return value


def absence(path: bytes, error: OSError) -> bytes:
    """Value for a path that is free to be created, if it is: its directory must be there."""
    value = error_value(error.errno)
    return OK if value == ABSENT and os.path.isdir(os.path.dirname(path)) else value


def stream_value(path: bytes, fds: FdView) -> bytes:
    """Value of STREAM now."""
    number, _, path = path.partition(b":")
    try:
        same = os.path.samestat(os.stat(path), fds.status(int(number)))
    except OSError:
        same = False
    return OK if same else error_value(0)


def others(path: bytes) -> bytes:
    """Value of OTHERS now."""
    names, directory = others_names(path)
    try:
        return others_value(entries_of(directory), names)
    except OSError as error:
        return error_value(error.errno)


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
