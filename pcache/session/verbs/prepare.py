"""What the first command on a machine would make for the later ones, made before: the recorder's
programs, compiled for the running kernel and put into it, and the filters of replay.

Only root can: what is kept for everybody lies where nobody else can write.
"""

from __future__ import annotations

import os

from pcache.enforce import filter
from pcache.enforce.intercept import Entry, Execve, Nowhere
from pcache.enforce.sandbox import DEFAULT
from pcache.errors import PcacheError, PrivilegeError
from pcache.probes import program
from pcache.recorder import pinned
from pcache.session.steps.make import make, words


def prepare() -> tuple[int, list[str]]:
    """How many files were made, and what could not be made: a line each, with the reason.

    Raises PrivilegeError.
    """
    if os.getuid() != 0:
        raise PrivilegeError(
            "only root can make what everybody's first command would make",
            "run it as root: sudo pcache doctor --prepare",
        )
    os.umask(0o022)  # everybody may read what root keeps
    before = _kept()
    problems = []
    for step in (_recorder, _filters):
        try:
            step()
        except (PcacheError, OSError) as error:
            problems.append(str(error).partition("\n")[0])
    return len(_kept() - before), problems


def _kept() -> set[bytes]:
    try:
        return set(os.listdir(filter.ROOT_CACHE))
    except OSError:
        return set()


def _recorder() -> None:
    program.image()  # kept across restarts, whatever is in the kernel already
    pinned.of_this_kernel().close()


def _filters() -> None:
    Execve().program(filter.ROOT_CACHE)
    for place in (Entry(), Nowhere()):
        make(words(place, DEFAULT))
