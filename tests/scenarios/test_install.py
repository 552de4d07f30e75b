"""Installation into a directory of its own: complete, idempotent, for every user, and undone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pcache import __version__
from pcache.reference.__main__ import FILES
from tests.conftest import CHECKOUT, SUDO, Run, open_directory

pytestmark = pytest.mark.alone  # what is built lies in the checkout, once


@pytest.fixture(scope="module", autouse=True)
def current_environment() -> None:
    """An installation makes an outdated .venv anew: not while tests run in it."""
    checked = subprocess.run([CHECKOUT / "tools/install", "--check"], check=False)
    assert checked.returncode == 0, ".venv is outdated: make dev"


@pytest.fixture
def prefix() -> Iterator[Path]:
    with open_directory() as directory:
        yield directory


def tool(name: str, prefix: Path, *args: str) -> str:
    """Run one of tools/; what it printed."""
    env = {**os.environ, "PREFIX": str(prefix)}
    done = subprocess.run(
        [CHECKOUT / "tools" / name, *args], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def install(prefix: Path) -> str:
    assert f"installing the command {prefix}/bin/pcache" in tool("install", prefix, "run")
    return str(prefix / "bin/pcache")


@pytest.fixture
def launcher(prefix: Path) -> str:
    return install(prefix)


@pytest.fixture(scope="module")
def untouched() -> Iterator[tuple[str, Path]]:
    """An installation for all who only look at it: its command and where it is."""
    with open_directory() as directory:
        yield install(directory), directory


def test_installed_command_works_for_everybody(untouched: tuple[str, Path], as_user: Run) -> None:
    launcher, _ = untouched
    for command in ([launcher], ["sudo", launcher]):
        done = as_user([*command, "--version"], cwd="/")
        assert (done.returncode, done.stdout, done.stderr) == (
            0,
            f"pcache {__version__}\n".encode(),
            b"",
        )
    done = as_user(["sudo", launcher, "doctor"], cwd="/")
    assert done.returncode == 0, done.stdout
    assert b"fail" not in done.stdout


def test_installed_files_belong_to_root_and_are_compiled(untouched: tuple[str, Path]) -> None:
    launcher, prefix = untouched
    library = prefix / "lib/pcache"
    files = [path for path in library.rglob("*") if path.is_file()]
    for path in [Path(launcher), library, *files]:
        state = path.stat()
        assert (state.st_uid, state.st_mode & 0o022) == (0, 0), path
        assert state.st_mode & 0o044 == 0o044, path
    main = library / "pcache/cli/main.py"
    (compiled,) = main.parent.glob("__pycache__/main.*.pyc")
    # Bytes 8 to 16 of a .pyc: time and size of its source (PEP 552).
    stamp = int(main.stat().st_mtime).to_bytes(4, "little")
    assert compiled.read_bytes()[8:12] == stamp
    # Tracebacks name the place where the file is now, not where it was built.
    assert os.fsencode(main) in compiled.read_bytes()
    assert (library / "pcache/bpf").is_dir()
    assert not (library / "bin").exists()


def test_the_analysis_of_events_is_compiled(untouched: tuple[str, Path]) -> None:
    _, prefix = untouched
    program = "from pcache.observe import tree; print(tree.__file__)"
    lines = (prefix / "lib/pcache/main.py").read_text().splitlines()
    preamble = [line for line in lines if line.startswith(("import sys", "sys.path"))]
    done = subprocess.run(
        ["/usr/bin/python3", "-IS", "-c", "\n".join([*preamble, program])],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(f"{prefix}/lib/pcache/pcache/observe/tree.cpython-")


def test_man_page_and_completions_are_installed(untouched: tuple[str, Path]) -> None:
    _, prefix = untouched
    files = {str(path.relative_to(prefix / "share")) for path in prefix.glob("share/*/*/*")}
    assert files == set(FILES)
    done = subprocess.run(
        ["man", "--manpath", prefix / "share/man", "--where", "pcache"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"{prefix}/share/man/man1/pcache.1\n"


def test_the_first_command_is_prepared(untouched: tuple[str, Path]) -> None:
    launcher, _ = untouched
    done = subprocess.run([*SUDO, launcher, "doctor", "--prepare"], capture_output=True, check=True)
    assert done.stdout == done.stderr == b""  # nothing was left to do


def test_nothing_missing_means_nothing_done(untouched: tuple[str, Path]) -> None:
    launcher, prefix = untouched
    before = os.stat(launcher).st_ino
    assert tool("install", prefix, "run") == ""
    assert os.stat(launcher).st_ino == before


def test_lost_launcher_comes_back(launcher: str, prefix: Path) -> None:
    subprocess.run([*SUDO, "rm", launcher], check=True)
    tool("install", prefix, "run")
    assert subprocess.run([launcher, "--version"], check=False).returncode == 0


def test_uninstall_leaves_nothing(launcher: str, prefix: Path) -> None:
    printed = tool("uninstall", prefix)
    assert f"removed {launcher}" in printed
    assert [path for path in prefix.rglob("*") if not path.is_dir()] == []
    assert list((prefix / "lib").iterdir()) == []
    tool("uninstall", prefix)


def test_uninstall_spares_what_is_not_ours(prefix: Path) -> None:
    (prefix / "bin").mkdir()
    (prefix / "bin/pcache").write_text("#!/bin/sh\n")
    (prefix / "lib/pcache").mkdir(parents=True)
    page = prefix / "share/man/man1/pcache.1"
    page.parent.mkdir(parents=True)
    page.write_text(".TH OTHER 1\n")
    tool("uninstall", prefix)
    assert (prefix / "bin/pcache").exists()
    assert (prefix / "lib/pcache").exists()
    assert page.exists()


def test_unknown_part_is_refused(prefix: Path) -> None:
    env = {**os.environ, "PREFIX": str(prefix)}
    done = subprocess.run(
        [CHECKOUT / "tools/install", "runn"], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "pcache: unknown part: runn\n")


def test_system_without_apt_is_told_what_to_do(prefix: Path, tmp_path: Path) -> None:
    for name in ("bash", "id", "dirname", "cat", "mkdir", "sudo"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    env = {"PREFIX": str(prefix), "PATH": str(tmp_path)}
    done = subprocess.run(
        [CHECKOUT / "tools/install", "run"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no Debian-like system" in done.stderr
    assert "PCACHE_NO_APT=1" in done.stderr
