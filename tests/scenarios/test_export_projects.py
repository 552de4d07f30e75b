"""The compilation database of real builds, beside the one that bear makes of them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.source import fetch
from tests.conftest import open_directory
from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Stdio
from tests.scenarios.test_export import compilations
from tests.scenarios.test_remote_projects import PROJECTS, unpack

pytestmark = [pytest.mark.root, pytest.mark.system_files, pytest.mark.slow]

SOURCES = {"lua": 30, "zlib": 20}
"""At least so many compilations."""


@pytest.fixture(scope="module")
def downloads() -> Iterator[Path]:
    with open_directory() as directory:
        yield directory


@pytest.mark.parametrize("name", SOURCES)
def test_as_bear(bench: Bench, downloads: Path, name: str) -> None:
    project, place = PROJECTS[name], bench.directory
    unpack(fetch(project.package, downloads), place, project)
    env = {**os.environ, **bench.env}
    subprocess.run(["bear", "--", *project.command], cwd=place, env=env, check=True)
    theirs = compilations((place / "compile_commands.json").read_text())
    assert len(theirs) >= SOURCES[name]
    subprocess.run(["make", "clean"], cwd=place, env=env, check=True)
    for _ in range(2):  # compiled, then brought back as a whole
        time.sleep(SETTLE_SECONDS)
        done = bench.launcher.run(project.command, place, bench.env, Stdio(), ())
        assert done.status == 0, done
        words = (bench.launcher.pcache, "export", "--format", "compile-commands")
        ours = bench.launcher.plain(words, place, bench.env, Stdio())
        assert compilations(ours.stdout.decode()) == theirs
        subprocess.run(["make", "clean"], cwd=place, env=env, check=True)
