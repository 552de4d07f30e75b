"""Whether what is found at a path is what made the kernel refuse a call on it.

A refusal that nothing here explains may have been somebody's rule of the moment: a sysctl, a
security module, a quota.
"""

from __future__ import annotations

import errno
import os
from stat import S_ISSOCK

from pcache.linux.permissions import READ, SEARCH, WRITE, Permission

_EXECUTING = frozenset({"execve", "execveat"})
_OPENING = frozenset({"open", "creat", "openat", "openat2"})
_ACCESS = frozenset({"access", "faccessat", "faccessat2"})
_MAKING_NODES = frozenset({"mknod", "mknodat"})
_LINKING = frozenset({"link", "linkat"})
_NAMING = frozenset(
    (
        *("unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "rename", "renameat", "renameat2"),
        *("symlink", "symlinkat", "bind", *_MAKING_NODES, *_LINKING),
    )
)
_OWNERS = frozenset(
    ("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat", "utimensat")
)
_ROOTS = frozenset(("chown", "lchown", "fchown", "fchownat", *_MAKING_NODES))
"""What users may not do even with what is their own."""
OWNER = 8
"""Beside the rights of access(2): it has to be its owner."""
_RIGHTS = OWNER - 1
_TOLD_BY_PLACE = frozenset(
    {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY, errno.ENODATA, errno.ERANGE, errno.E2BIG}
)
"""What file system it is and what is there decide, and the call's arguments."""


def explains(call: str, number: int, found: Permission, uid: int, wanted: int) -> bool:
    """Whether a call of the user `uid` must fail with this errno where that is found.

    `wanted`: rights (R_OK, W_OK, X_OK, OWNER) it needs of an existing file.
    """
    if number == errno.EROFS:
        return found.read_only
    if number == errno.EACCES:
        return _denied(call, found, wanted)
    if number == errno.EPERM:
        return _not_permitted(call, found, uid, wanted)
    return number in _TOLD_BY_PLACE


def crosses_mounts(one: Permission, other: Permission, *, linking: bool) -> bool:
    """Whether rename(2) or link(2) from one to the other must fail with EXDEV."""
    source = one.target if linking and not one.target.error else one.parent
    return source.mount != other.parent.mount


def _denied(call: str, found: Permission, wanted: int) -> bool:
    if call in _EXECUTING:
        return found.target.refuses_execution()
    if call in _NAMING:
        # A directory that moves is given another parent, which is written into it.
        moves = call.startswith("rename") and found.target.is_directory
        return found.parent.refuses(WRITE | SEARCH) or (moves and found.target.refuses(WRITE))
    if call in _OPENING and not found.exists:
        return found.parent.refuses(WRITE | SEARCH)
    if call in _OPENING:
        return found.target.refuses(wanted & _RIGHTS) or found.target.refuses_device()
    if call in _ACCESS:
        return found.target.refuses(wanted & _RIGHTS)
    if call == "chdir":
        return found.target.refuses(SEARCH)
    right = READ if "getxattr" in call else WRITE
    return found.target.refuses(right)


def _not_permitted(call: str, found: Permission, uid: int, wanted: int) -> bool:
    if found.fixed or (uid != 0 and call in _ROOTS):
        return True
    if call in _NAMING:
        return found.sticky(uid) or (call in _LINKING and found.target.is_directory)
    return (call in _OWNERS or bool(wanted & OWNER)) and uid not in (0, found.target.uid)


def is_socket(path: bytes) -> bool:
    """Whether it is one, which nobody can open."""
    try:
        return S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
