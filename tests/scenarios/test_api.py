"""The Python interface, with the real command behind it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pcache
from pcache.report import schema
from tests.conftest import CHECKOUT, open_directory

pytestmark = [pytest.mark.root, pytest.mark.system_files]

NOTEBOOK = CHECKOUT / "docs/examples/steps.ipynb"


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory to work in, with a store of its own."""
    with open_directory() as directory:
        (directory / "work").mkdir()
        monkeypatch.chdir(directory / "work")
        monkeypatch.setenv("XDG_CACHE_HOME", str(directory / "cache"))
        yield directory / "work"


SUDO = os.geteuid() != 0


def test_run_and_its_session(place: Path) -> None:
    (place / "in").write_text("text\n")
    assert not pcache_lookup_fails(["cat", "in"])
    first = pcache.run(["cat", "in"], sudo=SUDO)
    assert (first.returncode, first.stdout) == (0, b"text\n")
    assert first.session is not None and not first.session.whole
    assert pcache.lookup(["cat", "in"])
    second = pcache.run(["cat", Path("in")], sudo=SUDO).check()
    assert second.stdout == b"text\n"
    assert second.counters["hits"] == 1
    session = second.session
    assert session is not None and session.whole
    assert session.number == first.session.number + 1
    assert [at.number for at in pcache.sessions(1)] == [session.number]
    (execution,) = session.executions()
    assert execution.verdict == "hit"
    (place / "in").write_text("more\n")
    found = pcache.lookup(["cat", "in"])
    assert not found and "not as in the nearest" in found.why
    third = pcache.run(["cat", "in"], sudo=SUDO).session
    assert third is not None
    assert [cause.path for cause in third.why().causes] == [str(place / "in")]
    detail = third.execution(0)
    assert detail.call is not None and detail.call.command == ["cat", "in"]
    third.report("page.html")
    assert "<canvas" in (place / "page.html").read_text()
    third.export("json", place / "files.json")
    schema.Files.model_validate_json((place / "files.json").read_text())
    assert third.markdown().startswith("### pcache run `cat in`")
    assert "<canvas" in third.page()
    assert third.data().summary == third.summary
    assert json.loads(third.exported("chrome-trace"))["traceEvents"]
    assert third.detail().executions == third.executions()
    with pytest.raises(pcache.Failed, match="a crate is a directory"):
        third.exported("ro-crate")
    third.export("ro-crate", place / "crate")
    assert (place / "crate/ro-crate-metadata.json").exists()


def test_the_command_line_writes_what_it_gives(place: Path) -> None:
    """Of sessions: every document."""
    command = [sys.executable, "-c", "from pcache.cli.main import launch; launch()"]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}

    def written(*words: str) -> str:
        done = subprocess.run(
            [*command, *words], env=env, capture_output=True, text=True, check=True
        )
        return done.stdout

    session = pcache.run(["sh", "-c", "true; ls"], sudo=SUDO).session
    assert session is not None
    for words, model in (
        (("show", "--json"), session.detail()),
        (("show", "--json", "last.0"), session.execution(0)),
        (("why", "--json"), session.why()),
        (("report", "--json"), session.data()),
        (("log", "--json"), schema.SessionList(sessions=[session.summary])),
    ):
        assert written(*words) == model.model_dump_json(indent=1) + "\n"
    assert written("report", "-o", "-") == session.page()
    assert written("report", "--markdown") == session.markdown()
    assert written("export", "--format", "json") == session.exported("json")


def pcache_lookup_fails(command: list[str]) -> bool:
    """Nothing was ever recorded: there is nobody to ask."""
    with pytest.raises(pcache.Failed, match="nothing was recorded yet"):
        pcache.lookup(command)
    return False


def test_failures(place: Path) -> None:
    with pytest.raises(pcache.Failed, match="no such command"):
        pcache.run(["no-such-command"], sudo=SUDO)
    done = pcache.run(["sh", "-c", "exit 3"], sudo=SUDO)
    assert done.returncode == 3
    with pytest.raises(subprocess.CalledProcessError):
        done.check()
    assert pcache.run(["sh", "-c", "kill -9 $$"], sudo=SUDO).returncode == -9
    assert done.session is not None
    with pytest.raises(pcache.Failed, match="has no execution 7"):
        done.session.execution(7)


def test_a_sudo_that_refuses(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command has not run, and does not seem to have failed."""
    refusing = place / "bin/sudo"
    refusing.parent.mkdir()
    refusing.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{refusing.parent}:{os.environ['PATH']}")
    with pytest.raises(pcache.Failed, match="sudo: a password is required"):
        pcache.run(["true"], sudo=True)


def test_trace_and_replay(place: Path) -> None:
    (place / "in").write_text("text\n")
    traced = pcache.trace(["cat", "in"], sudo=SUDO, arguments=["--no-network"])
    assert traced.counters["records stored"] == 1
    replayed = pcache.replay(["cat", "in"], arguments=["--no-network"])
    assert replayed.counters["hits"] == 1
    assert replayed.session is not None and replayed.session.summary.verb == "replay"
    env = {**os.environ, "PC_NEW": "1"}
    assert pcache.replay(["cat", "in"], arguments=["--no-network"], env=env).counters["misses"]


def test_names_are_there_and_nothing_is_loaded_for_them() -> None:
    program = "import sys, pcache; print('pydantic' in sys.modules, pcache.run is not None)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False True\n"
    assert all(hasattr(pcache, name) for name in pcache.__all__)
    with pytest.raises(AttributeError):
        pcache.nothing  # noqa: B018


def run_notebook() -> str:
    printed = io.StringIO()
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    names: dict[str, object] = {}
    with contextlib.redirect_stdout(printed):
        for cell in cells:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), names)
    return printed.getvalue()


def test_the_notebook(place: Path) -> None:
    first = run_notebook()
    assert first.startswith("clean: ran ")
    assert str(place / "clean.csv") in first
    second = run_notebook()
    assert second.splitlines()[:2] == [
        line.replace(": ran", ": brought back") for line in first.splitlines()[:2]
    ]


def test_the_page_names_everything() -> None:
    page = (CHECKOUT / "docs/api.md").read_text()
    for name in pcache.__all__:
        assert f"`{name}" in page
