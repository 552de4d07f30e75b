"""Reading files such that their access times stay as they are."""

from __future__ import annotations

import os


def open_unseen(path: bytes, uid: int, flags: int = 0) -> int:
    """A descriptor for reading the regular file of this owner, as open(2) gives it.

    Its access time stays as it is if the file is ours: O_NOATIME is for owners only.  By the time
    it is opened, the path may have become a fifo or a terminal: neither is waited for, nor taken.
    Raises OSError.
    """
    flags |= os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    if uid == os.geteuid():
        try:
            return os.open(path, flags | os.O_NOATIME)
        except PermissionError:
            pass  # somebody else's by now
    return os.open(path, flags)
