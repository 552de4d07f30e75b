"""All checks together, and the verb that prints them."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from pcache.cli import doctor
from pcache.doctor import checks
from pcache.doctor.result import REPLAY, SHARE, TRACE, Check, Result
from pcache.errors import EnvironmentProblem
from pcache.recorder.image import CACHE_DIR
from tests.conftest import Run


@pytest.mark.root
def test_everything_is_there() -> None:
    results = {check.name: check.probe() for check in checks.all_checks()}
    failed = {name: result.reason for name, result in results.items() if result.status != "ok"}
    assert failed == {}
    assert all(result.reason for result in results.values())


def test_every_check_is_needed_by_someone() -> None:
    for check in checks.all_checks():
        assert check.needed_for
        assert set(check.needed_for) <= {TRACE, REPLAY, SHARE}


def test_problem_names_the_first_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    fail = Result("fail", "gone", "bring it back")
    listed = [
        Check("one", (REPLAY,), lambda: Result("ok", "fine")),
        Check("two", (TRACE,), lambda: Result("fail", "not asked")),
        Check("three", (REPLAY,), lambda: fail),
    ]
    monkeypatch.setattr(checks, "all_checks", lambda: listed)
    error = checks.problem(REPLAY, "it did not start")
    assert isinstance(error, EnvironmentProblem)
    assert error.report() == "pcache: three: gone\npcache: bring it back"
    listed.pop()
    assert (
        checks.problem(REPLAY, "it did not start").report().startswith("pcache: it did not start\n")
    )


def test_report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    listed = [
        Check("one", ("trace", "replay"), lambda: Result("ok", "fine")),
        Check("two", ("trace",), lambda: Result("warn", "hm", "look")),
    ]
    monkeypatch.setattr(checks, "all_checks", lambda: listed)
    lines = ["ok    one (trace and replay): fine", "warn  two (trace): hm", "      mend it: look"]
    assert doctor.run([]) == 0
    assert capsys.readouterr().out.splitlines() == lines
    assert doctor.run(["-q"]) == 0
    assert capsys.readouterr().out.splitlines() == lines[1:]
    listed.append(Check("three", ("replay",), lambda: Result("fail", "no", "mend")))
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
    assert (done.returncode, first) == (0, "prepared for the first command: 8 files"), done
    names = sorted(line.split()[-1].partition("-")[0] for line in listing[1:])
    assert names == [*["filter"] * 4, "program", "program", "recorder", "startup"]
    assert all(line.startswith("-rw-r--r-- 1 root root ") for line in listing[1:])


@pytest.mark.root
@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ("bpf", ": the kernel refuses BPF programs: "),
        ("seccomp", ": cannot build the seccomp filter"),
    ],
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
