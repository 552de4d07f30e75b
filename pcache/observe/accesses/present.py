"""What is at a path by now, some milliseconds after the event."""

from __future__ import annotations

import os
from stat import S_ISSOCK, S_ISVTX, S_IWOTH

from pcache.observe.events import Stamp
from pcache.observe.observations import Observation
from pcache.values import ABSENT


def status_of(path: bytes, *, follow: bool = False) -> os.stat_result | None:
    """What stat(2) says; None if it fails."""
    try:
        return os.stat(path, follow_symlinks=follow)
    except OSError:
        return None


def seen_status(observation: Observation) -> Stamp | os.stat_result | None:
    """As it was when somebody looked; or is now, where the first look did not tell it, as by
    statx(2) of the type alone.  None for nothing."""
    if observation.stamp is not None:
        return observation.stamp
    if observation.value == ABSENT or not observation.name:
        return None
    return status_of(observation.place)


def is_everybodys(directory: Stamp | os.stat_result) -> bool:
    """Whether a directory is one that everybody on the machine makes files in, as /tmp: nobody goes
    by its time."""
    return bool(directory.st_mode & S_ISVTX and directory.st_mode & S_IWOTH)


def is_socket(path: bytes) -> bool:
    """Whether it is one, which nobody can open."""
    status = status_of(path, follow=True)
    return status is not None and S_ISSOCK(status.st_mode)
