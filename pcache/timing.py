"""Where the time of one session goes, phase by phase: what `--timing` prints."""

from __future__ import annotations

from time import perf_counter_ns, process_time_ns

PHASES: dict[str, str] = {
    "start-up": "processor time until the options were read: Python and what is imported",
    "command": "finding the program, its environment and descriptors",
    "store": "reading the configuration and opening the store",
    "call": "what an execution was asked to do: reading it from the process, its fingerprint",
    "path sets": "finding what earlier executions of the call depended on",
    "facts": "how all that is now: stat(2), directories, digests of files",
    "outcome": "finding the outcome for these facts",
    "remote": "asking the shared store, and fetching what it has",
    "staging": "reading and verifying contents, and writing files where nobody sees them yet",
    "placing": "giving the files their names; for large contents, the staging too",
    "streams": "writing what the execution printed",
    "ending": "making a process end with the recorded status",
    "supervisor": "loading the supervisor, its filter, and starting the command under it",
    "probes": "waiting for the probes to be loaded",
    "running": "from the start of the command to its end, with all that is done meanwhile",
    "analysis": "making sense of events, mostly while the command runs",
    "last events": "taking in what was recorded last, and detaching the probes",
    "records": "settling what may be stored, and storing it",
    "room": "finding out whether the store is too large, and making room",
    "closing": "writing down digests and use, closing the store",
}
"""Every phase.  Some are part of another: all decisions are of `running`."""


class Timing:
    """Adds up the time that each phase took.  Costs next to nothing unless it is `on`."""

    __slots__ = ("_began", "_phases", "on")

    def __init__(self, on: bool = False) -> None:
        self.on = on
        self._phases: dict[str, list[int]] = {}
        if on:
            self._phases["start-up"] = [process_time_ns(), 1]
        self._began = self.now()

    def now(self) -> int:
        """The beginning of a phase, for `spent`."""
        return perf_counter_ns() if self.on else 0

    def spent(self, phase: str, since: int) -> int:
        """A phase of PHASES has ended; `now`, as the beginning of the next one."""
        if not self.on:
            return 0
        now = perf_counter_ns()
        phases = self._phases
        if phase in phases:
            phases[phase][0] += now - since
            phases[phase][1] += 1
        else:
            phases[phase] = [now - since, 1]
        return now

    def as_dict(self) -> dict[str, dict[str, float]]:
        """Milliseconds and how many times, for each phase that there was, and the total."""
        total = self._phases.get("start-up", [0])[0] + self.now() - self._began
        measured = {name: self._phases[name] for name in PHASES if name in self._phases}
        return {
            name: {"milliseconds": spent / 1e6, "times": times}
            for name, (spent, times) in {**measured, "total": [total, 1]}.items()
        }

    def lines(self) -> list[str]:
        """The same for people."""
        found = []
        for name, entry in self.as_dict().items():
            times = f"  ({entry['times']} times)" if entry["times"] > 1 else ""
            found.append(f"pcache: timing: {name:<12} {entry['milliseconds']:10.2f} ms{times}")
        return found


UNTIMED = Timing()
"""For whoever is not asked to measure."""
