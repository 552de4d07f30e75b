"""All checks together, and the verb that prints them."""

from __future__ import annotations

import os
import pwd

import pytest

from pcache.cli import doctor
from pcache.doctor import checks
from pcache.doctor.result import REPLAY, TRACE, Check, Result
from pcache.errors import EnvironmentProblem
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
        assert set(check.needed_for) <= {TRACE, REPLAY}


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
