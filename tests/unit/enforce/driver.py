"""A supervisor whose decider reads in a program's name what to do with it; run as a process.

usage: enforce_driver.py INTERCEPT REPORT COMMAND [ARG...]

hit-N ends with status N, hitsig-N dies by signal N, hitout-N-BYTES writes BYTES to descriptor 1 and
ends with N, hitmix-N writes 1, 2, 1 and ends with N, hitslow-N-MS takes MS milliseconds to put
outputs in place, writes a line and ends with N, broken-N makes the decider raise; all else
runs.  REPORT gets the supervisor's counters and every decision as JSON.

Environment: PCACHE_TEST_STOP_FIRST (as on kernels without WAIT_KILLABLE_RECV), PCACHE_TEST_CRASH=N
(SIGKILL at the Nth ptrace request, or write into a task or what follows it), PCACHE_TEST_REFUSE
(as on kernels that let nobody write to code), PCACHE_TEST_UNKNOWN (nobody hears of misses, and a
program that is called "unknown" is one).
"""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
from collections.abc import Callable, Container
from types import SimpleNamespace
from typing import Any

from pcache.enforce import intercept, overwrite, signals, spawn, supervisor, syscalls, tracee
from pcache.enforce.observer import Observer
from pcache.enforce.task import Task
from pcache.linux import image
from pcache.linux.descriptors import FdView
from pcache.model import Call

LINE = b"0123456789abcde\n"


class NamedPlan:
    wall_ns = 0

    def __init__(self, status: int, writes: list[tuple[int, bytes]], seconds: float = 0) -> None:
        self.status = status
        self.heavy = seconds > 0
        self._writes = writes
        self._seconds = seconds
        self._cancelled = threading.Event()

    def sizes(self) -> list[tuple[int, int]]:
        return [(fd, len(data)) for fd, data in self._writes]

    def commit(self) -> None:
        if self._seconds and self._cancelled.wait(self._seconds):
            raise OSError(errno.ECANCELED, "cancelled")

    def cancel(self) -> None:
        self._cancelled.set()

    def conclude(self) -> None:
        pass

    def take_back(self) -> None:
        pass

    def abandon(self) -> None:
        pass

    def writes(self, files: Container[int] = ()) -> list[tuple[int, memoryview]]:
        return [(fd, memoryview(data)) for fd, data in self._writes]


class NamedDecider:
    last_miss = "runs by its name"
    awaited = -1

    def unknown(self, argv: tuple[bytes, ...]) -> bool:
        return argv[0] == b"unknown"

    def unused(self, wall_ns: int) -> None:
        pass

    def decide(self, call: Call, fds: FdView, wait: bool = False) -> NamedPlan | None:
        kind, *numbers = os.path.basename(call.executable).split(b"-")
        if kind == b"hit":
            return NamedPlan(int(numbers[0]) << 8, [])
        if kind == b"hitsig":
            return NamedPlan(int(numbers[0]), [])
        if kind == b"hitout":
            size = int(numbers[1])
            data = (LINE * (size // len(LINE) + 1))[:size]
            return NamedPlan(int(numbers[0]) << 8, [(1, data)])
        if kind == b"hitmix":
            writes = [(1, b"one\n"), (2, b"two\n"), (1, b"three\n")]
            return NamedPlan(int(numbers[0]) << 8, writes)
        if kind == b"hitslow":
            return NamedPlan(int(numbers[0]) << 8, [(1, LINE)], int(numbers[1]) / 1000)
        if kind == b"broken":
            raise ZeroDivisionError("a bug in the decider")
        return None


class Recording(Observer):
    """Keeps what it is told."""

    def __init__(self, decisions: list[dict[str, object]]) -> None:
        self._decisions = decisions
        self.hears_misses = "PCACHE_TEST_UNKNOWN" not in os.environ

    def hit(self, task: Task, plan: NamedPlan, began_ns: int, ended_ns: int) -> None:
        self._keep("hit", task, "", began_ns, ended_ns)

    def missed(self, task: Task, at_ns: int) -> None:
        self._keep("miss", task, "", at_ns, at_ns)

    def ran(self, task: Task, plan: NamedPlan, began_ns: int, ended_ns: int, why: str) -> None:
        self._keep("run", task, why, began_ns, ended_ns)

    def _keep(self, verdict: str, task: Task, why: str, began: int, ended: int) -> None:
        call = task.call
        fields = {name: repr(getattr(call, name)) for name in call.__slots__}
        who = {"tid": task.tid, "tgid": task.tgid, "began": began, "ended": ended}
        self._decisions.append({"verdict": verdict, "why": why, **who, **fields})


def crash_at(step: int) -> None:
    """Kill ourselves before the `step`th ptrace request, or write into a task, or what follows."""
    remaining = [step]

    def fatal(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: object) -> Any:
            remaining[0] -= 1
            if not remaining[0]:
                os.kill(os.getpid(), signals.KILL)
            return function(*arguments)

        return call

    tracee.ptrace = fatal(syscalls.ptrace)  # type: ignore[attr-defined]
    overwrite.os = SimpleNamespace(  # type: ignore[attr-defined]
        **{**vars(os), "pwrite": fatal(os.pwrite), "close": fatal(os.close)}
    )


def refuse_writes() -> None:
    """No task's code can be written to."""

    def refuse(path: bytes, flags: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    overwrite.os = SimpleNamespace(**{**vars(os), "open": refuse})  # type: ignore[attr-defined]


def main() -> None:
    place, report = intercept.interception(sys.argv[1]), sys.argv[2]
    argv = tuple(map(os.fsencode, sys.argv[3:]))
    path = image.which(argv[0], os.environb.get(b"PATH"), os.getcwdb())
    env = tuple(b"%b=%b" % pair for pair in os.environb.items())
    if "PCACHE_TEST_CRASH" in os.environ:
        crash_at(int(os.environ["PCACHE_TEST_CRASH"]))
    if "PCACHE_TEST_REFUSE" in os.environ:
        refuse_writes()
    killable = "PCACHE_TEST_STOP_FIRST" not in os.environ
    program = place.program(os.path.dirname(os.fsencode(report)))
    spawned = spawn.spawn(spawn.Command(path, argv, env), program, killable)
    decisions: list[dict[str, object]] = []

    watched = supervisor.Supervisor(spawned, place, NamedDecider(), None, Recording(decisions))
    status = watched.run()
    names = ("notifications", "decided", "applied", "failures")
    counts = {name: getattr(watched, name) for name in names}
    with open(report, "w") as file:
        json.dump({**counts, "decisions": decisions}, file)
    if os.WIFSIGNALED(status):
        syscalls.forbid_core(0)
        signals.die_by(os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


main()
