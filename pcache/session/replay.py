"""`pcache replay`: look the command up, and where that fails run it and look up what it starts.

Everything before the first lookup is on the path of a root hit, so the supervisor (and ctypes with
it) is imported only when the command has to run.
"""

from __future__ import annotations

import os
import select

from pcache.counters import Counters
from pcache.decide import Decider
from pcache.errors import PcacheError
from pcache.session.call import Command
from pcache.store.index import Store
from pcache.user import User

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.observer import Observer
    from pcache.enforce.task import Task
    from pcache.model import Call

_PCACHE_FAILED = 125
_FIRST_OTHER = 3


class Replay:
    """One `pcache replay` of one command."""

    def __init__(
        self,
        command: list[bytes],
        intercept: str = "entry",
        quiet: bool = False,
        json: str | None = None,
        verbose: bool = False,
    ) -> None:
        """`command` is a name or path and its arguments; `intercept` is `entry` or `execve`;
        `json` names a file that the counters are written to.

        Raises CommandNotFound or CommandNotExecutable.
        """
        self._quiet = quiet
        self._verbose = verbose
        self._json = json
        self._intercept = intercept
        self._command = Command(command)

    def run(self) -> int:
        """Replay or run the command; its exit status.  If a signal ended it, so does it us."""
        counters = Counters()
        _occupy_standard_descriptors()
        try:
            directory = User.current().store_dir
            store = Store.open(directory, counters=counters)
        except PcacheError as error:
            _say(error.report())
            return self._plainly("the command runs without pcache")
        tally: dict[str, int] = {}
        decider = Decider(store, counters)
        status = self._root_hit(decider)
        if status is None:
            status = self._supervised(decider, directory, tally)
        try:
            store.close()
        except PcacheError as error:
            _say(error.report())  # the command has ended: its status counts
        self._report(counters, tally, status)
        return _end(status)

    # -- the command itself

    def _root_hit(self, decider: Decider) -> int | None:
        """Apply the recorded outcome of the command itself; None if it has to run."""
        if self._command.call is None:
            return None
        try:
            plan = decider.decide(self._command.call, self._command.fds)
        except Exception as error:
            _say(f"pcache: internal error, the command itself is not looked up: {error!r}")
            return None
        if plan is None:
            if self._verbose:  # the reason costs a look into the store
                self._observe("miss", self._command.call, decider.last_miss)
            return None
        committed = False
        try:
            writes = [(fd, data) for fd, data in plan.writes() if data]
            if any(_broken(fd) for fd, _ in writes):
                return None  # let the command meet its broken pipe itself
            plan.commit()
            committed = True
            for fd, data in writes:
                _write(fd, data)
        except (OSError, PcacheError) as error:
            self._observe("run", self._command.call, str(error))
            return None
        finally:
            if not committed:
                plan.abandon()
        self._observe("hit", self._command.call, "")
        return plan.status

    def _supervised(self, decider: Decider, directory: bytes, tally: dict[str, int]) -> int:
        """Run the command under the filter; its wait status."""
        from pcache.enforce import filter, spawn
        from pcache.enforce.intercept import interception
        from pcache.enforce.supervisor import Supervisor

        command = spawn.Command(self._command.path, self._command.argv, self._command.env)
        place = interception(self._intercept)
        try:
            program = filter.load(place.rules, directory)
            spawned = spawn.spawn(command, program)
        except spawn.FilterRefused as error:
            if error.nested:
                return self._plainly("")  # the outer pcache sees every execution already
            _say(f"pcache: cannot supervise the command: {error}")
            return self._plainly("the command runs without pcache")
        except PcacheError as error:
            _say(error.report())
            return self._plainly("the command runs without pcache")
        observer = self._observer(decider) if self._verbose else None
        supervisor = Supervisor(spawned, place, decider, self._command.call, observer)
        try:
            status = supervisor.run()
        except Exception as error:
            _say(f"pcache: internal error, the command runs on uncached: {error!r}")
            spawned.guardian.close()
            status = os.waitpid(spawned.pid, 0)[1]
        tally["notifications"] = supervisor.notifications
        tally["decided"] = supervisor.decided
        tally["applied"] = supervisor.applied
        tally["failures"] = supervisor.failures
        return status

    def _plainly(self, consequence: str) -> int:
        """Become the command."""
        from pcache.enforce import spawn

        if consequence:
            _say(f"pcache: {consequence}")
        self._write_json(Counters(), {}, None)
        spawn.execute(spawn.Command(self._command.path, self._command.argv, self._command.env))
        return _PCACHE_FAILED

    # -- what the user sees

    def _observer(self, decider: Decider) -> Observer:
        from pcache.enforce.observer import Observer

        observe = self._observe

        class Teller(Observer):
            def hit(self, task: Task, plan: object, began_ns: int, ended_ns: int) -> None:
                observe("hit", task.call, "")

            def missed(self, task: Task, at_ns: int) -> None:
                observe("miss", task.call, decider.last_miss)

            def ran(self, task: Task, plan: object, began_ns: int, ended_ns: int, why: str) -> None:
                observe("run", task.call, why)

        return Teller()

    def _observe(self, verdict: str, call: Call, why: str) -> None:
        if self._verbose:
            words = b" ".join(call.argv).decode(errors="replace").replace("\n", "\\n")
            reason = f"   {why}" if why else ""
            _say(f"pcache: {verdict:<5} {words}{reason}")

    def _report(self, counters: Counters, tally: dict[str, int], status: int) -> None:
        if not self._quiet:
            hits, misses = counters["hits"], counters["misses"]
            files, kept = counters["files restored"], counters["files kept"]
            _say(
                f"pcache: replay: {hits} hits, {misses} misses, "
                f"{files} files restored, {kept} already right"
            )
        self._write_json(counters, tally, status)

    def _write_json(self, counters: Counters, tally: dict[str, int], status: int | None) -> None:
        if self._json is None:
            return
        import json

        report = {"status": status, "counters": counters.as_dict(), "supervisor": tally}
        try:
            with open(self._json, "w") as file:
                json.dump(report, file, indent=1)
                file.write("\n")
        except OSError as error:
            _say(f"pcache: cannot write {self._json}: {error.strerror}; the counters are lost")


def replay(
    command: list[bytes],
    intercept: str = "entry",
    quiet: bool = False,
    json: str | None = None,
    verbose: bool = False,
) -> int:
    """Replay or run `command`; the exit status.  See `Replay`."""
    return Replay(command, intercept, quiet, json, verbose).run()


def _end(status: int) -> int:
    """The exit status for a wait status; a death by signal becomes ours, so there is none."""
    signal = status & 0x7F
    if not signal:
        return status >> 8 & 0xFF
    from pcache.enforce import signals, syscalls

    syscalls.forbid_core(0)
    signals.die_by(signal)
    return 128 + signal


def _occupy_standard_descriptors() -> None:
    """Keep the store's files away from descriptors 0-2 that the caller closed.

    The command still gets them closed: ours go at its execve.
    """
    while (fd := os.open("/", os.O_PATH | os.O_CLOEXEC)) < _FIRST_OTHER:
        pass
    os.close(fd)


def _broken(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return any(events & (select.POLLERR | select.POLLNVAL) for _, events in poll.poll(0))


def _write(fd: int, data: memoryview) -> None:
    """Write all, waiting where the caller made the descriptor non-blocking."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()


def _say(text: str) -> None:
    """One line on stderr in one piece; nobody there to read it is no failure."""
    try:
        os.write(2, text.encode(errors="surrogateescape") + b"\n")
    except OSError:
        return
