"""File systems whose files' sizes and times cannot be relied on.

Some make up the content of a file as it is read: a control file of a cgroup keeps size 0 and the
time at which the group was made, whatever is written to it.  Others are changed by somebody else
than the kernel, which asks for size and times again only from time to time: what a program reads
may be newer than what stat(2) says.
"""

from __future__ import annotations

import os
from select import POLLPRI, poll

MADE_UP, LAGGING, OVERLAY, ORDINARY, EXACT = range(5)
"""OVERLAY: who has a file mapped for writing, and its descriptor closed, is not to be known, as the
mapping is of another file below (fs/overlayfs/file.c, ovl_mmap).  EXACT: what is more, each change
of a directory shows in its times (devpts has others), and those of a file are exact where the
kernel can (`pcache.linux.stamps.are_exact`)."""

_MADE_UP_TYPES = frozenset(
    b"proc sysfs cgroup cgroup2 debugfs tracefs securityfs configfs bpf pstore efivarfs selinuxfs"
    b" smackfs binfmt_misc mqueue resctrl nfsd fuse.lxcfs".split()
)

MAGICS = frozenset(
    {
        *(0x9FA0, 0x62656572, 0x27E0EB, 0x63677270),  # proc, sysfs, cgroup, cgroup2
        *(0x64626720, 0x74726163, 0x73636673, 0x62656570),  # debugfs, tracefs, securityfs, configfs
        *(0xCAFE4A11, 0x6165676C, 0xDE5E81E4, 0xF97CFF8C),  # bpf, pstore, efivarfs, selinuxfs
        *(0x43415D53, 0x42494E4D, 0x19800202, 0x7655821),  # smackfs, binfmt_misc, mqueue, resctrl
    }
)
"""Of statfs(2) and of the kernel's super blocks (linux/magic.h; ipc/mqueue.c)."""


_LAGGING_TYPES = frozenset(
    b"fuse fuseblk virtiofs nfs nfs4 cifs smb3 9p ceph afs lustre beegfs gpfs".split()
)

_EXACT_TYPES = frozenset(b"ext4 xfs tmpfs".split())
"""FS_MGTIME, which btrfs has too, but its device numbers are not those of mounts.  Measured with
5,000 changes of each kind, each just after a look: none left a file's ctime as it was.  That of a
directory of tmpfs was left by half of them, as unlink(2) gives it the file's (mm/shmem.c)."""

_OVERLAY_TYPES = frozenset((b"overlay", b"overlayfs", b"aufs", b"unionfs"))
OVERLAY_MAGICS = frozenset((0x794C7630, 0x61756673, 0xF15F083D))
"""overlayfs (linux/magic.h), aufs, unionfs."""

_AT_FDCWD, _AT_EMPTY_PATH, _AT_STATX_FORCE_SYNC = -100, 0x1000, 0x2000
_STATX_BASIC_STATS, _STATX_MNT_ID_UNIQUE = 0x7FF, 0x4000
_STATX_BYTES = 256
_STATX_MASK_BYTES, _STATX_MNT_ID = 4, 0x90
_STATFS_BYTES, _WORD_BYTES = 256, 8


def devices() -> dict[int, int]:
    """For the device number of each mount of this process: its kind, MADE_UP to EXACT.

    Device numbers as in stat(2), which on btrfs gives others than are listed; empty without /proc.
    """
    try:
        with open("/proc/self/mountinfo", "rb", buffering=0) as file:
            lines = file.readall().splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        mount, _, source = line.partition(b" - ")  # proc_pid_mountinfo(5)
        major, _, minor = mount.split(b" ", 3)[2].partition(b":")
        found[os.makedev(int(major), int(minor))] = _kind(source.split(b" ", 1)[0])
    return found


def _kind(name: bytes) -> int:
    if name in _MADE_UP_TYPES:
        return MADE_UP
    if name in _LAGGING_TYPES or name.startswith(b"fuse."):
        return LAGGING
    if name in _OVERLAY_TYPES:
        return OVERLAY
    return EXACT if name in _EXACT_TYPES else ORDINARY


def synchronise(file: bytes | int) -> None:
    """Has the kernel ask for size and times of a file, by path or descriptor, so that stat(2) tells
    them as they are (AT_STATX_FORCE_SYNC of statx(2)).  Raises OSError."""
    _statx(file, _AT_STATX_FORCE_SYNC, _STATX_BASIC_STATS)


def mount_number(file: bytes | int) -> int | None:
    """A number of the mount that a file is on, which no other mount has had or will have until the
    machine is restarted (STATX_MNT_ID_UNIQUE, Linux 6.8); None on older kernels.  Raises OSError.
    """
    found = _statx(file, 0, _STATX_MNT_ID_UNIQUE)
    if not int.from_bytes(found[:_STATX_MASK_BYTES], "little") & _STATX_MNT_ID_UNIQUE:
        return None
    return int.from_bytes(found[_STATX_MNT_ID : _STATX_MNT_ID + _WORD_BYTES], "little")


class MountWatch:
    """Tells whether anything was mounted or unmounted where this process is (its namespace)."""

    def __init__(self) -> None:
        """Raises OSError without /proc."""
        self._file = open("/proc/self/mountinfo", "rb", buffering=0)  # noqa: SIM115
        self._poll = poll()
        self._poll.register(self._file, POLLPRI)

    def changed(self) -> bool:
        """Whether it was since the last call, or the first look (proc_pid_mountinfo(5)): 1 us."""
        return bool(self._poll.poll(0))


def is_on_overlay(fd: int) -> bool:
    """Whether an open file is of an OVERLAY, whose files may have the device numbers of others.
    Raises OSError."""
    import ctypes

    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    if ctypes.CDLL(None, use_errno=True).fstatfs(fd, buffer):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int.from_bytes(buffer.raw[:_WORD_BYTES], "little") in OVERLAY_MAGICS


def _statx(file: bytes | int, flags: int, mask: int) -> bytes:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    directory, path = (file, b"") if isinstance(file, int) else (_AT_FDCWD, file)
    flags |= _AT_EMPTY_PATH if isinstance(file, int) else 0
    buffer = ctypes.create_string_buffer(_STATX_BYTES)
    if libc.statx(directory, path, flags, mask, buffer):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return buffer.raw
