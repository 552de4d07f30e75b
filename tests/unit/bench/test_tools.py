"""The tools that are compared: how each is called, and what is said where one is absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import tools
from bench.tools import Place, Tool
from tests.unit.bench.lab import workload

pytestmark = pytest.mark.system_files


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "tree").mkdir()
    return Place(tmp_path / "home", tmp_path / "tree", tmp_path / "store", tmp_path / "report.json")


def launcher(base: Path, verbs: str) -> list[str]:
    """A pcache that knows these verbs."""
    path = base / "pcache"
    path.write_text(f"#!/bin/sh\ncase $2 in {verbs}) exit 0;; esac\nexit 2\n")
    path.chmod(0o755)
    return [str(path)]


def test_pcache_records_cold_and_replays_the_rest(tmp_path: Path, place: Place) -> None:
    tool = tools.Pcache(launcher(tmp_path, "trace|replay"))
    verbs = {
        phase: next(w for w in tool.command(phase, ["make"], place) if w in ("trace", "replay"))
        for phase in ("cold", "warm", "edit", "versions")
    }
    expected = {"cold": "trace", "warm": "replay", "edit": "replay", "versions": "trace"}
    assert verbs == expected
    assert tool.env({}, place) == {"XDG_CACHE_HOME": str(place.store)}


def test_the_verb_run_is_looked_for(tmp_path: Path, place: Place) -> None:
    without = tools.PcacheRun(launcher(tmp_path, "trace|replay"))
    assert without.absent() == "this pcache has no verb `run`"
    tool = tools.PcacheRun(launcher(tmp_path, "run"))
    assert tool.absent() is None
    assert "run" in tool.command("warm", ["make"], place)


def test_pcache_of_the_checkout_works_without_being_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert tools.Pcache().version().startswith("pcache ")


def test_absent_tools_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    said = {tool.name: tool.absent() for tool in tools.all_tools()}
    assert said["plain"] is None and said["pcache"] is None
    assert said["riker"] == "rkr is not installed"
    assert said["firebuild"] == "firebuild is not installed"
    assert said["processcache"] == "process_cache is not installed"


def test_ccache_is_for_compilers(tmp_path: Path, place: Place) -> None:
    tool = tools.Ccache()
    assert not tool.suits(workload(tmp_path))
    tool.empty(place)
    env = tool.env({"PATH": "/bin"}, place)
    assert env["PATH"] == f"{place.store}/bin:/bin"
    assert (place.store / "bin/gcc").is_symlink()


@pytest.mark.parametrize("tool", [tools.Riker(), tools.ProcessCache()], ids=lambda t: t.name)
def test_records_kept_in_the_tree_stay_out_of_its_comparison(tool: Tool, place: Place) -> None:
    tool.empty(place)
    for kept in (False, True):
        tool.before(["sh", "-c", "a b"], place)
        folder = place.tree / ("cache" if tool.name == "processcache" else ".rkr")
        folder.mkdir(exist_ok=True)
        assert (folder / "record").exists() == kept
        (folder / "record").touch()
        tool.after(place)
        assert list(place.tree.iterdir()) == []
    tool.before(["sh", "-c", "a b"], place)
    if tool.name == "riker":
        assert (place.tree / "Rikerfile").read_text() == "#!/bin/sh\nsh -c 'a b'\n"


def test_emptying_forgets(place: Place) -> None:
    tool = Tool()
    tool.empty(place)
    (place.store / "record").touch()
    tool.empty(place)
    assert list(place.store.iterdir()) == []
