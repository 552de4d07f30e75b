"""Every check, passing here and failing where what it looks for is really missing or forbidden."""

from __future__ import annotations

import errno
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pcache.cli import doctor
from pcache.doctor import checks
from pcache.errors import EnvironmentProblem
from pcache.linux.user import User
from pcache.probes.program import CACHE_DIR
from tests.conftest import Run

FORBID = """
import errno, os, sys
import pyseccomp
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
rules.add_rule(pyseccomp.ERRNO(getattr(errno, sys.argv[2])), sys.argv[1])
rules.load()
from pcache.doctor import checks
result = getattr(checks, sys.argv[3])()
print(result.status, result.reason, result.remedy, sep="|")
"""
"""Runs one probe (argv[3]) where a system call (argv[1]) fails with an errno (argv[2])."""

Say = Callable[..., User]


@pytest.fixture
def person(tmp_path: Path) -> Say:
    """Makes a User with our ids and the given home directory."""

    def make(home: str | Path = tmp_path, **ids: int) -> User:
        uid, gid = ids.get("uid", os.geteuid()), ids.get("gid", os.getegid())
        return User(uid, gid, (gid,), "someone", os.fsencode(home), {})

    return make


def forbidden(syscall: str, code: str, probe: str) -> list[str]:
    command = [sys.executable, "-c", FORBID, syscall, code, probe]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n").split("|")


@pytest.mark.root
def test_everything_is_there() -> None:
    results = {check.name: check.probe() for check in checks.all_checks()}
    failed = {name: result.reason for name, result in results.items() if result.status != "ok"}
    assert failed == {}
    assert all(result.reason for result in results.values())


def test_every_check_is_needed_by_someone() -> None:
    for check in checks.all_checks():
        assert check.needed_for
        assert set(check.needed_for) <= {checks.TRACE, checks.REPLAY}


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
    result = checks.kernel(release, machine)
    assert result.status == status
    assert reason in result.reason


def test_kernel_without_btf(tmp_path: Path) -> None:
    result = checks.btf(str(tmp_path / "none"))
    assert (result.status, result.remedy) == ("fail", "sudo apt-get install linux-image-amd64")
    assert "No such file" in result.reason
    other = tmp_path / "big-endian"
    other.write_bytes(b"\xeb\x9f\x01\x00")
    assert checks.btf(str(other)).status == "fail"


@pytest.mark.root
@pytest.mark.parametrize(
    ("syscall", "code", "probe", "reason", "remedy"),
    [
        ("bpf", "EPERM", "bpf_privilege", "even root may not", "--privileged"),
        ("bpf", "ENOSYS", "bpf_privilege", "kernel without BPF", "linux-image-amd64"),
        ("seccomp", "EPERM", "seccomp_notification", "forbidden", "seccomp=unconfined"),
        ("seccomp", "ENOSYS", "seccomp_notification", "without user notification", "linux-image"),
        ("seccomp", "EINVAL", "seccomp_notification", "without user notification", "linux-image"),
        ("prctl", "EPERM", "seccomp_notification", "PR_SET_NO_NEW_PRIVS", "unconfined"),
        ("ptrace", "EPERM", "ptrace", "forbidden", "SYS_PTRACE"),
    ],
)
def test_forbidden_system_calls(
    syscall: str, code: str, probe: str, reason: str, remedy: str
) -> None:
    status, why, mend = forbidden(syscall, code, probe)
    assert status == "fail"
    assert reason in why and os.strerror(getattr(errno, code)) in why
    assert remedy in mend


@pytest.mark.root
def test_under_another_supervisor_nothing_is_claimed() -> None:
    status, why, _ = forbidden("seccomp", "EBUSY", "seccomp_notification")
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
    monkeypatch.setattr(checks, "YAMA", str(yama))

    def refuse() -> None:
        raise checks._StepFailed(errno.EPERM, "ptrace(PTRACE_SEIZE)")

    monkeypatch.setattr(checks, "_try_seize", refuse)
    result = checks.ptrace()
    assert result.status == "fail"
    assert f"ptrace_scope is {scope}" in result.reason
    assert remedy in result.remedy


@pytest.mark.root
def test_lockdown_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lockdown = tmp_path / "lockdown"
    lockdown.write_text("none integrity [confidentiality]\n")
    program = FORBID.replace("result =", f"checks.LOCKDOWN = {str(lockdown)!r}\nresult =")
    monkeypatch.setattr(sys.modules[__name__], "FORBID", program)
    status, why, mend = forbidden("bpf", "EPERM", "bpf_privilege")
    assert status == "fail"
    assert "kernel lockdown" in why
    assert "lockdown=confidentiality" in mend


def test_killed_attempt_is_a_failure() -> None:
    code, step = checks._in_fork(lambda: os.kill(os.getpid(), 9))
    assert (code, step) == (errno.EPERM, "the attempt was killed")


def test_bug_in_an_attempt_is_a_failure() -> None:
    def bug() -> None:
        raise KeyError

    code, step = checks._in_fork(bug)
    assert code == errno.EPROTO
    assert "KeyError" in step


def test_missing_bcc() -> None:
    program = (
        "import pcache.probes.resources as r; r.SYSTEM_PACKAGES = '/nonexistent'\n"
        "from pcache.doctor.checks import bcc_module; x = bcc_module()\n"
        "print(x.status, x.reason, x.remedy)\n"
    )
    # Isolated and without site-packages there is no other place where bcc could come from.
    program = f"import sys; sys.path.append({os.getcwd()!r})\n{program}"
    command = ["/usr/bin/python3", "-ISc", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("fail cannot import bcc: No module named 'bcc'")
    assert done.stdout.endswith("sudo apt-get install python3-bpfcc\n")


def test_impostor_of_bcc(tmp_path: Path) -> None:
    (tmp_path / "bcc").mkdir()
    (tmp_path / "bcc/__init__.py").write_text("def compile_business_cards(): ...\n")
    program = (
        "from pcache.doctor.checks import bcc_module; x = bcc_module()\n"
        "print(x.status, x.reason, x.remedy)\n"
    )
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.getcwd()}"}
    command = ["/usr/bin/python3", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert f"fail the module bcc in {tmp_path}/bcc/__init__.py is not the BPF" in done.stdout
    assert "pip uninstall bcc" in done.stdout


def test_missing_libseccomp() -> None:
    result = checks.libseccomp("libseccomp-none.so.2")
    assert (result.status, result.remedy) == ("fail", "sudo apt-get install libseccomp2")
    # A library that is there and is not libseccomp.
    assert checks.libseccomp("libc.so.6").status == "fail"


def test_missing_and_broken_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = checks.python_package("pcache_no_such_package")
    assert (result.status, "make install" in result.remedy) == ("fail", True)
    (tmp_path / "pcache_broken_package.py").write_text("raise RuntimeError('no libseccomp')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "no libseccomp" in checks.python_package("pcache_broken_package").reason


def test_store(person: Say, tmp_path: Path) -> None:
    result = checks.store(person())
    assert result.status == "ok"
    assert result.reason.startswith(f"{tmp_path}/.cache/pcache, 0 B used, ")
    objects = tmp_path / ".cache/pcache/objects"
    objects.mkdir(parents=True)
    (objects / "blob").write_bytes(os.urandom(3 << 20))
    assert "3.0 MiB used" in checks.store(person()).reason


def test_store_below_a_file(person: Say, tmp_path: Path) -> None:
    (tmp_path / ".cache").write_text("")
    result = checks.store(person())
    assert (result.status, result.reason) == ("fail", f"{tmp_path}/.cache is not a directory")


@pytest.mark.root
def test_store_of_somebody_else(person: Say, ordinary_user: pwd.struct_passwd) -> None:
    result = checks.store(person("/usr", uid=ordinary_user.pw_uid, gid=ordinary_user.pw_gid))
    assert result.status == "fail"
    assert result.reason == "someone cannot write /usr: Permission denied"
    assert result.remedy == "sudo chown -R someone /usr"


@pytest.mark.root
def test_store_on_a_full_or_read_only_file_system(person: Say, tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", mount], check=True)
    try:
        result = checks.store(person(mount))
        assert (result.status, "free space" in result.remedy) == ("warn", True)
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        result = checks.store(person(mount))
        assert (result.status, result.reason) == ("fail", f"{mount} is read-only")
        assert "XDG_CACHE_HOME" in result.remedy
    finally:
        subprocess.run(["umount", mount], check=True)


def test_store_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "nonsense")
    monkeypatch.delenv("SUDO_UID", raising=False)
    result = checks.store()
    assert (result.status, result.remedy) == ("fail", "set HOME or XDG_CACHE_HOME")


def test_problem_names_the_first_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    fail = checks.Result("fail", "gone", "bring it back")
    listed = [
        checks.Check("one", (checks.REPLAY,), lambda: checks.Result("ok", "fine")),
        checks.Check("two", (checks.TRACE,), lambda: checks.Result("fail", "not asked")),
        checks.Check("three", (checks.REPLAY,), lambda: fail),
    ]
    monkeypatch.setattr(checks, "all_checks", lambda: listed)
    error = checks.problem(checks.REPLAY, "it did not start")
    assert isinstance(error, EnvironmentProblem)
    assert error.report() == "pcache: three: gone\npcache: bring it back"
    listed.pop()
    assert (
        checks.problem(checks.REPLAY, "it did not start")
        .report()
        .startswith("pcache: it did not start\n")
    )


def test_report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    listed = [
        checks.Check("one", ("trace", "replay"), lambda: checks.Result("ok", "fine")),
        checks.Check("two", ("trace",), lambda: checks.Result("warn", "hm", "look")),
    ]
    monkeypatch.setattr(checks, "all_checks", lambda: listed)
    lines = ["ok    one (trace and replay): fine", "warn  two (trace): hm", "      mend it: look"]
    assert doctor.run([]) == 0
    assert capsys.readouterr().out.splitlines() == lines
    assert doctor.run(["-q"]) == 0
    assert capsys.readouterr().out.splitlines() == lines[1:]
    listed.append(checks.Check("three", ("replay",), lambda: checks.Result("fail", "no", "mend")))
    assert doctor.run(["--quiet"]) == 1


def test_ordinary_user_is_told_to_ask_root(pcache: str, as_user: Run) -> None:
    done = as_user([pcache, "doctor"])
    lines = done.stdout.decode().splitlines()
    position = lines.index("warn  BPF privilege (trace): not root, so this cannot be tried")
    assert lines[position + 1] == "      mend it: sudo pcache doctor"
    assert done.returncode == 0, done.stdout


def test_under_sudo_the_store_is_the_persons(
    pcache: str, as_user: Run, ordinary_user: pwd.struct_passwd
) -> None:
    done = as_user(["sudo", pcache, "doctor"])
    assert done.returncode == 0, done.stdout
    assert f"store (trace and replay): {ordinary_user.pw_dir}/.cache/pcache, " in (
        done.stdout.decode()
    )
    assert "fail" not in done.stdout.decode()
    assert not os.path.exists(f"{ordinary_user.pw_dir}/.cache/pcache")


# What is made before


def on_an_empty_cache(*command: str) -> subprocess.CompletedProcess[str]:
    """Run where root has kept nothing yet, nor does afterwards."""
    cover = f'mkdir -p {CACHE_DIR} && mount -t tmpfs none {CACHE_DIR} && exec "$@"'
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", cover, "sh", *command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.root
def test_prepared_once(pcache: str) -> None:
    again = f"{pcache} doctor --prepare && {pcache} doctor --prepare && ls -l {CACHE_DIR}"
    done = on_an_empty_cache("sh", "-c", f"umask 77; {again}")
    first, *listing = done.stdout.splitlines()
    assert (done.returncode, first) == (0, "prepared for the first command: 6 files"), done
    names = sorted(line.split()[-1].partition("-")[0] for line in listing[1:])
    assert names == [*["filter"] * 4, "recorder", "startup"]
    assert all(line.startswith("-rw-r--r-- 1 root root ") for line in listing[1:])


@pytest.mark.root
@pytest.mark.parametrize(
    ("call", "problem"),
    [("bpf", ": the recorder "), ("seccomp", ": cannot build the seccomp filter")],
)
def test_what_cannot_be_prepared_is_told_in_one_line(pcache: str, call: str, problem: str) -> None:
    deny = (
        "import errno, os, sys, pyseccomp as p\n"
        "rules = p.SyscallFilter(p.ALLOW)\n"
        "rules.add_rule(p.ERRNO(errno.EPERM), sys.argv[1])\n"
        "rules.load()\n"
        "os.execv(sys.argv[2], sys.argv[2:])\n"
    )
    words = [sys.executable, "-c", deny, call, pcache, "doctor", "--prepare"]
    done = on_an_empty_cache(*words)
    lines = [line for line in done.stdout.splitlines() if line.startswith("not prepared")]
    assert done.returncode == 1, done
    assert len(lines) == 1 and problem in lines[0]


def test_only_root_prepares(pcache: str, as_user: Run) -> None:
    done = as_user([pcache, "doctor", "--prepare"])
    assert (done.returncode, done.stdout) == (125, b"")
    assert b"sudo pcache doctor --prepare" in done.stderr
