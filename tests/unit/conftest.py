"""Fixtures of the recorder's tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import open_directory
from tests.lib.recorder import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The recorder, loaded once for all tests."""
    with open_directory() as directory:
        laboratory = Lab(directory)
        yield laboratory
        laboratory.close()


@pytest.fixture
def work() -> Iterator[Path]:
    """An empty directory for one test."""
    with open_directory() as directory:
        yield directory


@pytest.fixture
def cgroup(tmp_path: Path) -> Iterator[Path]:
    """A control group, reached by a mount whose path does not tell what it is."""
    place = tmp_path / "groups"
    place.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "none", place], check=True)
    group = place / f"pcache-test-{os.getpid()}"
    try:
        group.mkdir()
        yield group
        group.rmdir()
    finally:
        subprocess.run(["umount", place], check=True)
