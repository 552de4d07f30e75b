"""Who the command belongs to: real sudo, a real ordinary user, real environments."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pcache.errors import EnvironmentProblem, PrivilegeError
from pcache.linux.user import User, _assignments
from tests.conftest import Run

SHOW = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from pcache.linux.user import User
user = User.invoking(as_root="--as-root" in sys.argv)
text = lambda env: {os.fsdecode(k): os.fsdecode(v) for k, v in env.items()}
print(json.dumps({
    "uid": user.uid, "gid": user.gid, "groups": sorted(user.groups), "name": user.name,
    "home": os.fsdecode(user.home), "env": text(user.env), "umask": user.umask,
    "store": os.fsdecode(user.store_dir), "sudo": user.sudo_pid is not None,
    "own": text(os.environb),
}))
"""


@pytest.fixture(scope="module")
def library(pcache: str) -> str:
    """Where the checkout's package can be imported from by everybody."""
    return os.path.join(os.path.dirname(pcache), "lib")


def shown(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def invoking(as_user: Run, library: str, sudo: list[str], *args: str, **keywords: Any) -> Any:
    command = ["sudo", *sudo, "/usr/bin/python3", "-ISc", SHOW, library, *args]
    return shown(as_user(command, **keywords))


def test_sudo_gives_back_the_person(
    as_user: Run, library: str, ordinary_user: pwd.struct_passwd, user_env: dict[str, str]
) -> None:
    user = invoking(as_user, library, [])
    assert user["uid"] == ordinary_user.pw_uid
    assert user["gid"] == ordinary_user.pw_gid
    assert user["name"] == ordinary_user.pw_name
    expected = sorted(os.getgrouplist(ordinary_user.pw_name, ordinary_user.pw_gid))
    assert user["groups"] == expected
    assert len(expected) >= 3
    assert user["home"] == ordinary_user.pw_dir
    assert user["env"] == user_env
    assert user["store"] == f"{ordinary_user.pw_dir}/.cache/pcache"


def test_what_sudo_and_the_loader_strip_comes_back(
    as_user: Run, library: str, user_env: dict[str, str]
) -> None:
    stripped = {
        "CPATH": "/opt/include",
        "LD_LIBRARY_PATH": "/opt/lib",
        "LD_PRELOAD": "",
        "TMPDIR": "/var/tmp",
        "PATH": "/home/x/bin:/usr/bin:/bin",
        "PYTHONPATH": "/x",
        "MANY WORDS": "a=b\nc",
        "EMPTY": "",
    }
    user = invoking(as_user, library, [], env=stripped)
    assert user["env"] == {**user_env, **stripped}
    for name in ("CPATH", "LD_LIBRARY_PATH", "TMPDIR", "PYTHONPATH"):
        assert name not in user["own"]


def test_store_follows_the_persons_cache_directory(as_user: Run, library: str) -> None:
    user = invoking(as_user, library, [], env={"XDG_CACHE_HOME": "/srv/cache"})
    assert user["store"] == "/srv/cache/pcache"
    user = invoking(as_user, library, [], env={"XDG_CACHE_HOME": "relative"})
    assert user["store"].endswith("/.cache/pcache") and user["store"].startswith("/home/")


def test_variables_on_sudos_command_line_count(as_user: Run, library: str) -> None:
    user = invoking(as_user, library, ["-u", "root", "CPATH=/new", "X="], env={"CPATH": "/old"})
    assert user["env"]["CPATH"] == "/new"
    assert user["env"]["X"] == ""


def test_umask_of_the_shell_comes_back(as_user: Run, library: str) -> None:
    # sudo itself widens 002 to 022.
    script = 'umask 002; sudo /usr/bin/python3 -ISc "$0" "$1"; exit $?'
    user = shown(as_user(["sh", "-c", script, SHOW, library]))
    assert user["umask"] == 0o002


def test_on_a_terminal_sudo_is_two_processes(
    as_user: Run, library: str, user_env: dict[str, str], user_dir: Path
) -> None:
    program = user_dir / "show.py"
    result = user_dir / "result"
    as_user(["tee", str(program)], input=SHOW.encode())
    line = f"umask 027; sudo /usr/bin/python3 -IS {program} {library} >{result}; exit $?"
    env = {"CPATH": "/opt/include"}
    done = as_user(["script", "-qec", line, "/dev/null"], env=env)
    assert done.returncode == 0, done.stdout
    user = json.loads(result.read_text())
    assert user["umask"] == 0o027
    assert user["env"]["CPATH"] == "/opt/include"
    assert user["env"]["HOME"] == user_env["HOME"]
    assert not any(name.startswith("SUDO_") for name in user["env"])


def test_as_root_keeps_root_without_traces_of_sudo(as_user: Run, library: str) -> None:
    user = invoking(as_user, library, [], "--as-root")
    assert (user["uid"], user["gid"], user["sudo"]) == (0, 0, False)
    assert user["env"]["HOME"] == "/root"
    assert not any(name.startswith("SUDO_") for name in user["env"])


def test_a_vanished_sudo_leaves_the_account(library: str, ordinary_user: pwd.struct_passwd) -> None:
    # SUDO_UID without a sudo of that user above: as when sudo is gone, or the demo plays it.
    env = {
        "SUDO_UID": str(ordinary_user.pw_uid),
        "SUDO_GID": str(ordinary_user.pw_gid),
        "SUDO_COMMAND": "make",
        "HOME": "/root",
        "USER": "root",
        "CPATH": "/opt/include",
    }
    command = ["/usr/bin/python3", "-ISc", SHOW, library]
    user = shown(subprocess.run(command, env=env, capture_output=True, check=False))
    assert user["uid"] == ordinary_user.pw_uid
    assert user["sudo"] is False
    assert user["env"] == {
        "HOME": ordinary_user.pw_dir,
        "USER": ordinary_user.pw_name,
        "LOGNAME": ordinary_user.pw_name,
        "CPATH": "/opt/include",
    }


def test_root_without_sudo_is_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    user = User.invoking()
    assert (user.uid, user.umask, user.sudo_pid) == (0, None, None)


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5"])
def test_damaged_sudo_uid_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SUDO_UID", value)
    with pytest.raises(EnvironmentProblem, match="SUDO_UID is no user or group number"):
        User.invoking()


def test_invoking_needs_root(as_user: Run, library: str) -> None:
    done = as_user(["/usr/bin/python3", "-ISc", SHOW, library])
    assert done.returncode == 1
    assert b"PrivilegeError: this needs root" in done.stderr


def test_current_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere/")
    monkeypatch.setenv("USER", "me")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    user = User.current()
    assert (user.uid, user.gid, user.name) == (os.geteuid(), os.getegid(), "me")
    assert set(user.groups) == set(os.getgroups())
    assert user.store_dir == b"/somewhere/.cache/pcache"
    assert user.env == dict(os.environb)


def test_current_user_without_home_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert User.current().home == os.fsencode(pwd.getpwuid(os.geteuid()).pw_dir)


def test_no_home_anywhere_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "nonsense")
    with pytest.raises(EnvironmentProblem, match="has no home directory"):
        User.current()


@pytest.mark.parametrize(
    "given",
    [{}, {"LANG": ""}, {"LC_CTYPE": "C.UTF-8"}, {"LC_ALL": "C"}, {"LANG": "C"}],
)
def test_what_python_adds_in_the_c_locale_is_left_out(library: str, given: dict[str, str]) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pcache.linux.user import User\n"
        "import os\n"
        "print(sorted(User.current().env.items()), 'LC_CTYPE' in os.environ)\n"
    )
    env = {"HOME": "/", **given}
    command = ["/usr/bin/python3", "-ISc", program, library]
    done = subprocess.run(command, env=env, capture_output=True, check=True)
    expected = sorted((name.encode(), value.encode()) for name, value in env.items())
    coerced = "LC_ALL" not in env
    assert done.stdout.decode() == f"{expected} {coerced}\n"


def test_become_is_complete(library: str, as_user: Run, ordinary_user: pwd.struct_passwd) -> None:
    program = SHOW.partition("text =")[0] + (
        "user.become()\n"
        "print(os.getresuid(), os.getresgid(), sorted(os.getgroups()))\n"
        "os.umask(os.umask(0)); print(oct(os.umask(0)))\n"
        "try: os.setuid(0)\n"
        "except PermissionError: print('for good')\n"
    )
    script = 'umask 007; sudo /usr/bin/python3 -ISc "$0" "$1"; exit $?'
    done = as_user(["sh", "-c", script, program, library])
    uid, gid = ordinary_user.pw_uid, ordinary_user.pw_gid
    groups = sorted(os.getgrouplist(ordinary_user.pw_name, gid))
    assert done.stdout.decode().splitlines() == [
        f"({uid}, {uid}, {uid}) ({gid}, {gid}, {gid}) {groups}",
        "0o7",
        "for good",
    ], done.stderr


def test_becoming_somebody_else_needs_root(as_user: Run, library: str) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pcache.linux.user import User\n"
        "user = User.current(); user.become(); user.uid += 1; user.become()\n"
    )
    done = as_user(["/usr/bin/python3", "-ISc", program, library])
    assert done.returncode == 1
    assert PrivilegeError.__name__.encode() in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([b"pcache", b"trace", b"X=1"], {}),
        ([b"X=1", b"Y=a=b", b"pcache"], {b"X": b"1", b"Y": b"a=b"}),
        ([b"-u", b"root", b"X=1", b"pcache"], {b"X": b"1"}),
        ([b"-uroot", b"-n", b"X=1", b"--", b"pcache"], {b"X": b"1"}),
        ([b"--user=root", b"X=1", b"pcache"], {b"X": b"1"}),
        ([b"-E", b"./a=b/pcache", b"X=1"], {}),
        ([], {}),
    ],
)
def test_assignments_of_sudo(arguments: list[bytes], expected: dict[bytes, bytes]) -> None:
    assert _assignments(arguments) == expected


def test_hot_path_import_is_light() -> None:
    program = (
        "import sys; import pcache.linux.user; pcache.linux.user.User.current()\n"
        "print(sorted({'pwd', 'typing', 'enum', 're', 'subprocess'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-S", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_below_a_script_of_roots_environment_and_umask_are_the_scripts(
    as_user: Run, library: str, ordinary_user: pwd.struct_passwd
) -> None:
    """What it exported, and no more; for the user who called sudo all the same."""
    script = 'export ADDED=1; umask 027; /usr/bin/python3 -ISc "$0" "$1"; exit $?'
    words = ["sudo", "LOST=0", "/bin/sh", "-c", script, SHOW, library]
    done = as_user(words, env={"MINE": "1"}, check=True)
    user = json.loads(done.stdout)
    assert (user["uid"], user["sudo"]) == (ordinary_user.pw_uid, False)
    assert user["env"]["ADDED"] == "1" and "MINE" not in user["env"]
    assert user["env"]["HOME"] == ordinary_user.pw_dir
    assert user["umask"] is None  # the present one stays
