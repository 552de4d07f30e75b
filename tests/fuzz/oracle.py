"""A perfect oracle: which executions have the call and all inputs of one that was recorded before.

It follows a script's lines symbolically.  The state of a path is a digest: of what is there before
the script runs, or of the line that wrote it and all that this line depended on.  Where it does not
know what a line reads it takes the whole tree, so it is meant to err by calling something new,
never by calling something known that is not.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tests.fuzz.line import DIRECTORY_LINK, LINK, Line
from tests.lib.launch import Decision
from tests.lib.tree import Node, Snapshot

Key = str

_PUBLISH_TIMES = ("tar ", "gzip ", "cp -p ", "stat ", "mv ", "rename(", "touch -", "cp --")
"""In lines whose programs pass on modification times (a rename leaves them as they are)."""


def _digest(*parts: object) -> Key:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


class State:
    """What the paths of a tree hold while a script runs."""

    def __init__(self, tree: Snapshot, cwd: str) -> None:
        self._nodes: Mapping[str, tuple[object, ...]] = {
            name: _meaning(node) for name, node in tree.nodes.items()
        }
        self._times = {
            name: node.mtime for name, node in tree.nodes.items() if node.kind != "directory"
        }
        self._all_times = {name: node.mtime for name, node in tree.nodes.items()}
        self._cwd = cwd
        self._written: dict[str, tuple[Key, object]] = {}
        """Path -> digest of its content, what is known of its type and mode."""
        self._lines: list[Key] = []
        # Several names of one file, or links that are not followed here: anything may be anywhere.
        self._vague = any(node.links for node in tree.nodes.values())

    def absolute(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self._cwd, path))

    def read(self, paths: Iterable[str] | None) -> Key:
        """Digest of all that is at these paths and below; None is everything."""
        if paths is None or self._vague:
            return _digest(sorted(self._nodes.items()), self._lines)
        names = [self.absolute(path) for path in paths]
        if any(_leads_elsewhere(name) for name in names):
            return _digest(sorted(self._nodes.items()), self._lines)
        return _digest([(name, self._value(name)) for name in names])

    def times(self, line: Line) -> object:
        """Modification times that are inputs of the line: those of what was there before.

        Of what make(1) looks at, which is newer than which.
        """
        if "make " in line.text:
            return self._order(self.absolute("s"))
        if not (line.timed or any(word in line.text for word in _PUBLISH_TIMES)):
            return None
        names = None if self._vague else [self.absolute(path) for path in line.reads or ()]
        times = self._all_times if line.timed else self._times
        if not names or any(_leads_elsewhere(name) for name in names):
            return sorted(times.items())
        return [
            item
            for item in sorted(times.items())
            if not self._written.keys() & {*_upwards(item[0])}
            and any(item[0] == name or item[0].startswith(name + "/") for name in names)
        ]

    def _order(self, top: str) -> object:
        """The names below a directory from old to new, those of the same time together."""
        names: dict[int, list[str]] = {}
        for name, time in sorted(self._times.items()):
            if name.startswith(f"{top}/") and not self._written.keys() & {*_upwards(name)}:
                names.setdefault(time, []).append(name)
        return [names[time] for time in sorted(names)]

    def form(self, path: str) -> object:
        """What is there but for its content: type, mode, other names, attributes."""
        name = self.absolute(path)
        for at in _upwards(name):
            if at in self._written:
                return self._written[at][1] if at == name else (at, self._written[at])
        node = self._nodes.get(name)
        return (node[0], node[1], node[3:5]) if node else None

    def ran(self, line: Line, key: Key) -> None:
        """The line has run: what it may have written is what its key says."""
        if line.text.startswith("ln ") or "bin" in line.text:
            self._vague = True
        if line.redirected is not None:
            form = self.form(line.redirected) or "a new file"
            self._written[self.absolute(line.redirected)] = _digest(key, form), form
        for path in line.writes:
            self._written[self.absolute(path)] = _digest(key, path), _digest(key, path)
        self._lines.append(key)

    def _value(self, name: str) -> object:
        for at in _upwards(name):
            if at in self._written and at != name:
                return at, self._written[at]
        below = name + "/"
        return (
            self._written.get(name) or self._nodes.get(name),
            [self._nodes.get(at) for at in _upwards(name)],
            sorted(item for item in self._nodes.items() if item[0].startswith(below)),
            sorted(item for item in self._written.items() if item[0].startswith(below)),
        )


def _meaning(node: Node) -> tuple[object, ...]:
    return node.kind, node.mode, node.content, node.links, node.attributes, node.blocks


def _upwards(name: str) -> Iterable[str]:
    """The path and the directories above it."""
    while name not in ("", ".", ".."):
        yield name
        name = posixpath.dirname(name)


def _leads_elsewhere(name: str) -> bool:
    parts = name.split("/")
    return LINK in parts or DIRECTORY_LINK in parts or ".." in parts


class Oracle:
    """What was recorded so far, and how often pcache made use of it."""

    def __init__(self) -> None:
        self._runs = 0
        """How many runs there were: what tells lines apart that no oracle can foresee."""
        self._seen: dict[Key, str] = {}
        """Key -> why it was not recorded the last time, or empty."""
        self.known = 0
        """Decisions about executions that had been recorded with the same inputs."""
        self.hits = 0
        """How many of those hit."""
        self.lost: Counter[str] = Counter()
        """The others: command, why it missed, why it had not been recorded if it had not."""

    def add(self, other: Oracle) -> None:
        """What another one has counted, too."""
        self.known += other.known
        self.hits += other.hits
        self.lost += other.lost

    def forget(self) -> None:
        """Nothing is recorded any more."""
        self._seen.clear()

    def keys(
        self, script: Sequence[Line], around: object, tree: Snapshot, cwd: str
    ) -> tuple[Key, list[tuple[str, Key]]]:
        """Keys of the script itself and of what it starts, in order: (program, key).

        around: command line, environment and descriptors.  tree: before it runs.
        """
        state = State(tree, cwd)
        self._runs += 1
        programs: list[tuple[str, Key]] = []
        everything: list[object] = [around, cwd, [line.text for line in script]]
        for line in script:
            places = (*line.writes, *([line.redirected] if line.redirected else []))
            forms = [state.form(path) for path in places]
            parents = [state.form(os.path.dirname(path) or ".") for path in places]
            key = _digest(
                line.text,
                around,
                cwd,
                state.read(line.reads),
                state.times(line),
                parents,
                line.unknown and self._runs,
            )
            programs += [(program, key) for program in line.programs]
            everything += [key, forms]
            state.ran(line, key)
        return _digest(everything), programs

    def judge(
        self, root: Key, command: str, programs: Sequence[tuple[str, Key]], made: Sequence[Decision]
    ) -> None:
        """Counts what was decided in one run."""
        of: dict[str, list[Decision]] = {}
        for decision in made:
            of.setdefault(decision.command, []).append(decision)
        wanted: dict[str, list[Key]] = {command: [root]}
        if not any(decision.hit for decision in of.get(command, ())):
            for program, key in programs:
                wanted.setdefault(program, []).append(key)
        for program, keys in wanted.items():
            decisions = of.get(program, [])
            if len(decisions) != len(keys):
                continue  # it did not start, or is started by others too: whose is which?
            for key, decision in zip(keys, decisions, strict=True):
                if key not in self._seen:
                    continue
                self.known += 1
                if decision.hit:
                    self.hits += 1
                else:
                    why = f"{program}   {decision.why}   {self._seen[key]}"
                    self.lost[why] += 1

    def recorded(
        self,
        command: str,
        root: Key,
        programs: Iterable[tuple[str, Key]],
        refused: Mapping[str, str],
        passive: bool,
    ) -> None:
        """The script was run under the recorder, which may have given reasons not to record.

        A passive one (`trace`) cannot look at what programs are going to replace before they do, so
        what it had to refuse counts for nothing: the rate is that of `run` and `replay`.
        """
        for program, key in [(command, root), *programs]:
            if not (passive and program in refused):
                self._seen[key] = refused.get(program, "")

    @property
    def rate(self) -> float:
        return self.hits / self.known if self.known else 0.0
