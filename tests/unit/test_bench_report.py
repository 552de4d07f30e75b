"""Ratios, reports and comparisons drawn from results."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from bench import results
from bench.cli import main
from bench.report import comparison, html, markdown, terminal
from tests.unit.bench_lab import sample, some_results

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
    assert "<= 0.1 MISSED" in text_of(slow)
    assert "<= 0.1 ok" in text_of(GOOD)
    assert "<= 1 MISSED" in text_of(GOOD)  # the micro benchmark


def test_the_terminal_shows_wrong_results_and_what_is_absent() -> None:
    shown = text_of(WRONG)
    assert "WRONG RESULT: w, pcache, cold: out/1: missing" in shown
    assert "not measured: riker: rkr is not installed" in shown


def test_markdown_tables_are_whole() -> None:
    text = markdown.render(WRONG)
    assert "## Wrong results\n\n- w, pcache, cold: out/1: missing" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables} == {8, 12}


def test_html_is_one_page_with_plots() -> None:

    page = html.render(GOOD)
    assert page.count("<svg") == 3  # cold, warm, micro
    assert "CPU &lt;fast&gt;" in page and "<fast>" not in page
    assert "src=" not in page and "<link" not in page
    svg = page[page.index("<svg") : page.index("</svg>") + 6]
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "Wrong results" not in page
    assert "Wrong results" in html.render(WRONG)


def test_compare_tells_noise_from_change() -> None:
    new = some_results(
        sample("plain", 1.0),
        sample("plain", 1.0, rep=1),
        sample("pcache", 2.0),
        sample("pcache", 2.2, rep=1),
        sample("pcache", 0.06, phase="warm"),
    )
    cold, warm = comparison.compare(GOOD, new)
    assert (cold.phase, cold.clear) == ("cold", True)
    assert cold.factor == pytest.approx(2.1 / 1.15)
    assert (warm.phase, warm.clear) == ("warm", False)
    text = io.StringIO()
    comparison.show([cold, warm], Console(file=text, width=150))
    assert "slower" in text.getvalue() and "faster" not in text.getvalue()


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
    assert main(["run", "--workload", "nothing-like-this"]) == 2
    assert "nothing-like-this" in capsys.readouterr().err
