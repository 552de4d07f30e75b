"""Whatever breaks inside of pcache, at whatever stage: the command runs and its status counts."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.unit.enforce.lab import HERE, PYTHON, Lab
from tests.unit.enforce.records import Records

TIMEOUT = 20
SCRIPT = "real a; echo $?; real b; echo $?; exit 5"
PRINTED = ("out\n7\n99\n", "99\n99\n", "out\n99\n99\n")
"""A fault may keep `real a` from being replayed; where only its end fails, its output is there."""

REPLAY: dict[str, str] = {
    "linux.user": "User.current",
    "settings.config": "load",
    "store.index": "Store.open Store.path_sets Store.outcome Store.touch Store.close",
    "store.blobs": "Blobs.small",
    "memo.facts": "Facts.values",
    "memo.decide": "weak_fingerprint let_time_pass",
    "memo.restore": "Plan.prepare Plan.commit Plan.conclude Plan.writes Plan.abandon",
    "enforce.filter": "load_refusals load",
    "enforce.startup": "learn",
    "enforce.spawn": "_install Guardian",
    "enforce.guardian": "_guard Guardian.handling Guardian.close",
    "enforce.sentinel": "Sentinel.fork",
    "enforce.supervisor": "Supervisor._turn Supervisor._receive Supervisor._leave",
    "enforce.children": "Children.arrange_signals Children.reap",
    "enforce.decisions": "Decisions.decide Decisions._look_up",
    "enforce.hits": "Hits.start Hits._advance Hits._end",
    "enforce.job": "Job.__init__ Job.begin Job.place Job.write Job.finish Job.close",
    "enforce.streams": "Stream.__init__ Stream.write",
    "enforce.task": "Process.image Task.check_inherited",
    "enforce.task_descriptors": "TaskFds.kinds TaskFds.close",
    "enforce.tracee": "stop _exit _prepare",
    "enforce.notify": "Listener.receive Listener.valid",
    "enforce.syscalls": "become_subreaper pidfd_getfd",
    "session.verbs.replay": "Replay._report",
    "session.steps.reporting": "write_json",
}
"""Functions that fail, by module."""


def stages(functions: dict[str, str]) -> list[str]:
    return [f"{module}:{name}" for module in functions for name in functions[module].split()]


class Faulty:
    """Runs pcache with a fault."""

    def __init__(self, records: Records, library: Path) -> None:
        self.records = records
        self.library = library

    def __call__(self, fault: str, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        launcher = [PYTHON, "-IS", str(HERE / "fault_launcher.py"), str(self.library)]
        return subprocess.run(
            [*launcher, sysconfig.get_path("platlib"), fault, verb, *words],
            cwd=self.records.directory,
            env=self.records.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )


@pytest.fixture
def faulty(lab: Lab, pcache: str, tmp_path: Path) -> Faulty:
    records = Records(tmp_path, lab, pcache)
    records.record(["real", "a"], 7 << 8, {"made": b"made\n"}, ((1, b"out\n"),))
    return Faulty(records, Path(pcache).parent / "lib")


def check(done: subprocess.CompletedProcess[str], printed: tuple[str, ...] = PRINTED) -> None:
    assert done.returncode == 5, done.stderr
    assert done.stdout in printed, done.stderr
    assert "Traceback" not in done.stderr
    assert all(line.startswith("pcache: ") for line in done.stderr.splitlines()), done.stderr
    assert len(done.stderr.splitlines()) <= 3


@pytest.mark.parametrize("kind", ["bug", pytest.param("full", marks=pytest.mark.slow)])
@pytest.mark.parametrize("stage", stages(REPLAY))
def test_replay(faulty: Faulty, stage: str, kind: str) -> None:
    for number in (1, 2):
        fault = f"pcache.{stage}:{number}:{kind}"
        check(faulty(fault, "replay", "-q", "--json", "counters", "sh", "-c", SCRIPT))
        (faulty.records.directory / "made").unlink(missing_ok=True)
