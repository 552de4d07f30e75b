"""The cases below tests/cases: what a record must not answer, and what it should."""

from __future__ import annotations

import pytest

from tests.lib.cases import Case, Trial, parameters

pytestmark = [pytest.mark.root, pytest.mark.system_files]


@pytest.mark.parametrize(("case", "mode"), parameters())
def test_case(case: Case, mode: str, request: pytest.FixtureRequest) -> None:
    if case.lacking:
        pytest.skip(f"needs {', '.join(case.lacking)}")
    bench = request.getfixturevalue("user_bench" if case.user else "bench")
    Trial(case, mode, bench).check()
