"""Recording under a supervisor, which answers what the filter stops: for `run`, which decides each
execution, and for `trace` in a sandbox, which decides none."""

from __future__ import annotations

from pcache.enforce import filter, spawn
from pcache.enforce.intercept import Entry, Nowhere
from pcache.enforce.observer import Observer
from pcache.enforce.sandbox import Sandbox
from pcache.enforce.supervisor import Supervisor
from pcache.errors import Refused
from pcache.linux.user import User
from pcache.memo.decide import Decider
from pcache.model import Call
from pcache.session.steps import make
from pcache.session.steps.load_probes import Probes
from pcache.session.steps.recording import Recording
from pcache.settings.rules import Policy
from pcache.timing import UNTIMED, Timing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pcache.enforce.intercept import Interception

_TICK_MS = 5


class SignalObserver(Observer):
    """Tells the recorder of signals."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def signalled(self, signal: int) -> None:
        self._recording.interrupted()


def _forked_by(
    probes: Probes, place: Interception, sandbox: Sandbox
) -> Callable[[bytes, bytes, int], int]:
    """Has the recorder fork the command, so that its filter does not take from set-user-ID programs
    what they are for: only root can install such a one, and takes it from nobody."""

    def fork(program: bytes, refusals: bytes, socket: int) -> int:
        names = filter.kept_names(program, refusals)
        pid = probes.gate(names, socket)
        if pid is None:
            probes.make(make.words(place, sandbox))
            program = place.program(filter.ROOT_CACHE, sandbox)
            refusals = filter.load_refusals(sandbox, filter.ROOT_CACHE, native=False)
            pid = probes.gate(filter.kept_names(program, refusals), socket)
        if pid is None:
            raise Refused("root could not make the filter", "`sudo pcache doctor` tells why")
        return pid

    return fork


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
    probes: Probes | None = None,
) -> tuple[int, dict[str, int]]:
    """Runs and records a command: its wait status, and how often what was denied.

    `root` is its own call, which was decided already.  Raises EnvironmentProblem when there can be
    no supervisor; the command was not started then.
    """
    # Not at the execve: the recorder must see the program start that a hit stands for.
    place = Nowhere() if decider is None else Entry()
    since = timing.now()
    ours = probes is not None and probes.is_ours
    directory = filter.ROOT_CACHE if ours else user.store_dir
    spawned = spawn.spawn(
        command,
        place.program(directory, sandbox),
        fork=_forked_by(probes, place, sandbox) if probes is not None and ours else None,
        gate=recording.open_gate,
        sandbox=sandbox,
        refusals=filter.load_refusals(sandbox, directory, native=False),
        decides=decider is not None,
    )
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
