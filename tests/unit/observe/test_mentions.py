"""What is searched for what it says about times."""

from __future__ import annotations

import pytest

from pcache.observe.mentions import is_code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (b"/home/me/build", True),
        (b"/usr/local/bin/build", True),
        (b"/opt/site/bin/build", True),
        (b"/usr/bin/build", False),
        (b"/opt/lib/node_modules/it/build", False),
        (b"/home/me/other", False),
        (b"/home/me/other.sh", True),
        (b"/usr/local/bin/other.sh", False),
    ],
)
def test_code(name: bytes, code: bool) -> None:
    assert is_code(name, {b"build"}) is code
