"""The recorder's events decoded: the user-space side of bpf/layout.h.

A build repeats the same accesses in every process, so the part of a record that is equal for equal
accesses (its body) is decoded once and found again by its bytes.
"""

from __future__ import annotations

import os
import struct

from pcache.linux.addresses import INET, MAPPED
from pcache.linux.user_namespace import owner_maps, seen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# enum event_type
CALL, FORK, EXEC, EXIT, DATA, FDS, ARGS, FOREIGN, ENTRY = range(1, 10)
SHORTAGE, SIGNAL, ABSENT, PRIVILEGED = range(10, 14)
# enum section_kind
_ARGS, _PATH, _PATH2, _BASE, _BASE2, _FILE, _FILE2, _STAT, _STAT2, _OUT, _HANDLE, _HANDLE2 = range(
    1, 13
)
_ENDPOINT = 13
# enum event_flags
LOST, FAULT, TRUNCATED, INHERITED, LOADER = 1, 2, 4, 8, 16
# enum walk_end
WALK_ROOT, WALK_FAULT, WALK_TRUNCATED, WALK_DELETED = 1, 8, 16, 32
# enum stamp_state
_QUERIED, _WRITERS = 1, 2

HEADER = struct.Struct("<QQQqIIHHHH")
"""ts, image, aux, ret, tgid, tid, err, type, nr, flags (struct event)."""
BRIEF = struct.Struct("<Q24xI6xH")
"""ts, tgid and type of the same."""
BODY = 40
"""Offset of err: the body of a record starts here."""
NUMBER = 44
"""Offset of nr; its low byte comes first."""
FLAGS = 46
_WHAT = struct.Struct("<4H")
_SECTION = struct.Struct("<HH")
_STAMP = struct.Struct("<QqqqIIIIIIIIIIII")
_HANDLE_FORMAT = struct.Struct("<QqII")
_ENDPOINT_FORMAT = struct.Struct("<16s16sHHHHHHI")
_STATUS = struct.Struct("<I")
_TID, _TID_AT = struct.Struct("<I"), 36
_UNREADABLE = 0xFFFF
_WORDS = [struct.Struct(f"<{count}Q") for count in range(7)]
"""As many arguments as a call has."""
_STAT_KIND = struct.pack("<H", _STAT)
_STAMP_END = HEADER.size + _SECTION.size + _STAMP.size
_OWNER_MAPS = owner_maps()


_devices: dict[int, int] = {}


def _device(number: int) -> int:
    """As stat(2) gives it."""
    device = _devices.get(number)
    if device is None:
        device = _devices[number] = os.makedev(number >> 20, number & 0xFFFFF)
    return device


def owner(uid: int, gid: int) -> tuple[int, int]:
    """User and group as the kernel keeps them, as this process sees them."""
    if _OWNER_MAPS is None:
        return uid, gid
    users, groups = _OWNER_MAPS
    return seen(uid, users), seen(gid, groups)


class Stamp:
    """The version of a file as the kernel saw it (struct stamp).

    The names and meanings of os.stat_result, so that `pcache.values` makes values of it, and what
    struct file and the super block add: `f_flags`, `f_mode`, `magic`, `queried` (the next
    change is sure to show in its times), `writers` (somebody had it open for writing).
    """

    __slots__ = (
        "f_flags", "f_mode", "known", "magic", "queried", "st_ctime_ns", "st_dev", "st_gid",
        "st_ino", "st_mode", "st_mtime_ns", "st_nlink", "st_rdev", "st_size", "st_uid", "writers",
    )  # fmt: skip

    def __init__(self, data: bytes, at: int = 0) -> None:
        (
            self.st_ino,
            self.st_size,
            mtime_s,
            ctime_s,
            mtime_n,
            ctime_n,
            dev,
            self.st_mode,
            self.st_nlink,
            self.st_uid,
            self.st_gid,
            rdev,
            self.f_flags,
            self.f_mode,
            self.magic,
            state,
        ) = _STAMP.unpack_from(data, at)
        if _OWNER_MAPS is not None and self.f_mode:  # of an open file, not what stat(2) said
            self.st_uid, self.st_gid = owner(self.st_uid, self.st_gid)
        self.queried = state & _QUERIED
        self.writers = state & _WRITERS
        self.st_mtime_ns = mtime_s * 1_000_000_000 + mtime_n
        self.st_ctime_ns = ctime_s * 1_000_000_000 + ctime_n
        self.st_dev = _device(dev)
        self.st_rdev = _device(rdev) if rdev else 0
        self.known: Any = None
        """For whoever knows more of this version (Versions)."""

    def version(self) -> tuple[int, int, int, int]:
        """Inode, size and times: what `same_version` compares."""
        return self.st_ino, self.st_size, self.st_mtime_ns, self.st_ctime_ns

    def same_version(self, other: Stamp | os.stat_result, *, attributes_changed: bool) -> bool:
        """Whether the content is still the one seen (proc(5) inode numbers are ignored: `st_dev`
        of an overlay differs between kernel and user space, so the device is not compared).

        With `attributes_changed`, a change of mode or times known to be ours is let pass.
        """
        return (
            self.st_ino == other.st_ino
            and self.st_size == other.st_size
            and (attributes_changed or self.st_mtime_ns == other.st_mtime_ns)
            and (attributes_changed or self.st_ctime_ns == other.st_ctime_ns)
        )


def thread_of(record: bytes) -> int:
    """Its tid."""
    (tid,) = _TID.unpack_from(record, _TID_AT)
    return int(tid)


def stamp_of_read(record: bytes) -> Stamp | None:
    """The stamp of a record, if it is the event of a read(2) of a small file as a whole and has no
    flags: nothing but that comes before the name."""
    if (
        len(record) < _STAMP_END
        or record[BODY : BODY + 2] != b"\0\0"
        or record[FLAGS : FLAGS + 2] != b"\0\0"
        or record[HEADER.size : HEADER.size + 2] != _STAT_KIND
    ):
        return None
    return Stamp(record, HEADER.size + _SECTION.size)


class Handle:
    """An open file description: equal `file` means the same one, `pos` its offset afterwards,
    `fd` the number by which it was meant (2**32 - 1: none)."""

    __slots__ = ("fd", "file", "pos")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.file, self.pos, self.fd, _ = _HANDLE_FORMAT.unpack_from(data, at)


class Endpoint:
    """A socket: what it is, and its own and the other end's address, 16 bytes (IPv4 as IPv6 maps
    it; of unix sockets which ones they are), and port; zeros where there is none."""

    __slots__ = ("family", "local", "protocol", "remote", "type")

    def __init__(self, data: bytes, at: int = 0) -> None:
        local, remote, self.family, self.type, self.protocol, local_port, remote_port, _, _ = (
            _ENDPOINT_FORMAT.unpack_from(data, at)
        )
        if self.family == INET:
            local, remote = MAPPED + local[:4], MAPPED + remote[:4]
        self.local: tuple[bytes, int] = (local, local_port)
        self.remote: tuple[bytes, int] = (remote, remote_port)


class Body:
    """The sections of an event; None for those it does not have.

    `path` and `path2` are absolute (joined to their base, not normalised), or None when the string
    or its base could not be read; `file` and `file2` are canonical, None when the file has no name
    under the task's root (pipes, sockets, deleted files: `detached` / `deleted` tell which).
    """

    __slots__ = (
        "args", "base", "cache", "deleted", "endpoint", "err", "file", "file2", "flags", "handle",
        "handle2", "homeless", "nr", "out", "path", "path2", "raw_path", "raw_path2", "stamp",
        "stamp2", "type",
    )  # fmt: skip

    def __init__(self, record: bytes) -> None:
        self.err, self.type, self.nr, self.flags = _WHAT.unpack_from(record, BODY)
        self.args: tuple[int, ...] = ()
        self.path: bytes | None = None
        self.path2: bytes | None = None
        self.raw_path: bytes | None = None
        self.raw_path2: bytes | None = None
        self.file: bytes | None = None
        self.file2: bytes | None = None
        self.deleted = False
        self.homeless = False
        """The directory that a relative path starts from has been removed."""
        self.stamp: Stamp | None = None
        self.stamp2: Stamp | None = None
        self.out = b""
        self.handle: Handle | None = None
        self.handle2: Handle | None = None
        self.endpoint: Endpoint | None = None
        self.base: bytes | None = None
        self.cache: Any = None
        """For whoever works out what the body means (Accesses)."""
        base2 = None
        at, end = HEADER.size, len(record)
        while at + 4 <= end:
            kind, length = _SECTION.unpack_from(record, at)
            at += 4
            if length == _UNREADABLE:
                continue
            if kind == _ARGS:
                self.args = _WORDS[length // 8].unpack_from(record, at)
            elif kind == _PATH:
                self.raw_path = self.path = record[at : at + length - 1]
            elif kind == _PATH2:
                self.raw_path2 = self.path2 = record[at : at + length - 1]
            elif kind == _BASE:
                self.base, self.homeless = self._walk(record, at, length)
            elif kind == _BASE2:
                base2, homeless = self._walk(record, at, length)
                self.homeless |= homeless
            elif kind == _FILE:
                self.file, self.deleted = self._walk(record, at, length)
            elif kind == _FILE2:
                self.file2, _ = self._walk(record, at, length)
            elif kind == _STAT:
                self.stamp = Stamp(record, at)
            elif kind == _STAT2:
                self.stamp2 = Stamp(record, at)
            elif kind == _OUT:
                self.out = record[at : at + length]
            elif kind == _HANDLE:
                self.handle = Handle(record, at)
            elif kind == _HANDLE2:
                self.handle2 = Handle(record, at)
            elif kind == _ENDPOINT:
                self.endpoint = Endpoint(record, at)
            at += length
        self.path = _join(self.base, self.path)
        self.path2 = _join(base2, self.path2)

    def _walk(self, record: bytes, at: int, length: int) -> tuple[bytes | None, bool]:
        """(path or None, whether its name was unlinked): names come leaf first, each ended by NUL.

        A way that was not followed to its end makes the event one of FLAG_TRUNCATED.
        """
        (status,) = _STATUS.unpack_from(record, at)
        if status & (WALK_FAULT | WALK_TRUNCATED):
            self.flags |= TRUNCATED
        if not status & WALK_ROOT:
            return None, bool(status & WALK_DELETED)
        names = record[at + 4 : at + length]
        leaf = names.find(b"\0")
        if leaf < 0:
            return b"/", bool(status & WALK_DELETED)
        return _below(names[leaf + 1 :]) + names[:leaf], bool(status & WALK_DELETED)


_MOST_DIRECTORIES = 1 << 12
_directories: dict[bytes, bytes] = {}


def _below(names: bytes) -> bytes:
    """Path of a directory with a slash at its end, of its names: leaf first, each ended by NUL."""
    path = _directories.get(names)
    if path is None:
        if len(_directories) >= _MOST_DIRECTORIES:
            _directories.clear()
        parts = names.split(b"\0")
        parts.reverse()
        path = _directories[names] = b"/".join(parts) + b"/"
    return path


def _join(base: bytes | None, path: bytes | None) -> bytes | None:
    if path is None or path.startswith(b"/"):
        return path
    if base is None:
        return None
    if not path:
        return base
    return base + path if base == b"/" else base + b"/" + path


class Descriptor:
    """One descriptor of a new image."""

    __slots__ = ("fd", "handle", "stamp")

    def __init__(self, data: bytes, at: int) -> None:
        self.handle = Handle(data, at)
        self.fd = self.handle.fd
        self.stamp = Stamp(data, at + _HANDLE_FORMAT.size)


DESCRIPTOR_SIZE = _HANDLE_FORMAT.size + _STAMP.size


def descriptors(record: bytes) -> list[Descriptor]:
    """The content of an FDS event."""
    last = len(record) - DESCRIPTOR_SIZE
    return [Descriptor(record, at) for at in range(HEADER.size, last + 1, DESCRIPTOR_SIZE)]


_MOST_KNOWN = 1 << 14


class Decoder:
    """Decodes bodies, each distinct one of the last thousands once.

    Bodies with a handle hold addresses and offsets, hardly ever repeat, and are not kept.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, Body] = {}

    def body(self, record: bytes) -> Body:
        """The body of a record."""
        body = record[BODY:]
        return self.known(body) or self.new(record, body)

    def known(self, body: bytes) -> Body | None:
        """The body with these bytes, if there was one before."""
        return self._known.get(body)

    def new(self, record: bytes, body: bytes) -> Body:
        """The body of a record of which it is not known: `body` is where it begins there."""
        decoded = Body(record)
        if decoded.handle is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[body] = decoded
        return decoded


def records(blob: bytes) -> list[tuple[int, int]]:
    """Where the records begin and end in a run of complete ring records."""
    found = []
    at, end, header = 0, len(blob), struct.Struct("<I").unpack_from
    while at < end:
        (word,) = header(blob, at)
        length = word & 0x3FFFFFFF
        if not word & 0x40000000:  # BPF_RINGBUF_DISCARD_BIT
            found.append((at + 8, at + 8 + length))
        at += (length + 15) & ~7
    return found
