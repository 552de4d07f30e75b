"""Many executions at once, with signals coming at random: no hang, no wrong status."""

from __future__ import annotations

import pytest

from tests.unit.enforce_lab import Lab

ROUNDS = 40
DASH = """
i=0
while [ $i -lt 500 ]; do
    dash -c '/bin/true & exec /bin/true' || echo $?
    i=$((i+1))
done
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "vfork", "posix_spawn", "clone_vm", "signals"])
def test_statuses_under_load(lab: Lab, intercept: str, method: str) -> None:
    one = f"bin/spawners {method} {lab.bin}/hit 0 255 8"
    script = f"for i in $(seq {ROUNDS // 8}); do {one} & {one} & {one} & {one} & wait; done"
    result = lab.run(["sh", "-c", script], intercept, timeout=300)
    assert (result.status, result.out) == (0, "")
    assert result.report["failures"] == 0


@pytest.mark.slow
def test_no_exec_fails_at_entry(lab: Lab) -> None:
    """dash's SIGCHLD handler does not restart calls: at the execve it would see EINTR."""
    result = lab.run(["sh", "-c", f"({DASH}) & ({DASH}) & ({DASH}) & wait"], timeout=300)
    assert (result.out, result.err) == ("", "")
