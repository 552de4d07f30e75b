"""Values of facts: what can be observed about a path, in bytes that are compared as they are.

Forms of values (numbers in octal where they are permission bits, else decimal):

| value | of which kinds | meaning |
| --- | --- | --- |
| `-` | all | nothing there: ENOENT |
| `!N` | all | looking fails with another errno N |
| `fMODE:UID:GID:DIGEST` | content | regular file and its content (16 raw bytes) |
| `fMODE:UID:GID+N:DIGEST` | content | the same, of one that has N > 1 names |
| `fMODE:UID:GID~D:DIGEST` | content | the same (`+N` too), with holes that have this digest |
| `fMODE:UID:GID:!N` | content | regular file that we may not read (EACCES, EPERM) |
| `fMODE:UID:GID` | existence | regular file |
| `fMODE:UID:GID:SIZE` | SIZE, LSIZE | the same (`+N` too) |
| `dMODE:UID:GID` | content, existence | directory |
| `dm...` | both | directory that is a mount point |
| `lTARGET` | nofollow kinds | symbolic link |
| `lLENGTH` | LINK | symbolic link with a target of that many bytes |
| `pMODE:UID:GID`, `sMODE:UID:GID` | content, existence | fifo, socket |
| `cMODE:UID:GID:MAJ:MIN`, `bMODE:...` | content, existence | device |
| `cn...`, `bn...` | both | device that may not be opened where it is (a mount with nodev) |
| `LDIGEST` | LISTING, OTHERS, NUMBERED | names and types in a directory (SHA-256) |
| `LDIGEST` | NAMES | names in a directory (SHA-256) |
| `ok` | those that `model.Kind` says it of | |
| `gGID:DIGEST` | DEFAULTS | group, SHA-256 of the default access control list (each or none) |
| `r`, `w` | UNLOCKED | somebody holds a lock for reading, for writing |
| `tNS UID GID N` | TIMES, LTIMES | modification time, owner, number of names (1 for a directory) |
| `tNS UID GID N` | INPUT_TIMES | the same |
| `vINODE NS` | VERSION, LVERSION | inode number, time of change |
| `mN N ...` | ORDER | for each file, how many of the decisive times are earlier than its own |
| `XNAMES` | XATTRS, LXATTRS | names of extended attributes, each ended by NUL |
| numbers, bytes of a structure | TRAIT | `pcache.linux.descriptors.FdView.trait` |
| `p...` | PERMISSION | see `pcache.linux.permissions` |
| a path | BASE | |
| `=...` | ONE | groups of paths that lead to one file, see `grouped_value` |
| `CDIGEST` | LOADER | entries of the cache |
| `GDIGEST` | CGROUPS | where they are mounted |
| `NDIGEST` | INTERFACES | what the kernel says, without what it counts |
| as in `Call.fds`; `KIND=N` | FD | kind of the descriptor; above 2 also which lower one it is |
| `qN:DIGEST` | PIPE | how many bytes come, and their digest |
| `iOFFSET:DIGEST` | INPUT | offset and whole content of the regular file |

`pcache.memo.facts` makes them of what is there now, the recorder of what its probes saw.
"""

from __future__ import annotations

import errno
import os
from _bisect import bisect_left
from stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK, S_ISGID

from xxhash import xxh3_128, xxh3_128_digest

from pcache.codec import join
from pcache.model import Kind
from pcache.sha256 import SIZE, sha256_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Protocol

    from pcache.model import Digest

    File = tuple[int, int] | bytes
    """Device and inode, in one way or another."""

    class Stat(Protocol):
        """What values are made of: an os.stat_result, or the same numbers from elsewhere."""

        @property
        def st_mode(self) -> int: ...
        @property
        def st_uid(self) -> int: ...
        @property
        def st_gid(self) -> int: ...
        @property
        def st_nlink(self) -> int: ...
        @property
        def st_size(self) -> int: ...
        @property
        def st_rdev(self) -> int: ...
        @property
        def st_mtime_ns(self) -> int: ...


PIPED = 1 << 24
"""How many bytes from a pipe are an input, at most: bpf/state.bpf.h."""
ABSENT = b"-"
OK = b"ok"
NO_ATTRIBUTES = b"X"
EMPTY = xxh3_128_digest(b"")
"""Digest of an empty file."""

_DIGEST_SIZES = (len(EMPTY), SIZE)
_BEFORE_DIGEST = {b"f": 3, b"i": 1}
"""How many colons, by the first letter of a value."""

FOLLOWING = (Kind.CONTENT, Kind.EXISTS, Kind.SIZE)
OF_FILES = (*FOLLOWING, Kind.LCONTENT, Kind.LEXISTS, Kind.LSIZE)

_LETTERS = {S_IFIFO: b"p", S_IFSOCK: b"s", S_IFCHR: b"c", S_IFBLK: b"b"}


def error_value(number: int | None) -> bytes:
    """Value of a fact when looking failed with this errno."""
    if number == errno.ENOENT:
        return ABSENT  # ENOTDIR is another message to most programs
    return b"!%d" % (number or 0)


def content_value(st: Stat, content: bytes, holes: bytes = b"") -> bytes:
    """Value of CONTENT or LCONTENT.

    `content` is the digest of a regular file, the target of a symbolic link, else ignored;
    `holes` what `holes_digest` says of a regular file.
    """
    if S_IFMT(st.st_mode) != S_IFREG:
        return exists_value(st, content)
    return b"%b%b:%b" % (_regular(st), holes and b"~" + holes, content)


def unreadable_value(st: Stat, number: int) -> bytes:
    """Value of CONTENT for a regular file that cannot be opened: errno EACCES or EPERM."""
    return b"%b:!%d" % (_regular(st), number)


def _regular(st: Stat) -> bytes:
    """What stat(2) tells of a regular file beside size, times and numbers: programs that look at
    it may show any of it, or go by it (cp, tar and du by the number of names)."""
    if st.st_nlink == 1:
        return b"f%o:%d:%d" % (st.st_mode & 0o7777, st.st_uid, st.st_gid)
    return b"f%o:%d:%d+%d" % (st.st_mode & 0o7777, st.st_uid, st.st_gid, st.st_nlink)


def content_of(value: bytes) -> bytes:
    """The digest in a value of CONTENT or INPUT; empty if there is none."""
    colons = _BEFORE_DIGEST.get(value[:1])
    digest = value.split(b":", colons)[-1] if colons else b""
    return digest if len(digest) in _DIGEST_SIZES else b""


def relinked(value: bytes, more: int) -> bytes:
    """A value of CONTENT or TIMES, of a file that had so many names more."""
    if value[:1] == b"t":
        head, _, names = value.rpartition(b" ")
        return b"%b %d" % (head, int(names) + more)
    if not _tells_names(value):
        return value
    head, count, tail = _names_in(value)
    count += more
    return b"%b%b%b" % (head, b"+%d" % count if count != 1 else b"", tail)


def without_names(value: bytes) -> bytes:
    """A value of CONTENT, if it is one, whatever the number of names."""
    if not _tells_names(value):
        return value
    head, _, tail = _names_in(value)
    return head + tail


def _tells_names(value: bytes) -> bool:
    return value[:1] == b"f" and value.count(b":") > 2


def _names_in(value: bytes) -> tuple[bytes, int, bytes]:
    """What comes before the number of names, that number, and what comes after it."""
    mode, uid, gid, digest = value.split(b":", 3)
    gid, tilde, holes = gid.partition(b"~")
    gid, _, names = gid.partition(b"+")
    return b":".join((mode, uid, gid)), int(names or b"1"), b"%b%b:%b" % (tilde, holes, digest)


def holes_digest(extents: Iterable[int]) -> bytes:
    """Of the offsets and ends of the pieces of a sparse file that hold data; printable."""
    return sha256_digest(b"".join([b"%d," % offset for offset in extents])).hex().encode()


def exists_value(st: Stat, target: bytes = b"") -> bytes:
    """Value of EXISTS or LEXISTS; `target` is that of a symbolic link."""
    kind = S_IFMT(st.st_mode)
    if kind == S_IFREG:
        return b"f%o:%d:%d" % (st.st_mode & 0o7777, st.st_uid, st.st_gid)
    if kind == S_IFDIR:
        return b"d%o:%d:%d" % (st.st_mode & 0o7777, st.st_uid, st.st_gid)
    if kind == S_IFLNK:
        return b"l" + target
    return _special_value(st)


def size_value(st: Stat) -> bytes:
    """Value of SIZE or LSIZE for a regular file."""
    return b"%b:%d" % (_regular(st), st.st_size)


def link_value(st: Stat) -> bytes:
    """Value of LINK for a symbolic link, whose size is the length of its target."""
    return b"l%d:%d:%d" % (st.st_size, st.st_uid, st.st_gid)


def _special_value(st: Stat) -> bytes:
    kind = S_IFMT(st.st_mode)
    value = b"%b%o:%d:%d" % (_LETTERS[kind], st.st_mode & 0o7777, st.st_uid, st.st_gid)
    if kind in (S_IFCHR, S_IFBLK):
        value += b":%d:%d" % (os.major(st.st_rdev), os.minor(st.st_rdev))
    return value


def times_value(st: Stat) -> bytes:
    """Value of TIMES: who publishes times shows owners and numbers of names too (ls -l, tar)."""
    names = 1 if S_IFMT(st.st_mode) == S_IFDIR else st.st_nlink
    return b"t%d %d %d %d" % (st.st_mtime_ns, st.st_uid, st.st_gid, names)


def listing_value(entries: Iterable[tuple[bytes, int]]) -> bytes:
    """Value of LISTING: (name, d_type as in getdents64(2)) pairs, with or without `.` and `..`."""
    ordered = sorted({(name, kind) for name, kind in entries if name not in (b".", b"..")})
    fields: list[bytes] = []
    for name, kind in ordered:
        fields += (name, b"%d" % kind)
    return b"L" + sha256_digest(join(fields))


def others_path(names: Iterable[bytes], path: bytes) -> bytes:
    """The path of an OTHERS fact: the names that do not count, in hexadecimal digits, and the
    directory."""
    return b"/".join(sorted(names)).hex().encode() + b":" + path


def others_names(path: bytes) -> tuple[frozenset[bytes], bytes]:
    """What was given to `others_path`."""
    digits, _, directory = path.partition(b":")
    return frozenset(bytes.fromhex(digits.decode()).split(b"/")), directory


def others_value(entries: Iterable[tuple[bytes, int]], names: frozenset[bytes]) -> bytes:
    """Value of OTHERS."""
    return listing_value(entry for entry in entries if entry[0] not in names)


def names_value(names: Iterable[bytes]) -> bytes:
    """Value of NAMES, with or without `.` and `..`."""
    return b"L" + sha256_digest(join(sorted(set(names) - {b".", b".."})))


def no_directory_value(value: bytes) -> bytes:
    """Value of NOT_DIRECTORY or LNOT_DIRECTORY, from that of EXISTS or LEXISTS."""
    if value == error_value(errno.ENOTDIR):
        return OK
    return value if value[:1] in (b"-", b"!", b"d") else OK


def may_be_one(kind: bytes, path: bytes, value: bytes) -> bool:
    """Whether a key with this value is about a file whose device and inode may be seen, and be
    those of another key's: not of one whose names are made up for each process."""
    return (
        kind in OF_FILES
        and value[:1] not in (b"-", b"!", b"l")
        and not path.startswith((b"/proc/", b"/sys/", b"/dev/fd/"))
    )


def one_path(unknown: Iterable[bytes]) -> bytes:
    """The path of a ONE fact."""
    return order_path((path, False) for path in sorted(unknown))


def one_value(files: Iterable[tuple[bytes, File]]) -> bytes:
    """Value of ONE: which paths lead to which file."""
    found: dict[File, list[bytes]] = {}
    for path, file in files:
        found.setdefault(file, []).append(path)
    return grouped_value([group for group in found.values() if len(group) > 1])


def grouped_value(groups: Iterable[list[bytes]]) -> bytes:
    """Value of ONE in another way: those paths that lead to the same file."""
    ordered = sorted(sorted(set(group)) for group in groups)
    flat = [(path, not at) for group in ordered if len(group) > 1 for at, path in enumerate(group)]
    return b"=" + order_path(flat)


def groups_of(value: bytes) -> list[list[bytes]]:
    """What was given to `grouped_value`."""
    groups: list[list[bytes]] = []
    for path, first in order_files(value[1:]):
        if first:
            groups.append([])
        groups[-1].append(path)
    return groups


def resolves_value(exists: bytes, name: bytes) -> bytes:
    """Value of RESOLVES: that of EXISTS, and the canonical name."""
    return exists + b">" + name


def input_value(offset: int, digest: Digest) -> bytes:
    """Value of INPUT: an inherited regular file read from `offset` on."""
    return b"i%d:%b" % (offset, digest)


def pipe_value(pieces: Iterable[bytes | memoryview]) -> bytes:
    """Value of PIPE: all that comes, piece by piece."""
    size = 0
    digest = xxh3_128()
    for piece in pieces:
        size += len(piece)
        digest.update(piece)
    return b"q%d:%b" % (size, digest.digest())


def replaceable_path(mode: int, path: bytes) -> bytes:
    """The path of a REPLACEABLE fact: `mode` is what the created file ends up with."""
    return b"%o:%b" % (mode, path)


def replaceable_value(mode: int, st: Stat, uid: int, target: bytes = b"") -> bytes:
    """Value of REPLACEABLE for something that is there (lstat); `uid` is the call's user.

    For an absent path it is OK in an existing directory, else ABSENT.
    """
    if st.st_mode == S_IFREG | mode and st.st_nlink == 1 and st.st_uid == uid:
        return OK
    return exists_value(st, target)


def defaults_value(st: Stat, acl: bytes) -> bytes:
    """Value of DEFAULTS for a directory with this default access control list."""
    gid = b"%d" % st.st_gid if st.st_mode & S_ISGID else b""
    if not (gid or acl):
        return OK
    return b"g%b:%b" % (gid, sha256_digest(acl) if acl else b"")


def order_path(files: Iterable[tuple[bytes, bool]]) -> bytes:
    """The path of an ORDER fact: files, and whether it matters which others are newer than it."""
    return b"".join(
        [b"%d%b%b" % (len(path), b"+" if decisive else b":", path) for path, decisive in files]
    )


def order_files(path: bytes) -> list[tuple[bytes, bool]]:
    """What was given to `order_path`."""
    files = []
    at = 0
    while at < len(path):
        end = at
        while path[end : end + 1].isdigit():
            end += 1
        after = end + 1 + int(path[at:end])
        files.append((path[end + 1 : after], path[end : end + 1] == b"+"))
        at = after
    return files


def order_value(times: Sequence[int], decisive: Sequence[bool]) -> bytes:
    """Value of ORDER for files with these modification times.

    One file is newer than a decisive one exactly if its number is the larger.
    """
    marks = sorted({time for time, flag in zip(times, decisive, strict=True) if flag})
    return b"m" + b" ".join([b"%d" % bisect_left(marks, time) for time in times])


def not_newer_path(mtime_ns: int, files: Iterable[bytes]) -> bytes:
    """The path of a NOT_NEWER fact."""
    return b"%d:%b" % (mtime_ns, order_path((file, False) for file in files))


def not_newer_files(path: bytes) -> tuple[int, list[bytes]]:
    """What was given to `not_newer_path`."""
    number, _, files = path.partition(b":")
    return int(number), [file for file, _ in order_files(files)]


def not_newer_value(mtime_ns: int, times: Iterable[int]) -> bytes:
    """Value of NOT_NEWER for files with these modification times."""
    latest = max(times, default=0)
    return OK if latest <= mtime_ns else b"t%d" % latest


def narrowed_order(
    path: bytes, value: bytes, keep: Callable[[bytes], bool]
) -> tuple[bytes, bytes] | None:
    """Path and value of an ORDER fact about some of its files only; None if nothing is left."""
    numbers = [int(number) for number in value[1:].split()]
    kept = [
        (file, flag, number)
        for (file, flag), number in zip(order_files(path), numbers, strict=True)
        if keep(file)
    ]
    if len(kept) < 2 or not any(flag for _, flag, _ in kept):
        return None
    narrowed = order_path((file, flag) for file, flag, _ in kept)
    return narrowed, order_value([n for _, _, n in kept], [flag for _, flag, _ in kept])
