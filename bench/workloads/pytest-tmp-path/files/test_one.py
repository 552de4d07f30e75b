import pytest

from parts.one import one


@pytest.mark.parametrize("n", range(20))
def test_one(n: int) -> None:
    assert one(n) == 2 * n + 1
