"""Where an execution is stopped: at its first system call (`entry`) or at its execve (`execve`).

Both give the same `Task` for the same command.  They differ in cost and in what a signal can do:

entry   The first thing a C library or the Go runtime does is brk(0) (ld.so, static glibc) or
        arch_prctl(ARCH_SET_FS) (musl, Go).  The kernel has accepted the execve, so probes along
        PATH never notify, and all signal handlers are reset, so nothing can make the exec fail.
execve  The cheapest hits, but a signal that arrives before we have received the notification
        makes execve return EINTR to a caller whose handlers lack SA_RESTART.  The kernel has not
        looked at the program yet: whatever we cannot predict is let through.
"""

from __future__ import annotations

import os

from pcache.enforce import filter, startup
from pcache.enforce import task as tasks
from pcache.enforce.filter_rules import Rule
from pcache.enforce.loader import Loader
from pcache.enforce.notify import Notification
from pcache.enforce.sandbox import DEFAULT, Sandbox
from pcache.enforce.syscalls import SYS_EXECVE
from pcache.enforce.task import Process, Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    Unknown = Callable[[tuple[bytes, ...]], bool]
    """Whether a program with these arguments can only be left to run."""

    class Interception(Protocol):
        """One place to stop executions at."""

        @property
        def rules(self) -> tuple[Rule, ...]: ...

        def program(self, directory: bytes, sandbox: Sandbox = DEFAULT) -> bytes:
            """The filter to install, with the help of a directory to keep it in.

            Raises EnvironmentProblem.
            """

        def read(self, notification: Notification, unknown: Unknown) -> Task | None:
            """The execution about to start, or None if it is to run.

            Where its arguments are cheaper to have than all of it, `unknown` may be asked about
            them first.  Raises OSError or Unreadable where the task cannot be understood.
            """


_ARCH_SET_FS = 0x1002
_PF_FORKNOEXEC = 0x40
"""include/linux/sched.h: forked or cloned, and not executed anything since."""
_MANY = 4096
_LOADED = (1, 2)
"""How much is remembered of an image found by the loader."""


class Entry:
    """At the first system call of a new image."""

    rules: tuple[Rule, ...] = (
        ("brk", ((0, "==", 0),)),
        ("arch_prctl", ((0, "==", _ARCH_SET_FS),)),
    )

    def __init__(self) -> None:
        self._images: dict[int, tuple[bytes, ...]] = {}
        """By tid, the image that was given out last: where its stack began; for one found by the
        loader that alone, or its random bytes; for others what /proc/PID/stat tells besides."""
        self._limit = _MANY
        self._loader: Loader | None = None

    def program(self, directory: bytes, sandbox: Sandbox = DEFAULT) -> bytes:
        known = startup.learn(directory, self.rules)
        self._loader = known.loader
        return filter.passing(known.passing, filter.load(self.rules + sandbox.rules, directory))

    def read(self, notification: Notification, unknown: Unknown) -> Task | None:
        # Later brk(0) of the same image must be told from a new image: it has had effects by
        # then.  A mistake the other way round only runs a program uncached.
        tid, ip = notification.tid, notification.ip
        process = Process(tid)
        start = None if self._loader is None else self._loader.start(tid, ip)
        if start is not None:
            if unknown(start.argv):
                self._note(tid, (b"%d" % start.stack,))
                return None
            try:
                env, filename, random = start.rest()
            except ValueError:
                pass  # more than is read in advance
            else:
                image: tuple[bytes, ...] = (b"%d" % start.stack, random)
                new = self._note(tid, image) != image
                return process.image(start.argv, env, filename, ip) if new else None
        stat = process.stat()
        if int(stat[tasks.STAT_FLAGS]) & _PF_FORKNOEXEC:
            return None
        image = tuple(stat[index] for index in tasks.STAT_IMAGE)
        before = self._note(tid, image)
        if before == image or (len(before) in _LOADED and before[0] == image[0]):
            return None
        return process.image(*process.strings(stat), ip)

    def _note(self, tid: int, image: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Remember what a task runs; what was remembered before."""
        images = self._images
        before = images.get(tid, ())
        images[tid] = image
        if len(images) > self._limit:
            for old in [tid for tid in images if not os.path.exists(b"/proc/%d" % tid)]:
                del images[old]
            self._limit = 2 * len(images) + _MANY
        return before


class Execve:
    """At the execve itself."""

    rules: tuple[Rule, ...] = (("execve", ()), ("execveat", ()))

    def program(self, directory: bytes, sandbox: Sandbox = DEFAULT) -> bytes:
        return filter.load(self.rules + sandbox.rules, directory)

    def read(self, notification: Notification, unknown: Unknown) -> Task | None:
        process = Process(notification.tid)
        args = notification.args
        if notification.nr == SYS_EXECVE:
            return process.request(tasks.AT_FDCWD, args[0], args[1], args[2], 0)
        return process.request(args[0], args[1], args[2], args[3], args[4])


class Nowhere:
    """At none: for a sandbox alone."""

    rules: tuple[Rule, ...] = ()

    def program(self, directory: bytes, sandbox: Sandbox = DEFAULT) -> bytes:
        return filter.load(sandbox.rules, directory)

    def read(self, notification: Notification, unknown: Unknown) -> Task | None:
        return None


def interception(name: str) -> Interception:
    """`entry` or `execve`."""
    return Execve() if name == "execve" else Entry()
