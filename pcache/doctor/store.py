"""The store, and the directory where it is or will be made."""

from __future__ import annotations

import errno
import os
import shutil

from pcache.doctor.attempt import StepFailed, in_fork
from pcache.doctor.result import FAIL, OK, WARN, Result
from pcache.errors import PcacheError
from pcache.linux.user import User
from pcache.settings.units import size_text

_LOW_SPACE = 1 << 30
"""Bytes free below which `doctor` warns: one traced build of a large project."""


def store(user: User | None = None) -> Result:
    """Where records are kept: whether it can be written, its size and the space left."""
    try:
        user = user or (User.invoking() if os.geteuid() == 0 else User.current())
        directory = os.fsdecode(user.store_dir)
    except PcacheError as error:
        return Result(FAIL, str(error), error.remedy)
    existing = directory
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    owner = user.name or str(user.uid)
    mend = "point XDG_CACHE_HOME to a directory of your own"
    if existing.startswith(os.fsdecode(user.home).rstrip("/") + "/") and user.home != b"/":
        mend = f"sudo chown -R {owner} {existing}"
    if not os.path.isdir(existing):
        return Result(FAIL, f"{existing} is not a directory", f"mv {existing} {existing}.old")
    code = _writable_by(user, existing)
    if code == errno.EROFS:
        return Result(
            FAIL, f"{existing} is read-only", "point XDG_CACHE_HOME to a writable directory"
        )
    if code:
        return Result(FAIL, f"{owner} cannot write {existing}: {os.strerror(code)}", mend)
    free = shutil.disk_usage(existing).free
    size = _size(directory)
    text = f"{directory}, {size_text(size)} used, {size_text(free)} free"
    if free < _LOW_SPACE:
        return Result(WARN, text, f"free space on the file system of {existing}")
    return Result(OK, text)


def _size(directory: str) -> int:
    """Bytes that the files below `directory` take on the disk."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                continue
    return total


def _writable_by(user: User, directory: str) -> int:
    """0, or the errno with which `user` fails to make an entry in `directory`."""

    def attempt() -> None:
        user.become()
        try:
            probe = os.open(directory, os.O_TMPFILE | os.O_WRONLY, 0o600)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP and os.access(directory, os.W_OK | os.X_OK):
                return
            raise StepFailed(error.errno or errno.EPROTO, "open") from error
        os.close(probe)

    return in_fork(attempt)[0]
