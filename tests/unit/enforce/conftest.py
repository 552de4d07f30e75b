"""Fixtures of the supervisor's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import open_directory
from tests.unit.enforce.lab import Lab


@pytest.fixture(scope="session")
def lab(pcache: str) -> Iterator[Lab]:
    """Probes and driver where every user can run them."""
    with open_directory() as directory:
        yield Lab(directory, Path(pcache).parent / "lib")


@pytest.fixture(params=["entry", "execve"])
def intercept(request: pytest.FixtureRequest) -> str:
    """Both places of interception."""
    return str(request.param)
