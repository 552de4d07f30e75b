"""Mount namespaces and overlays, by ctypes.  Every function raises OSError."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

# linux/sched.h, linux/mount.h, linux/fcntl.h
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_BIND = 4096
_MS_REC = 16384
_MS_PRIVATE = 1 << 18
_SYS_MOUNT_SETATTR = 442
"""Linux 5.12."""
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 1
_MOUNT_ATTR_BYTES = 32


def leave_namespace(uid: int, gid: int) -> None:
    """From now on what this process mounts is its own affair.

    Without root that takes a user namespace, in which no other user and group exist.
    """
    if os.geteuid() == 0:
        _check(_libc.unshare(_CLONE_NEWNS))
    else:
        _check(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWUSER))
        for name, line in (
            ("setgroups", "deny"),  # user_namespaces(7): else no gid_map may be written
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(line)
    _mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)


def overlay(place: bytes, lower: bytes, upper: bytes, work: bytes) -> None:
    """Mounts at `place` a view of `lower` whose changes go to `upper`."""
    options = b"lowerdir=%b,upperdir=%b,workdir=%b" % tuple(map(_escaped, (lower, upper, work)))
    # trusted.* attributes are for root; without them nothing can be left out of a copy either.
    options += b",metacopy=off" if os.geteuid() == 0 else b",userxattr"
    _mount(b"overlay", place, b"overlay", 0, options)


def temporary(place: bytes) -> None:
    """An empty file system at `place`."""
    _mount(b"tmpfs", place, b"tmpfs", 0, b"mode=755")


def bind(source: bytes, place: bytes) -> None:
    """What is at `source`, with everything mounted below, at `place` too."""
    _mount(source, place, None, _MS_BIND | _MS_REC, None)


def make_read_only(place: bytes) -> None:
    """Nothing at `place` or mounted below can be changed through it.  (Devices can be used.)"""
    attributes = (ctypes.c_uint64 * (_MOUNT_ATTR_BYTES // 8))(_MOUNT_ATTR_RDONLY)
    _check(
        _libc.syscall(
            ctypes.c_long(_SYS_MOUNT_SETATTR),
            ctypes.c_long(_AT_FDCWD),
            place,
            ctypes.c_long(_AT_RECURSIVE),
            ctypes.byref(attributes),
            ctypes.c_long(_MOUNT_ATTR_BYTES),
        )
    )


def mount_points() -> list[bytes]:
    """Where something is mounted, in this process's namespace."""
    with open("/proc/self/mountinfo", "rb") as file:
        return [_unescaped(line.split(b" ")[4]) for line in file]


def _mount(
    source: bytes, place: bytes, kind: bytes | None, flags: int, options: bytes | None
) -> None:
    _check(_libc.mount(source, place, kind, ctypes.c_ulong(flags), options), place)


def _check(result: int, place: bytes | None = None) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), place)


def _escaped(path: bytes) -> bytes:
    """For an option of overlayfs (fs/overlayfs/params.c)."""
    for special in (b"\\", b",", b":"):
        path = path.replace(special, b"\\" + special)
    return path


def _unescaped(path: bytes) -> bytes:
    """From mountinfo, which writes blanks and backslashes in octal: proc(5)."""
    first, *rest = path.split(b"\\")
    return first + b"".join([bytes((int(part[:3], 8),)) + part[3:] for part in rest])
