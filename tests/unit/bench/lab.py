"""What the tests of the bench harness share: small workloads, made-up results."""

from __future__ import annotations

from pathlib import Path

from bench import results
from bench.config import PhaseName, Workload, load
from bench.goals import Goal, Goals, MicroGoal

TOML = """
title = "copies"
group = "scripts"

[run]
command = ["sh", "run.sh"]

[edit]
file = "input"
append = "edited {n}\\n"

[jobs]
files = "jobs/*"
append = "edited {n}\\n"

[versions]
count = 2

[verify]
"""
SCRIPT = """
cat input
mkdir out
for job in jobs/*; do cp "$job" out/; done
chmod 600 out/0
ln -s 0 out/link
date +%N >out/noise
echo done >&2
"""


def workload(base: Path, *, toml: str = TOML, script: str = SCRIPT) -> Workload:
    """A workload in a folder of its own below `base`."""
    folder = base / "copies"
    (folder / "files/jobs").mkdir(parents=True)
    (folder / "bench.toml").write_text(toml)
    (folder / "files/run.sh").write_text(script)
    (folder / "files/input").write_text("input\n")
    for number in range(10):
        (folder / f"files/jobs/{number}").write_text(f"job {number}\n")
    return load(folder)


def sample(
    tool: str, wall: float, *, phase: PhaseName = "cold", rep: int = 0, wrong: str = ""
) -> results.Sample:
    """A run of the workload `w`."""
    return results.Sample(
        workload="w",
        tool=tool,
        phase=phase,
        rep=rep,
        wall=wall,
        cpu=wall / 2,
        peak_kib=2048,
        counters={
            "hits": 3,
            **({"events": 70, "milliseconds after": 40} if tool == "pcache" else {}),
        },
        wrong=[wrong] if wrong else [],
    )


GOALS = Goals(
    measured="measured elsewhere",
    goals=[
        Goal(
            title="a goal",
            phase="warm",
            most={"w": 0.1, "absent": 0.2, "not chosen": 0.3},
            run={"w": 0.15},
            others={"riker": 0.3, "firebuild": {"w": (0.4, 0.5)}},
            remark="a remark",
            why="it does too much",
        )
    ],
    micro=[MicroGoal(name="hashing", what="pcache", most=1.0, why="it reads twice")],
)


def some_results(*samples: results.Sample) -> results.Results:
    """Results with these samples, a goal for warm, a micro benchmark and something absent."""
    return results.Results(
        date="2024-01-01T00:00:00+00:00",
        plan="quick",
        machine=results.Machine(
            kernel="Linux 6.1",
            distribution="Debian",
            cpu="CPU <fast> | cheap",
            cpus=2,
            memory_mib=1024,
            python="3.11",
            revision="abc",
        ),
        goals=GOALS,
        workloads={
            "w": results.WorkloadInfo(title="a workload", group="scripts", packages={"gcc": "12"})
        },
        tools={
            "plain": results.ToolInfo(title="itself"),
            "pcache": results.ToolInfo(title="what is measured", version="pcache 1"),
            "riker": results.ToolInfo(title="another", absent="rkr is not installed"),
        },
        skipped={"absent": "needs the packages gcc"},
        samples=list(samples),
        micro=[
            results.Micro(
                name="hashing",
                what="pcache",
                value=9.0,
                unit="GiB/s",
                spread=(8.0, 10.0),
                reference="xxhsum",
                ratio=1.25,
            )
        ],
    )
