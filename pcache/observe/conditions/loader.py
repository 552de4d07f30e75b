"""What an execution depended on of the dynamic loader's cache."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable

from pcache.linux import loader_cache
from pcache.linux.loader_cache import IN_NAMES
from pcache.memo.questions import loader_directories, loader_value
from pcache.model import Fact, Kind, Reason
from pcache.observe.conditions.unknowable import Unknowable, gone
from pcache.observe.executions import Execution

_ANSWER = b"C"


def loader_fact(
    execution: Execution, found: list[tuple[bytes, bytes]], now: Callable[[bytes, bytes], bytes]
) -> Fact:
    """The fact about what its programs looked up there: of whatever has the name of a library, and
    was opened or looked for.

    `found`: path of each observation of kind LOADER, with the value of CONTENT where it was seen,
    or that of LOADER where it was a hit's.  `now` evaluates a fact.  Raises Unknowable.
    """
    file = loader_cache.PATH
    answers = {path.partition(b":")[0]: value for path, value in found if value[:1] == _ANSWER}
    seen = {value for _, value in found if value[:1] != _ANSWER}
    try:
        content = seen.pop() if seen else now(Kind.CONTENT, file)
        if seen or any(loader_value(names, file, content) != answers[names] for names in answers):
            raise Unknowable(Reason.INPUT_CHANGED, file)
        names = _libraries(execution)
        for known in answers:
            names.update(known.split(b"/"))
        libraries = b"/".join(sorted(names))
        if b":" in libraries or _replaces_libraries(execution, content):
            return Fact(Kind.CONTENT, file, content)
        return Fact(Kind.LOADER, libraries + b":" + file, loader_value(libraries, file, content))
    except OSError as error:
        raise gone(error, file) from error


def _libraries(execution: Execution) -> set[bytes]:
    """Names of libraries that were opened or looked for, wherever."""
    paths: list[bytes] = [path for _, path in execution.inputs if IN_NAMES in path]
    paths += [name for name in execution.changes if IN_NAMES in name]
    names = {path.rpartition(b"/")[2] for path in paths}
    return {name for name in names if IN_NAMES in name}


def _replaces_libraries(execution: Execution, content: bytes) -> bool:
    """Whether it makes libraries where the cache has some: of those that are then loaded by way of
    links, the links' names are not known.  Raises OSError."""
    changed = {posixpath.dirname(name) for name in execution.changes if IN_NAMES in name}
    return bool(changed) and any(
        directory == own or directory.startswith(own + b"/")
        for own in map(os.path.realpath, loader_directories(loader_cache.PATH, content))
        for directory in changed
    )
