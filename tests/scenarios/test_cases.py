"""The cases below tests/cases: what a record must not answer, and what it should."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from tests.conftest import SUDO, open_directory
from tests.lib.cases import Case, Plain, Trial, parameters
from tests.scenarios.conftest import bench_in

pytestmark = [pytest.mark.root, pytest.mark.system_files]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Always the same, so that what plain runs of a case do is found out once."""
    with open_directory() as directory:
        yield directory / "bench"


@lru_cache(maxsize=1)
def plain_of(case: int) -> Plain:
    """Of the case with that id(), if it is the one that was tried last."""
    return {}


@pytest.mark.parametrize(("case", "mode"), parameters())
def test_case(
    case: Case, mode: str, pcache: str, place: Path, request: pytest.FixtureRequest
) -> None:
    if case.lacking:
        pytest.skip(f"needs {', '.join(case.lacking)}")
    if case.user:
        Trial(case, mode, request.getfixturevalue("user_bench"), {}).check()
        return
    place.mkdir(mode=0o755)
    try:
        Trial(case, mode, bench_in(place, pcache), plain_of(id(case))).check()
    finally:
        subprocess.run([*SUDO, "rm", "-rf", place], check=True)
