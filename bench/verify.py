"""Whether a run with a tool did what the plain command does."""

from __future__ import annotations

from dataclasses import dataclass

from bench.config import Verify
from bench.measure import Measured
from bench.tree import Comparison, Snapshot, Tree

_SHOWN = 5
_STREAMS = ("stdout", "stderr")


@dataclass(frozen=True)
class Result:
    """What a command leaves behind and says."""

    tree: Snapshot
    status: int
    stdout: bytes
    stderr: bytes


class Verifier:
    """Takes results and compares them, under the rules of one workload."""

    def __init__(self, rules: Verify) -> None:
        self._rules = rules
        self._comparison = Comparison.of(rules.ignore, rules.mask)
        self._unsteady: frozenset[str] = frozenset()

    def result(self, tree: Tree, run: Measured) -> Result:
        """The result of the run that has just ended in `tree`."""
        return Result(
            tree=tree.snapshot(self._comparison),
            status=run.status,
            stdout=self._stream(run.stdout),
            stderr=self._stream(run.stderr),
        )

    def differences(self, right: Result, result: Result) -> list[str]:
        """What is wrong with `result`, in words; nothing if it is right."""
        found = []
        if result.status != right.status:
            found.append(f"status {result.status} instead of {right.status}")
        for name in _STREAMS:
            if name not in self._unsteady and getattr(result, name) != getattr(right, name):
                found.append(_stream_difference(name, getattr(right, name), getattr(result, name)))
        paths = [
            path
            for path in sorted(right.tree.keys() | result.tree.keys())
            if right.tree.get(path) != result.tree.get(path) and path not in self._unsteady
        ]
        for path in paths[:_SHOWN]:
            found.append(_path_difference(path, right.tree.get(path), result.tree.get(path)))
        if len(paths) > _SHOWN:
            found.append(f"and {len(paths) - _SHOWN} more paths")
        return found

    def leave_out(self, one: Result, other: Result) -> list[str]:
        """What differs between two results that are both right, which is not compared any more."""
        paths = {
            path
            for path in one.tree.keys() | other.tree.keys()
            if one.tree.get(path) != other.tree.get(path)
        }
        streams = {name for name in _STREAMS if getattr(one, name) != getattr(other, name)}
        self._unsteady = frozenset(paths | streams)
        return sorted(self._unsteady)

    def _stream(self, data: bytes) -> bytes:
        data = self._comparison.masked(data)
        if self._rules.streams == "lines":
            return b"".join(sorted(data.splitlines(keepends=True)))
        return data


def _path_difference(path: str, right: tuple[str, str] | None, got: tuple[str, str] | None) -> str:
    if got is None:
        return f"{path}: missing"
    if right is None:
        return f"{path}: should not be there"
    if got[0] != right[0]:
        return f"{path}: {got[0]} instead of {right[0]}"
    return f"{path}: other content"


def _stream_difference(name: str, right: bytes, got: bytes) -> str:
    pairs = zip([*right.splitlines(), b""], [*got.splitlines(), b""], strict=False)
    for number, (expected, line) in enumerate(pairs, 1):
        if expected != line:
            return f"{name}, line {number}: {line[:80]!r} instead of {expected[:80]!r}"
    return f"{name}: {len(got)} bytes instead of {len(right)}"
