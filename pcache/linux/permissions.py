"""What the kernel goes by when it permits or refuses a call on a path, as far as it can be asked.

Mode, owner, groups and access control lists are asked by access(2), with the effective ids of this
process; mount options and inode flags stand beside them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from stat import S_ISBLK, S_ISCHR, S_ISDIR, S_ISREG, S_ISVTX

_libc = ctypes.CDLL(None, use_errno=True)

READ, WRITE, SEARCH = os.R_OK, os.W_OK, os.X_OK

# linux/stat.h and linux/fcntl.h
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW = -100, 0x100
_STATX_BASIC_STATS, _STATX_MNT_ID = 0x7FF, 0x1000
_ATTRIBUTES_AT, _OWNER_AT, _MOUNT_AT, _STATX_BYTES = 8, 20, 144, 256
_IMMUTABLE, _APPEND = 0x10, 0x20

# linux/statfs.h
_RDONLY, _NODEV, _NOEXEC = 1, 4, 8
_MOUNT_FLAGS = 15  # and ST_NOSUID


class Place:
    """What is at a path; `error` is the errno of looking there, 0 for none."""

    __slots__ = ("attributes", "error", "flags", "granted", "mode", "mount", "type", "uid", "gid")

    def __init__(self, path: bytes, *, follow: bool = True) -> None:
        """The user of this process asks."""
        self.error = self.attributes = self.mode = self.uid = self.gid = 0
        self.granted = self.flags = 0
        self.mount = self.type = b""
        status = ctypes.create_string_buffer(_STATX_BYTES)
        nofollow = 0 if follow else _AT_SYMLINK_NOFOLLOW
        mask = _STATX_BASIC_STATS | _STATX_MNT_ID
        if _libc.statx(_AT_FDCWD, path, nofollow, mask, status):
            self.error = ctypes.get_errno()
            return
        (self.attributes,) = struct.unpack_from("<Q", status, _ATTRIBUTES_AT)
        self.uid, self.gid, self.mode = struct.unpack_from("<IIH", status, _OWNER_AT)
        (number,) = struct.unpack_from("<Q", status, _MOUNT_AT)
        self.attributes &= _IMMUTABLE | _APPEND
        if follow:
            self.granted = sum(
                right
                for right in (READ, WRITE, SEARCH)
                if os.access(path, right, effective_ids=True)
            )
            try:
                self.flags = os.statvfs(path).f_flag & _MOUNT_FLAGS
                self.mount, self.type = _mount(number)
            except OSError as error:
                self.error = error.errno or errno.EIO

    def __bytes__(self) -> bytes:
        if self.error:
            return b"!%d" % self.error
        return b"%o:%d:%d rights %o attributes %x mount %x %b at %b" % (
            *(self.mode, self.uid, self.gid, self.granted, self.attributes, self.flags),
            *(self.type, self.mount),
        )

    @property
    def read_only(self) -> bool:
        return bool(self.flags & _RDONLY)

    @property
    def fixed(self) -> bool:
        """Whether it is immutable or may only be appended to."""
        return bool(self.attributes)

    def refuses(self, right: int) -> bool:
        """Whether it does not grant all of `right`, for what access(2) would say EACCES of."""
        return not self.error and self.granted & right != right

    def refuses_device(self) -> bool:
        """Whether it is a device where the mount lets none be opened."""
        return bool(self.flags & _NODEV) and (S_ISCHR(self.mode) or S_ISBLK(self.mode))

    def refuses_execution(self) -> bool:
        """Whether execve(2) says EACCES of it."""
        if self.error:
            return False
        return not S_ISREG(self.mode) or bool(self.flags & _NOEXEC) or not self.granted & SEARCH

    @property
    def is_directory(self) -> bool:
        return S_ISDIR(self.mode)


class Permission:
    """Of a path: what is there, where a final link leads, and the directory that it is in."""

    __slots__ = ("itself", "parent", "target")

    def __init__(self, path: bytes) -> None:
        self.itself = Place(path, follow=False)
        self.target = Place(path)
        self.parent = Place(os.path.dirname(path.rstrip(b"/")) or b"/")

    def __bytes__(self) -> bytes:
        """All of it; never that of something absent."""
        return b"p%b; %b; in %b" % (bytes(self.itself), bytes(self.target), bytes(self.parent))

    @property
    def exists(self) -> bool:
        return not self.itself.error

    @property
    def read_only(self) -> bool:
        return self.target.read_only or self.parent.read_only

    @property
    def fixed(self) -> bool:
        return self.itself.fixed or self.target.fixed or self.parent.fixed

    def sticky(self, uid: int) -> bool:
        """Whether `uid` may remove nothing of others from its directory, and it is of another."""
        ours = uid in (0, self.itself.uid, self.parent.uid)
        return bool(self.exists and self.parent.mode & S_ISVTX) and not ours


def _mount(number: int) -> tuple[bytes, bytes]:
    """Mount point and file system type of a mount, by its id.  Raises OSError."""
    with open(b"/proc/self/mountinfo", "rb") as file:
        for line in file:
            # proc(5): id, parent, device, root, mount point, options, fields, "-", type.
            if line.startswith(b"%d " % number):
                head, _, tail = line.partition(b" - ")
                return head.split(b" ")[4], tail.split(b" ")[0]
    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
