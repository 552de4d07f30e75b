"""Whence it comes that a program always runs."""

from __future__ import annotations

import pytest

from pcache.settings.never import never_because
from pcache.settings.rules import CALLERS, NO, Policy, Rule


@pytest.mark.parametrize(
    ("executable", "argv", "because"),
    [
        (b"/usr/bin/sleep", (b"sleep", b"1"), "by default: takes time on purpose"),
        (
            b"/usr/bin/find",
            (b"find", b".", b"-mmin", b"5"),
            "by default: compares times with the present one, or of access and birth",
        ),
        (b"/usr/bin/cc", (b"cc",), 'the setting never_cache of program."c*"'),
        (b"/bin/sh", (b"sh", b"dir/gen.sh"), 'the setting never_cache of program."gen.sh"'),
    ],
)
def test_what_says_so(executable: bytes, argv: tuple[bytes, ...], because: str) -> None:
    policy = Policy((Rule(b"c*", never_cache=CALLERS), Rule(b"gen.sh", never_cache=CALLERS)))
    assert policy.settings(executable, argv).never(argv) != NO
    assert never_because(policy, executable, argv) == because


def test_the_last_word_counts() -> None:
    policy = Policy((Rule(b"*", never_cache=CALLERS), Rule(b"/bin/cc", never_cache=CALLERS)))
    assert never_because(policy, b"/bin/cc", (b"cc",)).endswith('program."/bin/cc"')
