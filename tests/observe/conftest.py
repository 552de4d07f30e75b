"""Fixtures of the recorder's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import open_directory
from tests.observe.lab import Lab


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
