"""What the micro benchmarks share: compiled probes, pcache with a store of its own, medians."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.measure import Measured, measure
from bench.results import Micro, Spread
from bench.runner import base_env
from bench.tools import Pcache, PcacheRun, Place

_TIMEOUT = 300.0
PROBES = ("spawn", "reader", "syscalls")


class Lab:
    """A folder to work in, emptied at the start."""

    def __init__(self, work: Path, pcache: Pcache, reps: int) -> None:
        self.folder = work / "micro"
        self.reps = reps
        self._pcache = pcache
        self._pcache_run = PcacheRun(pcache.launcher)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._place = Place(
            self.folder, self.folder, self.folder / "store", self.folder / "report.json"
        )
        home = self.folder / "home"
        home.mkdir()
        self._base = base_env(home)
        for name in PROBES:
            source = Path(__file__).with_name(f"{name}.c")
            subprocess.run(
                ["gcc", "-O2", "-o", self.probe(name), source], check=True, capture_output=True
            )

    def probe(self, name: str) -> str:
        """Path of a compiled probe."""
        return str(self.folder / name)

    @property
    def store(self) -> Path:
        """What `trace` records into."""
        return self._place.store / "pcache"

    def forget(self) -> None:
        """Empty the store."""
        self._pcache.empty(self._place)

    def plain(self, *command: str, env: Mapping[str, str] | None = None) -> Measured:
        """Run without pcache."""
        return self._run(command, env)

    def trace(self, *command: str, env: Mapping[str, str] | None = None) -> Measured:
        """Record."""
        return self._run(self._pcache.command("cold", list(command), self._place), env)

    def replay(
        self, *command: str, options: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> Measured:
        """Replay."""
        argv = [*options, *command]
        return self._run(self._pcache.command("warm", argv, self._place), env)

    def run(self, *command: str) -> Measured:
        """Replay or record."""
        return self._run(self._pcache_run.command("warm", list(command), self._place), None)

    def verb(self, *words: str) -> Measured:
        """Run pcache with these words."""
        return self._run([*self._pcache.launcher, *words], None)

    def counter(self, name: str, table: str = "counters") -> float:
        """A counter of the last `trace` or `replay`."""
        return float(json.loads(self._place.report.read_text())[table][name])

    def interleaved(self, *actions: Callable[[], float]) -> list[Spread]:
        """Do all actions in turn, `reps` times; what each returned."""
        rounds = [[action() for action in actions] for _ in range(self.reps)]
        return [Spread.of(values) for values in zip(*rounds, strict=True)]

    def _run(self, command: Sequence[str], env: Mapping[str, str] | None) -> Measured:
        full = self._pcache.env({**self._base, **(env or {})}, self._place)
        run = measure(command, cwd=self.folder, env=full, timeout=_TIMEOUT)
        if run.status:
            text = run.stderr.decode(errors="replace")
            raise RuntimeError(f"{' '.join(command)}: status {run.status}\n{text}")
        return run


def row(
    name: str,
    what: str,
    value: Spread,
    unit: str,
    *,
    relative_to: tuple[str, Spread] | None = None,
) -> Micro:
    """A result."""
    reference, base = relative_to or ("", None)
    return Micro(
        name=name,
        what=what,
        value=value.median,
        unit=unit,
        spread=(value.low, value.high),
        reference=reference,
        ratio=value.median / base.median if base else None,
    )
