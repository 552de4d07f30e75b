"""Ratios, reports and comparisons drawn from results."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import pytest
from rich.console import Console

from bench import results
from bench.cli import main
from bench.config import PHASES, PhaseName
from bench.report import comparison, files, html, markdown, terminal
from bench.report.plots import Plot, plots
from bench.report.plots.style import LOOKS
from bench.report.text import HEADINGS, lines
from bench.tools import all_tools
from tests.unit.bench.lab import sample, some_results

GOOD = some_results(
    sample("plain", 2.0),
    sample("plain", 4.0, rep=1),
    sample("pcache", 2.2),
    sample("pcache", 4.8, rep=1),
    sample("pcache", 0.1, phase="warm"),
    sample("pcache", 0.3, phase="warm", rep=1),
    sample("ccache", 1.0, phase="warm"),
)
WRONG = some_results(sample("plain", 2.0), sample("pcache", 2.2, wrong="out/1: missing"))

EVERY_PHASE = some_results(
    *(sample("plain", 1.0, phase=phase) for phase in PHASES),
    *(sample(tool, 0.5, phase=phase) for tool in ("pcache", "ccache") for phase in PHASES),
)


def text_of(shown: results.Results) -> str:
    text = io.StringIO()
    terminal.show(shown, Console(file=text, width=200))
    return text.getvalue()


def test_ratios_pair_runs_of_the_same_repetition() -> None:
    rows = {(row.tool, row.phase): row for row in results.rows(GOOD)}
    cold = rows["pcache", "cold"]
    assert cold.wall == results.Spread(pytest.approx(1.15), pytest.approx(1.1), pytest.approx(1.2))
    assert cold.goal is None and not cold.missed
    warm = rows["pcache", "warm"]
    assert (warm.wall.low, warm.wall.high) == (pytest.approx(0.05), pytest.approx(0.075))
    assert warm.goal == 0.1 and not warm.missed
    assert rows["ccache", "warm"].goal is None
    assert rows["plain", "cold"].wall == results.Spread(1.0, 1.0, 1.0)


def test_a_missed_goal_shows() -> None:
    slow = some_results(sample("plain", 1.0), sample("pcache", 0.2, phase="warm"))
    assert "missed by a factor of 2.0" in text_of(slow)
    good = text_of(GOOD)
    assert " met " in good and "0 of 1 goals of micro benchmarks met" in good
    assert "<= 1 MISSED" in good  # the micro benchmark
    assert "riker 0.3, firebuild 0.4-0.5, a remark" in good


def test_why_a_goal_is_missed_shows_if_it_is() -> None:
    slow = some_results(sample("plain", 1.0), sample("pcache", 0.2, phase="warm"))
    for shown in (text_of(slow), markdown.render(slow), html.render(slow, [])):
        assert "a goal for w (replay): it does too much" in shown
        assert "hashing, pcache: it reads twice" in shown
    for shown in (text_of(GOOD), markdown.render(GOOD), html.render(GOOD, [])):
        assert "it does too much" not in shown


def test_the_terminal_shows_wrong_results_and_what_is_absent() -> None:
    shown = text_of(WRONG)
    assert "WRONG RESULT: w, pcache, cold: out/1: missing" in shown
    assert "not measured: rkr is not installed" in shown
    assert "1 runs with a WRONG RESULT" in shown


def test_what_recording_took_has_columns() -> None:
    line = next(line for line in lines(GOOD) if line.cells[1:3] == ("cold", "pcache"))
    shown = dict(zip(HEADINGS, line.cells, strict=True))
    wanted = {"after exit s": "0.04", "events": "70", "lost": "0", "peak MB": "2", "runs": "2"}
    assert {name: shown[name] for name in wanted} == wanted
    plain = next(line for line in lines(GOOD) if line.cells[2] == "plain")
    assert dict(zip(HEADINGS, plain.cells, strict=True))["events"] == ""


def test_markdown_tables_are_whole() -> None:
    text = markdown.render(WRONG, [("a plot", "plot.svg")])
    assert "## Wrong results\n\n- w, pcache, cold: out/1: missing" in text
    assert "![a plot](plot.svg)" in text
    tables = [part for part in text.split("\n\n") if part.startswith("|")]
    assert len(tables) == 5  # goals, numbers, micro benchmarks, workloads, tools
    for table in tables:
        bars = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(bars) == 1


def test_html_is_one_page_with_plots() -> None:
    page = html.render(GOOD, list(plots(GOOD)))
    names = ["goals-replay", "phase-cold", "phase-warm", "micro"]
    assert [part.partition('"')[0] for part in page.split('<figure id="')[1:]] == names
    assert page.count("<svg") == len(names)
    assert "CPU &lt;fast&gt;" in page and "<fast>" not in page
    assert "src=" not in page and "<link" not in page
    assert "Wrong results" not in page
    assert "Wrong results" in html.render(WRONG, [])


EVERY_PLOT = ["goals-replay", "parts", *(f"phase-{phase}" for phase in PHASES), "micro"]


@pytest.fixture(scope="module")
def drawn() -> list[list[Plot]]:
    """All plots, twice: drawing takes seconds."""
    return [list(plots(EVERY_PHASE)) for _ in range(2)]


@pytest.mark.parametrize("number", range(len(EVERY_PLOT)), ids=EVERY_PLOT)
def test_plots_are_whole_and_always_the_same(drawn: list[list[Plot]], number: int) -> None:
    plot, again = (all_of_them[number] for all_of_them in drawn)
    element = ElementTree.fromstring(plot.svg)
    assert element.tag.endswith("svg")
    assert plot.title and plot.caption
    assert again.svg == plot.svg


def test_there_is_a_plot_for_everything(drawn: list[list[Plot]]) -> None:
    assert [plot.name for plot in drawn[0]] == EVERY_PLOT
    assert list(plots(some_results(sample("plain", 1.0)).model_copy(update={"micro": []}))) == []


def test_tools_differ_in_colour_and_in_shape() -> None:
    looks = [LOOKS[tool.name] for tool in all_tools() if tool.name != "plain"]
    assert (
        len({look.colour for look in looks}) == len({look.marker for look in looks}) == len(looks)
    )


def test_reports_are_written_beside_the_results(tmp_path: Path) -> None:
    page = files.write(GOOD, tmp_path / "good.json")
    assert {path.name for path in tmp_path.iterdir()} == {
        "good.md",
        "good.html",
        "good-goals-replay.svg",
    }
    assert page.name == "good.html"
    assert "(good-goals-replay.svg)" in (tmp_path / "good.md").read_text()


def test_compare_tells_noise_from_change() -> None:
    new = some_results(
        sample("plain", 1.0),
        sample("plain", 1.0, rep=1),
        sample("pcache", 2.0),
        sample("pcache", 2.2, rep=1),
        sample("pcache", 0.06, phase="warm"),
    )
    cold, micro, warm = comparison.compare(GOOD, new)
    assert (micro.workload, micro.factor) == ("hashing (GiB/s)", 1.0)
    assert (cold.phase, cold.clear) == ("cold", True)
    assert cold.factor == pytest.approx(2.1 / 1.15)
    assert (warm.phase, warm.clear) == ("warm", False)
    text = io.StringIO()
    new.machine.kernel = "Linux 6.18"
    new.tools["pcache"].version = "pcache 2"
    comparison.show(GOOD, new, Console(file=text, width=150))
    (line,) = [line for line in text.getvalue().splitlines() if "pcache" in line and "cold" in line]
    assert line.split()[-1] == "more"
    assert "not the same: kernel: Linux 6.1 / Linux 6.18" in text.getvalue()
    assert "not the same: pcache: pcache 1 / pcache 2" in text.getvalue()


def test_results_survive_a_file(tmp_path: Path) -> None:
    results.write(GOOD, tmp_path / "new/results.json")
    assert results.read(tmp_path / "new/results.json") == GOOD


@pytest.mark.parametrize("content", ["", "[]", '{"format": 2}'])
def test_other_files_are_no_results(tmp_path: Path, content: str) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(results.BadResults, match=r"results\.json"):
        results.read(tmp_path / "results.json")


def test_the_exit_status_tells_of_wrong_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content, status in (("good", GOOD, 0), ("wrong", WRONG, 1)):
        path = tmp_path / f"{name}.json"
        results.write(content, path)
        assert main(["report", str(path)]) == status
        assert path.with_suffix(".md").exists() and path.with_suffix(".html").exists()
    assert main(["compare", str(tmp_path / "good.json"), str(tmp_path / "good.json")]) == 0
    assert main(["report", str(tmp_path / "none.json")]) == 2
    for option in ("--workload", "--tool", "--plan"):
        assert main(["run", option, "nothing-like-this"]) == 2
        assert "nothing-like-this" in capsys.readouterr().err


def _everyday() -> results.Results:
    def told(phase: PhaseName, root: Literal["hit", "ran"], why: str = "") -> results.Sample:
        return sample("pcache", 0.5, phase=phase).model_copy(update={"root": root, "why": why})

    edit = told("edit", "ran").model_copy(update={"ran": 4, "needed": 2, "programs": 10})
    plain = [sample("plain", 1.0, phase=phase) for phase in ("cold", "again", "edit")]
    told_of = [told("cold", "ran"), told("again", "ran", "network: x"), told("warm", "hit"), edit]
    return some_results(*plain, *told_of)


def test_everyday_commands_are_told_in_all_reports(tmp_path: Path) -> None:
    found = _everyday()
    assert next(plot.name for plot in plots(found)) == "heat"
    page = files.write(found, tmp_path / "r.json")
    for text in (page.read_text(), page.with_suffix(".md").read_text()):
        assert "1 of 1 commands came back as a whole" in text
        assert "6 programs were skipped; an oracle would have skipped 8 (75 %)" in text
        assert "again: network: x" in text
    assert (tmp_path / "r-heat.svg").exists()


def test_without_such_commands_there_is_no_heat_map() -> None:
    assert "heat" not in [plot.name for plot in plots(GOOD)]
    assert "Everyday" not in markdown.render(GOOD)
