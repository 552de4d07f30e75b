"""A project's history: a script, what happens to it, and runs that are compared with plain ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from tests.fuzz.changes import EDITS, START, Named
from tests.fuzz.commands import LINES
from tests.fuzz.line import VARIABLE, Line
from tests.fuzz.oracle import Oracle
from tests.fuzz.surroundings import SURROUNDINGS, Surroundings, holding
from tests.fuzz.twins import Command, Start, Twins
from tests.lib.launch import MODES, Launcher

SCRIPT = "run.sh"
_VERBS = ("run", "run", "run", "replay", "replay", "trace", "plain")


class Tally:
    """What all machines of one test did."""

    def __init__(self) -> None:
        self.steps: Counter[str] = Counter()
        """Runs that were compared with a plain one, by verb."""
        self.oracle = Oracle()
        self.root_hits = 0

    def add(self, other: Tally) -> None:
        """What another one counted, too."""
        self.steps += other.steps
        self.root_hits += other.root_hits
        self.oracle.add(other.oracle)

    def __str__(self) -> str:
        oracle = self.oracle
        lost = "".join(f"\n  {count}x {why}" for why, count in oracle.lost.most_common(30))
        return (
            f"{self.steps.total()} steps {dict(self.steps)}, {self.root_hits} root hits; "
            f"{oracle.hits} of {oracle.known} known hit ({oracle.rate:.1%}); lost: {lost or 'none'}"
        )


@dataclass(frozen=True)
class Edited:
    """Files are changed."""

    edits: list[Named]

    def happen(self, project: Project) -> None:
        for edit in self.edits:
            project.twins.edit(edit)


@dataclass(frozen=True)
class Rewritten:
    """The script gets another line, at a place or instead of the one there."""

    line: Line
    at: int
    instead: bool

    def happen(self, project: Project) -> None:
        script = project.script
        at = min(self.at, len(script))
        project.write([*script[:at], self.line, *script[at + self.instead :]])


@dataclass(frozen=True)
class Surrounded:
    """The command is called in another way."""

    surroundings: Surroundings

    def happen(self, project: Project) -> None:
        project.surroundings = self.surroundings


@dataclass(frozen=True)
class WentBack:
    """The files, but for the script, are an earlier version again; the present one is kept too."""

    version: int

    def happen(self, project: Project) -> None:
        project.save()
        project.twins.restore(str(self.version % project.saved))
        project.write(project.script)


@dataclass(frozen=True)
class Unchanged:
    """Nothing happens."""

    def happen(self, project: Project) -> None:
        pass


Event = Edited | Rewritten | Surrounded | WentBack | Unchanged


@dataclass(frozen=True)
class History:
    """The script to begin with; what happens, and by which verbs the command is run after it."""

    script: list[Line]
    events: list[tuple[Event, list[str], str]]


_EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Edited, st.lists(EDITS, min_size=1, max_size=3)),
    st.builds(Edited, st.lists(EDITS, min_size=1, max_size=2)),
    st.builds(Rewritten, LINES, st.integers(0, 7), st.booleans()),
    st.builds(Surrounded, SURROUNDINGS),
    st.builds(WentBack, st.integers(0, 3)),
    st.just(Unchanged()),
)


def histories(events: int, lines: int) -> st.SearchStrategy[History]:
    """Random histories of so many events, which begin with at most so many lines."""
    return st.builds(
        History,
        st.lists(LINES, min_size=2, max_size=lines),
        st.lists(
            st.tuples(
                _EVENTS,
                st.lists(st.sampled_from(_VERBS), min_size=1, max_size=2),
                st.sampled_from(MODES),
            ),
            min_size=events,
            max_size=events,
        ),
    )


class Project:
    """A directory with a random shell script."""

    def __init__(
        self, twins: Twins, launcher: Launcher, tally: Tally, env: Mapping[str, str]
    ) -> None:
        self.twins = twins
        self.script: list[Line] = []
        self.surroundings = Surroundings()
        self.saved = 0
        self._told: list[str] = []
        """What happened."""
        self._launcher = launcher
        self._tally = tally
        self._env = env

    def __str__(self) -> str:
        """Its history so far, to be read."""
        return "\n".join(self._told)

    def live(self, history: History) -> None:
        """Raises AssertionError at the first run that is not as the plain one."""
        self._told = [str(history.script)]
        self.twins.clear()
        self._tally.oracle.forget()
        for edit in START:
            self.twins.edit(edit)
        self.write(history.script)
        self.save()
        for event, verbs, mode in history.events:
            self._told.append(str(event))
            event.happen(self)
            for verb in verbs:
                self._told.append(f"{verb} ({mode})")
                self._step(verb, mode)

    def write(self, script: Sequence[Line]) -> None:
        self.script = list(script)
        text = "".join(f"{line.text}\n" for line in script)
        self.twins.edit(Named(SCRIPT, lambda root: void((root / SCRIPT).write_text(text))))

    def save(self) -> None:
        self.twins.save(str(self.saved))
        self.saved += 1

    def _step(self, verb: str, mode: str) -> None:
        tree = self.twins.look()
        around = self.surroundings
        if around.cwd != "." and tree.nodes.get(around.cwd, ("",))[0] != "directory":
            self.surroundings = around = replace(around, cwd=".")
        words = ("sh", str(self.twins.here / SCRIPT))
        env = {**self._env, VARIABLE: around.colour}
        command = Command(words, around.cwd, env, around.stdio, holding(around.held))
        launcher = self._launcher
        if around.prefix:
            launcher = launcher.within(around.prefix)
        started = self._verb(launcher, verb, mode)
        result, faults = self.twins.compare(
            command,
            launcher.plain,
            started,
            any(line.timed or line.unknown for line in self.script),
        )
        self._tally.steps[verb] += 1
        oracle = self._tally.oracle
        call = words, around, around.refused and self._tally.steps.total()
        root, programs = oracle.keys(self.script, call, tree, around.cwd)
        if verb in ("run", "replay"):
            self._tally.root_hits += any(
                d.hit and d.command == " ".join(words) for d in result.decisions
            )
            oracle.judge(root, " ".join(words), programs, result.decisions)
        if verb in ("run", "trace"):
            oracle.recorded(" ".join(words), root, programs, result.refused, verb == "trace")
        if faults:
            text = "\n".join(line.text for line in self.script)
            raise AssertionError(
                f"{verb} ({mode}) in {around}:\n" + "\n".join(faults) + f"\nscript:\n{text}\n"
                f"it said:\n{result.own}"
            )

    def _verb(self, launcher: Launcher, verb: str, mode: str) -> Start | None:
        if verb == "plain":
            return None
        if verb == "replay":
            options = ("-q", "-v", f"--intercept={mode}")
            return lambda *call: launcher.replay(*call, options=options)
        recorded = launcher.trace if verb == "trace" else launcher.run
        return lambda *call: recorded(*call, options=("-q", "--explain"))


def void(_: object) -> None:
    """For calls whose result does not matter."""
