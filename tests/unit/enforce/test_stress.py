"""Many executions at once, with signals coming at random: no hang, no wrong status."""

from __future__ import annotations

import pytest

from tests.unit.enforce.lab import Lab

DASH = """
i=0
while [ $i -lt 3400 ]; do
    dash -c '/bin/true & exec /bin/true' || echo $?
    i=$((i+1))
done
"""


METHODS = ("fork", "vfork", "posix_spawn", "clone_vm", "signals")


def statuses(lab: Lab, intercept: str, rounds: int, seconds: int) -> None:
    """256 executions by each method, four streams of them at once, in every round."""
    one = "; ".join(f"bin/spawners {method} {lab.bin}/hit 0 255 8" for method in METHODS)
    stream = f"for i in $(seq {rounds}); do {one}; done"
    result = lab.run(["sh", "-c", f"({stream}) & " * 4 + "wait"], intercept, timeout=seconds)
    assert (result.status, result.out, result.err) == (0, "", "")
    assert result.report["applied"] == 4 * rounds * len(METHODS) * 256
    assert result.report["failures"] == 0


def test_five_thousand_statuses(lab: Lab) -> None:
    statuses(lab, "entry", 1, 120)


@pytest.mark.slow
def test_a_hundred_thousand_statuses(lab: Lab, intercept: str) -> None:
    statuses(lab, intercept, 20, 1200)


@pytest.mark.slow
def test_no_exec_fails_at_entry(lab: Lab) -> None:
    """dash's SIGCHLD handler does not restart calls: at the execve it would see EINTR."""
    result = lab.run(["sh", "-c", f"({DASH}) & ({DASH}) & ({DASH}) & wait"], timeout=300)
    assert (result.out, result.err) == ("", "")
