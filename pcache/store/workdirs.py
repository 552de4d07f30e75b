"""Directories that one process works in, and that anybody may remove when it is gone.

The process holds a lock on the directory itself; the kernel releases it however the process ends.
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RERUN = b"/rerun"
"""Below the store's directory: where records are executed again."""


class WorkDirectory:
    """A new private directory, claimed until `release` or the end of the process.

    Raises OSError.
    """

    def __init__(self, parent: bytes, prefix: bytes) -> None:
        """`parent` exists; the name of the new directory begins with `prefix`."""
        from tempfile import mkdtemp

        while True:
            self.path = mkdtemp(prefix=prefix, dir=parent)
            try:
                fd = locked(self.path)
            except BlockingIOError:
                continue  # somebody thinks that it is abandoned, and removes it
            if fd is not None:
                self._fd = fd
                return

    def release(self) -> None:
        """Removes the directory with all that is in it, as far as that can be removed."""
        remove(self.path)
        os.close(self._fd)


def abandoned(parent: bytes, use: Callable[[bytes], None]) -> int:
    """Has `use` done to each claimed directory in `parent` whose process is gone; how many."""
    count = 0
    try:
        names = os.listdir(parent)
    except OSError:
        return 0
    for name in names:
        path = os.path.join(parent, name)
        try:
            fd = locked(path)
        except OSError:
            continue  # in use, or no directory
        if fd is None:
            continue
        try:
            use(path)
        finally:
            os.close(fd)
        count += 1
    return count


def remove(path: bytes) -> None:
    """Removes a directory with all that is in it, as far as that can be removed."""
    import shutil

    os.chmod(path, 0o700)
    # Overlays leave directories of mode 0 behind.
    for directory, names, _files in os.walk(path):
        for name in names:
            below = os.path.join(directory, name)
            if not os.path.islink(below):
                os.chmod(below, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def locked(path: bytes) -> int | None:
    """A descriptor that holds the lock; None if the directory has gone meanwhile.

    Raises OSError: EWOULDBLOCK if another process has it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_nlink:
            return fd
    except OSError:
        os.close(fd)
        raise
    os.close(fd)
    return None
