"""Of which directories the times make no difference to rsync.

It reaches the directory that it copies into by looking at each one on the way from / and opening
it with O_PATH (rsync 3.2.7 as Debian has it, util1.c, change_dir).  It copies and compares the
times of those that it was told, that it lists, or that are in one that it lists (flist.c); with -R
and --files-from also of those on the way to what it was told.
"""

from __future__ import annotations

import posixpath

from pcache.model import Kind
from pcache.observe.executions import Execution
from pcache.settings.rules import is_given

_ON_THE_WAY_TOO = (b"-R", b"--relative", b"--files-from")


def is_rsync(execution: Execution) -> bool:
    return posixpath.basename(execution.executable) == b"rsync"


class Copied:
    """Which directories an rsync may have copied, or copied to."""

    def __init__(self, execution: Execution) -> None:
        words = execution.argv()[1:]
        self._all = any(is_given(option, words) for option in _ON_THE_WAY_TOO)
        cwd = execution.cwd or b"/"
        self._told = {posixpath.normpath(posixpath.join(cwd, word)) for word in words}
        inputs = execution.inputs.items()
        self._listed = {one.name for (kind, _), one in inputs if kind == Kind.LISTING}

    def __contains__(self, names: tuple[bytes, bytes]) -> bool:
        """names: the one that it used, made absolute, and the canonical one."""
        return (
            self._all
            or any(posixpath.normpath(name) in self._told for name in names)
            or names[1] in self._listed
            or posixpath.dirname(names[1]) in self._listed
        )
