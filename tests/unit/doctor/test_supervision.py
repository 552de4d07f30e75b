"""Seccomp notification and ptrace, here and where they are forbidden."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pcache.doctor import supervision
from pcache.doctor.attempt import StepFailed
from pcache.doctor.result import Result
from pcache.doctor.supervision import ptrace, seccomp_notification
from tests.unit.doctor.forbidding import forbidden


@pytest.mark.root
@pytest.mark.parametrize(
    ("syscall", "code", "probe", "reason", "remedy"),
    [
        ("seccomp", "EPERM", seccomp_notification, "forbidden", "seccomp=unconfined"),
        ("seccomp", "ENOSYS", seccomp_notification, "without user notification", "linux-image"),
        ("seccomp", "EINVAL", seccomp_notification, "without user notification", "linux-image"),
        ("prctl", "EPERM", seccomp_notification, "PR_SET_NO_NEW_PRIVS", "unconfined"),
        ("ptrace", "EPERM", ptrace, "forbidden", "SYS_PTRACE"),
    ],
)
def test_forbidden_system_calls(
    syscall: str, code: str, probe: Callable[[], Result], reason: str, remedy: str
) -> None:
    status, why, mend = forbidden(syscall, code, probe)
    assert status == "fail"
    assert reason in why and os.strerror(getattr(errno, code)) in why
    assert remedy in mend


@pytest.mark.root
def test_under_another_supervisor_nothing_is_claimed() -> None:
    status, why, _ = forbidden("seccomp", "EBUSY", seccomp_notification)
    assert status == "warn"
    assert "already runs under a supervisor" in why


@pytest.mark.parametrize(
    ("scope", "remedy"), [("2", "sudo sysctl kernel.yama.ptrace_scope=1"), ("3", "reboot")]
)
def test_yama_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scope: str, remedy: str
) -> None:
    yama = tmp_path / "ptrace_scope"
    yama.write_text(f"{scope}\n")
    monkeypatch.setattr(supervision, "YAMA", str(yama))

    def refuse() -> None:
        raise StepFailed(errno.EPERM, "ptrace(PTRACE_SEIZE)")

    monkeypatch.setattr(supervision, "_try_seize", refuse)
    result = ptrace()
    assert result.status == "fail"
    assert f"ptrace_scope is {scope}" in result.reason
    assert remedy in result.remedy
