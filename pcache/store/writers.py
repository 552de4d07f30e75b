"""Whether anybody has a file open for writing: then its times do not tell of all changes.

What is stored into a shared mapping after the first store changes no times (mmap(2)), and a single
write(2) changes them before it copies what may be gigabytes.
"""

from __future__ import annotations

import errno
from fcntl import F_RDLCK, F_SETLEASE, F_SETSIG, F_UNLCK, fcntl

_SIGCHLD = 17
"""Whom a lease is broken to is signalled: by default SIGIO, which kills; this one is ignored."""


def has_writers(fd: int) -> bool | None:
    """Whether the file behind a descriptor of ours, open for reading alone, is open for writing
    anywhere, or mapped so; None if we cannot know, which is so of other people's files.

    The kernel gives out a read lease of files that nobody has open for writing (fcntl(2); 2 us).
    It is given back at once; whoever opens the file for writing meanwhile waits as long.
    """
    try:
        fcntl(fd, F_SETSIG, _SIGCHLD)
        fcntl(fd, F_SETLEASE, F_RDLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    try:
        fcntl(fd, F_SETLEASE, F_UNLCK)
    except OSError:
        pass  # it has been broken
    return False
