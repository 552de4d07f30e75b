"""What is at a path by now, some milliseconds after the event."""

from __future__ import annotations

import os
from stat import S_ISSOCK


def status_of(path: bytes, *, follow: bool = False) -> os.stat_result | None:
    """What stat(2) says; None if it fails."""
    try:
        return os.stat(path, follow_symlinks=follow)
    except OSError:
        return None


def is_socket(path: bytes) -> bool:
    """Whether it is one, which nobody can open."""
    status = status_of(path, follow=True)
    return status is not None and S_ISSOCK(status.st_mode)
