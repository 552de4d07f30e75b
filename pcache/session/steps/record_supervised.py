"""Recording under a supervisor, which answers what the filter stops: for `run`, which decides each
execution, and for `trace` in a sandbox, which decides none."""

from __future__ import annotations

from pcache.enforce import filter, spawn, syscalls
from pcache.enforce.intercept import Entry, Nowhere
from pcache.enforce.observer import Observer
from pcache.enforce.sandbox import Sandbox
from pcache.enforce.supervisor import Supervisor
from pcache.linux.user import User
from pcache.memo.decide import Decider
from pcache.model import Call
from pcache.session.steps.privilege import become
from pcache.session.steps.recording import Recording
from pcache.settings.rules import Policy
from pcache.timing import UNTIMED, Timing

_TICK_MS = 5


class SignalObserver(Observer):
    """Tells the recorder of signals."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def signalled(self, signal: int) -> None:
        self._recording.interrupted()


def record_supervised(
    command: spawn.Command,
    recording: Recording,
    user: User,
    sandbox: Sandbox,
    policy: Policy,
    observer: Observer,
    decider: Decider | None = None,
    root: Call | None = None,
    timing: Timing = UNTIMED,
) -> tuple[int, dict[str, int]]:
    """Runs and records a command: its wait status, and how often what was denied.

    `root` is its own call, which was decided already.  Raises EnvironmentProblem when there can be
    no supervisor; the command was not started then.
    """
    # Not at the execve: the recorder must see the program start that a hit stands for.
    place = Nowhere() if decider is None else Entry()
    since = timing.now()
    directory = user.store_dir
    # Before, for a child that is root's still; and after, as opening the gate drops it again.
    syscalls.keep_ptrace_capability()
    spawned = spawn.spawn(
        command,
        place.program(directory, sandbox),
        become=lambda: become(user),
        gate=recording.open_gate,
        sandbox=sandbox,
        refusals=filter.load_refusals(sandbox, directory, native=False),
        decides=decider is not None,
    )
    syscalls.keep_ptrace_capability()
    supervisor = Supervisor(
        spawned,
        place,
        decider,
        root,
        observer=observer,
        tick=recording.tick,
        tick_ms=_TICK_MS,
        timing=timing,
        policy=policy,
    )
    since = timing.spent("supervisor", since)
    status = supervisor.run()
    timing.spent("running", since)
    return status, supervisor.denied
