"""The kernel, as it is here, too old, and where BPF is forbidden."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pcache.doctor.kernel import bpf_privilege, btf, kernel
from pcache.doctor.result import Result
from tests.unit.doctor.forbidding import FORBID, forbidden


@pytest.mark.parametrize(
    ("release", "machine", "status", "reason"),
    [
        ("6.1.0-37-amd64", "x86_64", "ok", "Linux 6.1.0-37-amd64"),
        ("6.18.44", "x86_64", "ok", "Linux 6.18.44"),
        ("5.19", "x86_64", "ok", "Linux 5.19"),
        ("5.10.0-34-amd64", "x86_64", "warn", "before 5.19"),
        ("5.7.0", "x86_64", "fail", "trace needs 5.8"),
        ("4.19.0-27-amd64", "x86_64", "fail", "too old"),
        ("6.1.0", "aarch64", "fail", "only x86_64"),
        ("strange", "x86_64", "warn", "cannot tell"),
    ],
)
def test_kernel(release: str, machine: str, status: str, reason: str) -> None:
    result = kernel(release, machine)
    assert result.status == status
    assert reason in result.reason


def test_kernel_without_btf(tmp_path: Path) -> None:
    result = btf(str(tmp_path / "none"))
    assert (result.status, result.remedy) == ("fail", "sudo apt-get install linux-image-amd64")
    assert "No such file" in result.reason
    other = tmp_path / "big-endian"
    other.write_bytes(b"\xeb\x9f\x01\x00")
    assert btf(str(other)).status == "fail"


@pytest.mark.root
@pytest.mark.parametrize(
    ("syscall", "code", "probe", "reason", "remedy"),
    [
        ("bpf", "EPERM", bpf_privilege, "even root may not", "--privileged"),
        ("bpf", "ENOSYS", bpf_privilege, "kernel without BPF", "linux-image-amd64"),
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
def test_lockdown_is_named(tmp_path: Path) -> None:
    lockdown = tmp_path / "lockdown"
    lockdown.write_text("none integrity [confidentiality]\n")
    program = FORBID.replace("result =", f"module.LOCKDOWN = {str(lockdown)!r}\nresult =")
    status, why, mend = forbidden("bpf", "EPERM", bpf_privilege, program)
    assert status == "fail"
    assert "kernel lockdown" in why
    assert "lockdown=confidentiality" in mend
