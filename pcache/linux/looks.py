"""What stat(2) says of many paths at once: the inner loop of a decision.

Most of what a decision looks at are contents of files that were looked at before.  `looks.c` has
the same in C, which takes a third of the time and the place of what is here where it has been
compiled (tools/compile); `tests/unit/linux/test_looks.py` compares them.
"""

from __future__ import annotations

import errno
import os
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

IDENTITY = Struct("=QQQqqqqq")
"""Type and permissions, device, inode, size, times of modification and of change, each in seconds
and nanoseconds: the same as long as a file and its content stay what they are."""
_SECOND_NS = 1_000_000_000


def identity_of(
    mode: int, device: int, inode: int, size: int, mtime_ns: int, ctime_ns: int
) -> bytes:
    """What is IDENTITY, packed."""
    times = (*divmod(mtime_ns, _SECOND_NS), *divmod(ctime_ns, _SECOND_NS))
    return IDENTITY.pack(mode, device, inode, size, *times)


def identity(st: os.stat_result) -> bytes:
    """The same of a status."""
    return identity_of(st.st_mode, st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)


def file_of(identity: bytes) -> bytes:
    """Device and inode."""
    return identity[8:24]


def ctime_ns_of(identity: bytes) -> int:
    """Time of the last change, of what ends with an identity."""
    seconds, ns = _TIME.unpack(identity[-_TIME.size :])
    return int(seconds) * _SECOND_NS + int(ns)


_TIME = Struct("=qq")


def look(
    keys: Sequence[tuple[bytes, bytes]],
    kind: bytes,
    follow: bool,
    remembered: dict[bytes, bytes],
    absent: bytes,
    known: dict[tuple[bytes, bytes], bytes],
    identities: dict[bytes, bytes],
) -> int:
    """Looks at the paths of those keys that are of a kind and not in `known`, following a final
    link or not.

    Notes the identity of each that is there by its path; and in `known` what is remembered of that
    identity, or `absent` of those that are not there.  How many were remembered.
    """
    found = 0
    for key in keys:
        if key[0] != kind or key in known:
            continue
        try:
            st = os.stat(key[1], follow_symlinks=follow)
        except OSError as error:
            if error.errno == errno.ENOENT:
                known[key] = absent
            continue
        name = identity(st)
        identities[key[1]] = name
        value = remembered.get(name)
        if value is not None:
            known[key] = value
            found += 1
    return found


def states(keys: Sequence[tuple[bytes, bytes]], kind: bytes, follow: bool) -> bytes:
    """The identities of all paths of a kind, one after the other: for those of which there is none
    the error in place of the inode, and zeros."""
    parts = []
    for of, path in keys:
        if of == kind:
            try:
                parts.append(identity(os.stat(path, follow_symlinks=follow)))
            except OSError as error:
                parts.append(IDENTITY.pack(0, 0, error.errno or 0, 0, 0, 0, 0, 0))
    return b"".join(parts)


try:
    from pcache.linux import _looks  # type: ignore[attr-defined]
except ImportError:
    pass
else:
    look, states = _looks.look, _looks.states
