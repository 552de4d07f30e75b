"""What files have beside content and mode: whether one is as a new one in its place would be."""

from __future__ import annotations

import fcntl
import os
from stat import S_ISDIR, S_ISGID, S_ISREG

_FS_IOC_GETFLAGS = 0x80086601
_FLAGS = 0x028000FF
"""Of linux/fs.h, those that somebody sets: FS_SECRM_FL to FS_NOATIME_FL, FS_NOCOW_FL, FS_DAX_FL."""
_DEFAULT_ACL = "system.posix_acl_default"
_OF_THE_SYSTEM = frozenset({"security.selinux", "security.SMACK64"})
"""Labels that the kernel gives to every file."""
_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def new_gid(directory: os.stat_result, gid: int) -> int:
    """The group of what a process of the effective group `gid` makes in a directory."""
    return directory.st_gid if directory.st_mode & S_ISGID else gid


def is_plain(path: bytes, st: os.stat_result, gid: int) -> bool:
    """Whether what is at `path` (lstat gave `st`) has nothing that a new file there, of a process
    of the group `gid`, would not have: other names, another group, attributes, flags.

    Raises OSError."""
    if S_ISREG(st.st_mode) and st.st_nlink != 1:
        return False
    directory = os.path.dirname(path)
    if st.st_gid != new_gid(os.stat(directory), gid):
        return False
    if has_attributes(path):
        return False
    if not (S_ISREG(st.st_mode) or S_ISDIR(st.st_mode)):
        return True
    return _flags(path) == _flags(directory)


def has_attributes(file: bytes | int) -> bool:
    """Whether there are extended attributes, an access control list among them, of what is at a
    path itself or open."""
    try:
        names = os.listxattr(file, follow_symlinks=isinstance(file, int))
    except OSError:
        return False  # the file system has none
    return not _OF_THE_SYSTEM.issuperset(names)


def default_acl(directory: bytes) -> bytes:
    """The access control list that is given to what is made in a directory; empty for none."""
    try:
        return os.getxattr(directory, _DEFAULT_ACL)
    except OSError:
        return b""


def _flags(path: bytes) -> int:
    """Those that chattr(1) sets; 0 where the file system has none."""
    file = os.open(path, _LOOK)
    try:
        answer = fcntl.ioctl(file, _FS_IOC_GETFLAGS, bytes(8))
    except OSError:
        return 0
    finally:
        os.close(file)
    return int.from_bytes(answer[:4], "little") & _FLAGS
