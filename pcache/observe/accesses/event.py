"""A system call as the handlers get it, and the process that made it."""

from __future__ import annotations

from collections.abc import Callable

from pcache.observe.accesses.prctl import OF_THE_PROCESS
from pcache.observe.events import Body
from pcache.observe.executions import Execution


class Event:
    """One system call of an execution."""

    __slots__ = ("body", "execution", "process", "ret", "tid", "ts", "writes")

    def __init__(
        self,
        ts: int,
        ret: int,
        tid: int,
        process: Process,
        execution: Execution,
        body: Body,
        writes: int,
    ) -> None:
        self.ts = ts
        self.ret = ret
        self.tid = tid
        self.process = process
        self.execution = execution
        self.body = body
        self.writes = writes
        """How many writes to open files, of any kind, the process had made by then."""


class Process:
    """A process of the tree while it runs: which program, and what of it changes without one."""

    __slots__ = (
        "cwd", "execution", "group", "handed_down", "parent", "senders", "session", "set_by",
        "tgid", "timers", "umask",
    )  # fmt: skip

    def __init__(
        self, tgid: int, execution: Execution | None, umask: int = 0, cwd: bytes | None = None
    ) -> None:
        self.tgid = tgid
        self.execution = execution
        self.umask = umask
        self.cwd = cwd
        self.parent = 0
        """Number of the process that forked it, if that is one of the tree."""
        self.timers: set[int] = set()
        """Those of setitimer(2) that it has set, and are not handed down to children."""
        self.group = self.session = 0
        """Its process group and session, where the tree has made it; 0 for that of its caller."""
        self.senders: dict[int, list[Execution]] = {}
        """Signal number -> executions that sent it here."""
        self.handed_down: list[tuple[str, str]] = []
        """Why programs started from here on are uncacheable: (reason, evidence)."""
        self.set_by: dict[bytes, tuple[Execution, bytes | None]] = {}
        """Trait -> the execution that gave this process another one than the command had, and its
        value where that is known."""

    def child(self, tgid: int) -> Process:
        child = Process(tgid, self.execution, self.umask, self.cwd)
        child.parent = self.tgid
        child.group, child.session = self.group, self.session
        child.handed_down = self.handed_down.copy()
        child.set_by = {
            trait: setter for trait, setter in self.set_by.items() if trait not in OF_THE_PROCESS
        }
        return child


Handler = Callable[[Event], None]
