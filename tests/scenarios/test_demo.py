"""The demo's own parts: its sources, its bundled program, its table."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from demo import source
from demo.person import ACCOUNT, demo_person
from demo.run import EDIT, Build, show, snapshot


@pytest.fixture
def no_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system from which no source package can be had."""
    monkeypatch.setattr(source, "PACKAGE", "no-such-package-of-pcache")


def run(
    command: list[str], directory: Path, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a command that must succeed."""
    return subprocess.run(command, cwd=directory, input=given, capture_output=True, check=True)


@pytest.mark.usefixtures("no_sources")
def test_bundled_program_stands_in(tmp_path: Path) -> None:
    project = source.prepare(tmp_path, tmp_path / "build")
    assert project.title == "concordance (bundled)"
    before = snapshot(project.directory)
    done = run(project.build, project.directory)
    assert done.stderr == b""
    found = run(["./concordance"], project.directory, b"b a\nA c-b\n").stdout
    assert found == b"a 2: 1 2\nb 2: 1 2\nc 1: 2\n"
    with open(project.directory / project.edited, "a") as file:
        file.write(EDIT)
    assert run(project.build, project.directory).stderr == b""
    run(["make", "clean"], project.directory)
    after = snapshot(project.directory)
    assert {path for path in after if after[path] != before.get(path)} == {project.edited}


def test_real_source_leaves_apt_alone(tmp_path: Path) -> None:
    def state() -> list[tuple[str, int]]:
        folders = ("/etc/apt", "/var/lib/apt/lists")
        found = [f"{top}/{n}" for f in folders for top, _, names in os.walk(f) for n in names]
        return [(path, os.stat(path).st_mtime_ns) for path in sorted(found)]

    before = state()
    project = source.prepare(tmp_path, tmp_path / "build")
    assert state() == before
    assert project.title.startswith("lua-5.4")
    assert (project.directory / project.edited).exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["build"]


@pytest.mark.root
@pytest.mark.usefixtures("no_sources")
def test_person_made_for_root_is_gone_afterwards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    with demo_person(tmp_path) as person:
        folder = person.folder
        assert folder != tmp_path  # nobody else can enter pytest's directories
        project = source.prepare(tmp_path, folder / "build")
        person.own(folder)
        who = run(person.command(["id", "-un"]), project.directory).stdout
        assert who.decode().strip() == ACCOUNT
        assert run(person.command(project.build), project.directory).stderr == b""
        assert (project.directory / "main.o").owner() == ACCOUNT
    assert not folder.exists()
    assert subprocess.run(["id", ACCOUNT], capture_output=True, check=False).returncode != 0


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    tree = {"a": (0o644, "x")}
    plain = Build("plain", 2.0, 0, b"", b"", tree)
    counts = {"executions": 9, "misses": 0, "records stored": 7, "records known": 1, "hits": 0}
    traced = Build("traced", 2.2, 0, b"", b"", dict(tree), counts)
    counts = {"executions": 0, "misses": 2, "records stored": 0, "records known": 0, "hits": 5}
    good = Build("replayed", 0.1, 0, b"", b"", dict(tree), counts)
    bad = Build("wrong", 1.0, 0, b"", b"", {"a": (0o755, "x")})
    show(Console(width=100), plain, [plain, traced, good, bad])
    rows = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["plain", "2.00", "100.0%", "-", "-", "-", "yes"],
        ["traced", "2.20", "110.0%", "9", "8", "0", "yes"],
        ["replayed", "0.10", "5.0%", "2", "0", "5", "yes"],
        ["wrong", "1.00", "50.0%", "-", "-", "-", "NO"],
    ]
