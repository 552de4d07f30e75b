"""goals.toml and plans.toml: what is accepted, what is refused, and what follows from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import config, goals, plans, tools
from bench.config import PhaseName
from bench.goals import Goal, MicroGoal
from bench.results import Micro
from bench.verdicts import micro_missed, missed_by, summary, verdicts
from tests.unit.bench.lab import GOALS, sample, some_results

WORKLOADS = {workload.name: workload for workload in config.load_all()}


def test_goals_of_the_checkout_are_for_phases_that_are_measured() -> None:
    for goal in goals.load().goals:
        for name in goal.most:
            assert goal.phase in WORKLOADS[name].phases


def test_other_tools_of_the_checkout_are_known() -> None:
    known = {tool.name for tool in tools.all_tools()}
    for goal in goals.load().goals:
        assert set(goal.others) <= known


def test_the_reference_plan_measures_every_goal() -> None:
    chosen = {
        workload.name: part
        for workload, part in plans.load()["reference"].selected([*WORKLOADS.values()])
    }
    for goal in goals.load().goals:
        for name in goal.most:
            assert goal.phase in chosen[name].phases and "pcache" in chosen[name].tools
            assert name not in goal.run or "pcache-run" in chosen[name].tools


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[goals]]\ntitle = "a"\nphase = "cold"\nmost = {}\n', "most"),
        ('[[goals]]\ntitle = "a"\nphase = "hot"\nmost = { a = 1 }\n', "phase"),
        ('[[goals]]\ntitle = "a"\nphase = "cold"\nmost = { a = 0 }\n', "greater than 0"),
        (
            '[[goals]]\ntitle = "a"\nphase = "cold"\nmost = { a = 1 }\nothers = { b = [2, 1] }\n',
            "2.0 is more than 1.0",
        ),
        (
            '[[goals]]\ntitle = "a"\nphase = "cold"\nmost = { a = 1 }\nothers.b = { c = 1 }\n',
            "which have no goal",
        ),
        (
            '[[goals]]\ntitle = "a"\nphase = "cold"\nmost = { a = 1 }\nrun = { b = 1 }\n',
            "which have no other",
        ),
        ('[[micro]]\nname = "a"\nwhat = "b"\n', "either `most` or `least`"),
        ('[[micro]]\nname = "a"\nwhat = "b"\nmost = 1\nleast = 1\n', "either `most` or `least`"),
        ("[[goal]]\n", "goal"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "goals.toml"
    path.write_text(text)
    with pytest.raises(goals.BadGoals, match=message):
        goals.load(path)


def test_figures_of_others_are_for_one_workload_or_for_all() -> None:
    (goal,) = GOALS.goals
    assert goal.of_others("w") == {"riker": (0.3, 0.3), "firebuild": (0.4, 0.5)}
    assert goal.of_others("absent") == {"riker": (0.3, 0.3)}


def test_verdicts() -> None:
    plain = sample("plain", 1.0), sample("plain", 1.0, rep=1)

    def verdict(*walls: float, wrong: str = "") -> tuple[bool | None, str]:
        measured = [
            sample("pcache", wall, phase="warm", rep=rep, wrong=wrong)
            for rep, wall in enumerate(walls)
        ]
        first, run, second = verdicts(some_results(*plain, *measured))
        assert [one.way for one in (first, run, second)] == ["replay", "run", "replay"]
        for absent in (run, second):
            assert (absent.met, absent.text) == (None, "not measured")
        return first.met, first.text

    assert verdict(0.09, 0.11) == (True, "met")
    assert verdict(0.12, 0.12) == (False, "missed by 0.02 (20%)")
    assert verdict(0.09, 0.15) == (False, "missed by 0.02 (20%), within the spread")
    assert verdict(0.25, 0.35) == (False, "missed by a factor of 3.0")
    assert verdict(0.05, 0.05, wrong="out: missing") == (False, "WRONG RESULT")
    assert missed_by(1.12, 1.05) == "0.07 (7%)"


def test_other_tools_stand_beside_the_verdict() -> None:
    shown = some_results(
        sample("plain", 1.0),
        sample("pcache", 0.05, phase="warm"),
        sample("pcache-run", 0.2, phase="warm"),
        sample("ccache", 0.2, phase="warm"),
        sample("ccache", 1.2),
    )
    first, run, _ = verdicts(shown)
    for verdict in (first, run):
        assert [(row.tool, row.phase) for row in verdict.others] == [("ccache", "warm")]
    assert (first.met, run.met) == (True, False)
    assert summary(shown) == (
        "1 of 2 goals of workloads met; 0 of 1 goals of micro benchmarks met; "
        "every result was that of the plain command"
    )


def test_micro_goals_are_from_above_or_from_below() -> None:
    row = Micro(name="a", what="b", value=1, unit="s", spread=(1, 1), reference="c", ratio=1.2)
    for goal, missed in (
        (MicroGoal(name="a", what="b", most=1.3), False),
        (MicroGoal(name="a", what="b", most=1.1), True),
        (MicroGoal(name="a", what="b", least=1.1), False),
        (MicroGoal(name="a", what="b", least=1.3), True),
    ):
        assert micro_missed(goal, row) is missed
    assert not micro_missed(None, row)


def test_goals_are_found_by_workload_and_phase() -> None:
    assert GOALS.most("w", "warm", "pcache") == 0.1
    assert GOALS.most("w", "warm", "pcache-run") == 0.15
    assert GOALS.most("w", "warm", "ccache") is None
    phases: tuple[PhaseName, ...] = ("cold", "edit")
    assert [GOALS.most("w", phase, "pcache") for phase in phases] == [None, None]
    assert GOALS.most("other", "warm", "pcache") is None
    assert isinstance(GOALS.goals[0], Goal)


def test_every_plan_of_the_checkout_can_be_carried_out() -> None:
    known = {tool.name for tool in tools.all_tools()} | {"*"}
    for plan in plans.load().values():
        assert plan.selected([*WORKLOADS.values()])
        for part in plan.parts:
            assert {*part.tools, *part.once} <= known
    full = plans.load()["full"]
    assert {workload.name for workload, _ in full.selected([*WORKLOADS.values()])} == set(WORKLOADS)


def test_a_plan_for_some_workloads_and_with_other_choices() -> None:
    quick = plans.load()["quick"]
    lua, redis = WORKLOADS["lua"], WORKLOADS["redis"]
    only = quick.only([lua, redis])
    assert [workload.name for workload, _ in only.selected([*WORKLOADS.values()])] == [
        "lua",
        "redis",  # which the plan does not name
    ]
    changed = only.instead(tools=["ccache"], phases=["warm"], reps=9)
    assert [(part.tools, part.once, part.phases, part.reps) for part in changed.parts] == [
        (["ccache"], [], ["warm"], 9)
    ] * 2
    assert changed.micro_reps == 9
    assert only.instead(tools=[], phases=[], reps=None) == only


@pytest.mark.parametrize(
    "text", ["[a]\n", "[a\n", '[a]\ntitle = "b"\nparts = []\nmicro_reps = 1\n']
)
def test_bad_plans_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plans.toml"
    path.write_text(text)
    with pytest.raises(plans.BadPlans, match=r"plans\.toml"):
        plans.load(path)
