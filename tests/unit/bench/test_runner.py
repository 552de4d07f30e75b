"""Measuring: phases, interleaving, and above all that a wrong result does not pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import config
from bench.config import PhaseName, Workload
from bench.inputs import NoInput
from bench.measure import measure
from bench.results import Sample
from bench.runner import Runner, Selection
from bench.tools import Place, Tool
from tests.unit.bench.lab import SCRIPT, TOML, workload

pytestmark = pytest.mark.system_files

MASKED = TOML.replace("[verify]", '[verify]\nignore = ["out/noise"]')


class Spoiler(Tool):
    """Runs the command, then something that spoils its result."""

    name = "spoiler"
    phases = frozenset(config.PHASES)

    def __init__(self, spoil: str) -> None:
        self._spoil = spoil

    def command(self, phase: PhaseName, argv: list[str], place: Place) -> list[str]:
        return ["sh", "-c", f'"$@"; {self._spoil}', "sh", *argv]


def run(
    base: Path,
    loaded: Workload,
    *tools: Tool,
    phases: tuple[PhaseName, ...],
    reps: int = 1,
    once: frozenset[str] = frozenset(),
) -> tuple[list[Sample], list[str]]:
    """Samples and what the progress said."""
    said: list[str] = []
    selection = Selection([Tool(), *tools], once, phases, reps)
    samples = list(Runner(base / "work", said.append).run(loaded, selection))
    assert len(said) == len(list(selection.runs(loaded)))
    return samples, said


def test_right_results_pass_in_every_phase(tmp_path: Path) -> None:
    loaded = workload(tmp_path, toml=MASKED)
    samples, _ = run(tmp_path, loaded, Spoiler("true"), phases=config.PHASES)
    assert [sample.wrong for sample in samples if sample.wrong] == []
    assert {s.phase for s in samples if s.tool == "spoiler"} == set(config.PHASES)
    assert {s.phase for s in samples if s.tool == "plain"} == set(config.PHASES) - {
        "warm",
        "versions",
    }
    assert all(sample.wall > 0 and sample.peak_kib > 0 for sample in samples)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("echo x >>out/1", "out/1: other content"),
        ("rm out/1", "out/1: missing"),
        ("touch out/new", "out/new: should not be there"),
        ("chmod 644 out/0", "out/0: -rw-r--r-- instead of -rw-------"),
        ("ln -sfn 1 out/link", "out/link: other content"),
        ("rm out/1; mkdir out/1", "out/1: drwxr-xr-x instead of -rw-r--r--"),
        ("echo more", "stdout, line 2: b'more' instead of b''"),
        ("echo more >&2", "stderr, line 2: b'more' instead of b''"),
        ("exit 3", "status 3 instead of 0"),
        ("kill -9 $$", "status -9 instead of 0"),
    ],
)
def test_wrong_results_are_found(tmp_path: Path, spoil: str, message: str) -> None:
    loaded = workload(tmp_path, toml=MASKED)
    samples, _ = run(tmp_path, loaded, Spoiler(spoil), phases=("cold",))
    plain, spoiled = samples
    assert plain.wrong == []
    assert spoiled.wrong == [message]


def test_a_command_that_differs_from_run_to_run_is_found(tmp_path: Path) -> None:
    samples, _ = run(tmp_path, workload(tmp_path), phases=("cold",), reps=2)
    assert [sample.wrong for sample in samples] == [[], ["out/noise: other content"]]


def test_masks_hide_only_what_they_match(tmp_path: Path) -> None:
    toml = TOML.replace("[verify]", '[verify]\nmask = ["^[0-9]{9}$", "[0-9]+ seconds"]')
    script = SCRIPT + 'date +"took %N seconds"\n'
    loaded = workload(tmp_path, toml=toml, script=script)
    samples, _ = run(tmp_path, loaded, Spoiler("echo x >>out/noise"), phases=("cold",), reps=2)
    assert [s.wrong for s in samples if s.tool == "plain"] == [[], []]
    wrong = [s.wrong for s in samples if s.tool == "spoiler"]
    assert wrong == [["out/noise: other content"]] * 2


def test_lines_may_come_in_any_order_where_the_workload_says_so(tmp_path: Path) -> None:
    toml = MASKED.replace("[verify]", '[verify]\nstreams = "lines"')
    script = SCRIPT + "echo 1\necho 2\n"
    loaded = workload(tmp_path, toml=toml, script=script)
    backwards = Spoiler("true")
    backwards.command = (  # type: ignore[method-assign]
        lambda phase, argv, place: ["sh", "-c", '"$@" | tac', "sh", *argv]
    )
    samples, _ = run(tmp_path, loaded, backwards, phases=("cold",))
    assert samples[1].wrong == []


def test_tools_take_turns(tmp_path: Path) -> None:
    loaded = workload(tmp_path, toml=MASKED)
    _, said = run(tmp_path, loaded, Spoiler("true"), phases=("cold", "edit"), reps=2)
    assert said == [
        "copies: plain, cold (1)",
        "copies: spoiler, cold (1)",
        "copies: plain, edit (1)",
        "copies: spoiler, edit (1)",
        "copies: spoiler, cold (2)",
        "copies: plain, cold (2)",
        "copies: spoiler, edit (2)",
        "copies: plain, edit (2)",
    ]


def test_a_tool_has_all_phases_in_one_go_where_they_build_on_each_other(tmp_path: Path) -> None:
    toml = TOML.replace("[verify]", '[verify]\nignore = ["out/noise"]')
    script = SCRIPT.replace("mkdir out", "mkdir -p out") + "echo more >>out/log\n"
    phases: tuple[PhaseName, ...] = ("cold", "again", "third", "warm", "edit")
    samples, _ = run(
        tmp_path,
        workload(tmp_path, toml=toml, script=script.replace("ln -s", "ln -sfn")),
        Spoiler("true"),
        phases=phases,
    )
    assert [sample.tool for sample in samples] == ["plain"] * 4 + ["spoiler"] * 5
    assert [sample.wrong for sample in samples if sample.wrong] == []
    assert (tmp_path / "work/tree/out/log").read_text() == "more\n"


def test_what_two_plain_runs_leave_differently_is_not_compared(tmp_path: Path) -> None:
    loaded = workload(tmp_path, script=SCRIPT.replace("mkdir out", "mkdir -p out; rm -f out/link"))
    runner = Runner(tmp_path / "work", lambda _: None)
    selection = Selection([Tool(), Spoiler("true")], frozenset(), ("cold", "again"), 1)
    samples = list(runner.run(loaded, selection))
    assert runner.unsteady == {"copies": ["out/noise"]}
    assert [sample.wrong for sample in samples if sample.wrong] == []


def test_a_tool_may_be_measured_only_once(tmp_path: Path) -> None:
    loaded = workload(tmp_path, toml=MASKED)
    once = frozenset(["spoiler"])
    samples, _ = run(tmp_path, loaded, Spoiler("true"), phases=("cold",), reps=3, once=once)
    assert [s.rep for s in samples if s.tool == "spoiler"] == [0]
    assert [s.rep for s in samples if s.tool == "plain"] == [0, 1, 2]


def test_edits_reach_the_part_of_the_jobs_that_they_say(tmp_path: Path) -> None:
    script = "grep -l edited jobs/* input | wc -l"
    loaded = workload(tmp_path, toml=TOML, script=script)
    seen: dict[str, bytes] = {}

    class Watcher(Tool):
        name = "watcher"
        phases = frozenset(config.PHASES)

        def command(self, phase: PhaseName, argv: list[str], place: Place) -> list[str]:
            done = measure(argv, cwd=place.tree, env={"PATH": "/usr/bin:/bin"}, timeout=10)
            seen[phase] = done.stdout.strip()
            return argv

    run(tmp_path, loaded, Watcher(), phases=("cold", "edit", "edit10", "edit50", "edit90"))
    assert seen == {
        "cold": b"0",
        "edit": b"1",
        "edit10": b"1",
        "edit50": b"5",
        "edit90": b"9",
    }


def test_a_failing_preparation_is_told(tmp_path: Path) -> None:
    toml = TOML + '\n[prepare]\ncommands = [["sh", "-c", "echo so sad; exit 4"]]\n'
    with pytest.raises(NoInput, match=r"status 4\nso sad"):
        run(tmp_path, workload(tmp_path, toml=toml), phases=("cold",))


def test_prepared_input_is_kept_until_the_workload_changes(tmp_path: Path) -> None:
    toml = MASKED + f'\n[prepare]\ncommands = [["sh", "-c", "echo >>{tmp_path}/count"]]\n'
    loaded = workload(tmp_path, toml=toml)
    for times in (1, 1, 2):
        if times == 2:
            (loaded.folder / "files/input").write_text("another\n")
        run(tmp_path, loaded, phases=("cold",))
        assert len((tmp_path / "count").read_text()) == times


def test_measure_limits_and_separates() -> None:
    env = {"PATH": "/usr/bin:/bin"}
    done = measure(
        ["sh", "-c", "echo out; echo err >&2; exit 7"], cwd=Path("/"), env=env, timeout=20
    )
    assert (done.status, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    late = measure(["sh", "-c", "echo out; sleep 60"], cwd=Path("/"), env=env, timeout=0.5)
    assert (late.status, late.wall, late.stdout) == (-9, 0.5, b"out\n")
    assert late.stderr == b"bench: killed after 0.5 seconds\n"
    with pytest.raises(OSError, match="cannot start no-such-program"):
        measure(["no-such-program"], cwd=Path("/"), env=env, timeout=20)


def test_cpu_time_covers_descendants() -> None:
    spin = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
    done = measure(["sh", "-c", f"sh -c '{spin}'; :"], cwd=Path("/"), env={}, timeout=60)
    assert 0.01 < done.cpu < done.wall * 2
