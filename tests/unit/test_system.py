"""A test that expects hits of the system's programs is run once more if these change meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
from pathlib import Path
from tests.lib import system
system.PATHS = (str(Path(__file__).with_name("library")),)
def pytest_runtest_protocol(item, nextitem):
    system.run(item, nextitem)
    return True
"""
TESTS = """
from pathlib import Path
import pytest
library = Path(__file__).with_name("library")
runs = []
made = []

@pytest.fixture
def fresh():
    made.append(None)
    return len(made)

def test_is_hit_by_an_installation(fresh):
    runs.append(fresh)
    if len(runs) == 1:
        library.write_text("new")
        assert False, "no hit"
    assert runs == [1, 2]

def test_is_hit_each_time():
    library.write_text(library.read_text() + "newer")
    assert False, "no hit either"

def test_fails_by_itself():
    runs.append("itself")
    assert False, "wrong"

def test_that_was_tried_once():
    assert runs.count("itself") == 1
"""


def test_second_run(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=TESTS)
    Path(pytester.path, "library").write_text("old")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n0")
    result.assert_outcomes(passed=2, failed=2, warnings=2)
    text = result.stdout.str()
    assert text.count("run once more: somebody changed") == 3
    assert "FAILED test_it.py::test_is_hit_each_time" in text
    assert "FAILED test_it.py::test_fails_by_itself" in text
