"""Of which files the times make a difference to git.

It compares those of the files in its index with what the index says of them (statinfo.c), and those
of objects with an age when it removes what is not needed; of directories it goes by none but with
the extension UNTR of its index, which `core.untrackedCache` asks for.
"""

from __future__ import annotations

import posixpath

from pcache.model import Kind
from pcache.observe.executions import Execution
from pcache.values import ABSENT

_WITHOUT_AGES = frozenset(
    b"add branch cat-file checkout clone commit commit-tree config describe diff diff-files "
    b"diff-index hash-object init log ls-files ls-tree read-tree reset rev-list rev-parse show "
    b"show-ref status switch tag update-index write-tree".split()
)
_WITH_ARGUMENT = frozenset({b"-c", b"-C", b"--git-dir", b"--work-tree", b"--namespace"})
_INDEX = b"index"


def is_git(execution: Execution) -> bool:
    return posixpath.basename(execution.executable) == b"git"


def compares(execution: Execution) -> bool:
    """Whether a git may have compared any times."""
    return _subcommand(execution.argv()) not in _WITHOUT_AGES or _has_read_index(execution)


def _subcommand(argv: list[bytes]) -> bytes:
    words = iter(argv[1:])
    for word in words:
        if word in _WITH_ARGUMENT:
            next(words, None)
        elif not word.startswith(b"-"):
            return word
    return b""


def _has_read_index(execution: Execution) -> bool:
    """Whether there was an index, of a work tree or by another name."""
    return any(entry.startswith(b"GIT_INDEX_FILE=") for entry in execution.environment()) or any(
        kind in (Kind.CONTENT, Kind.LCONTENT)
        and posixpath.basename(observation.name) == _INDEX
        and observation.value != ABSENT
        for (kind, _), observation in execution.inputs.items()
    )
