"""Shared fixtures: an ordinary user made for the tests, and the checkout's pcache for everybody.

The temporary directories here lie below /var/tmp and can be entered by every user, which those of
pytest's tmp_path cannot.
"""

from __future__ import annotations

import compileall
import os
import pwd
import shutil
import signal
import subprocess
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pcache import bundle
from pcache.linux import mounts
from tests.lib import system

CHECKOUT = Path(__file__).resolve().parent.parent
COMPILED = CHECKOUT / "build/compiled"
SUDO = [] if os.geteuid() == 0 else ["sudo"]

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stress", action="store_true", help="as many rounds as a release must hold")


def pytest_configure() -> None:
    """What others do must not reach the programs that are tested.

    Programs inherit ignored signals: those of nohup, or of a shell's background job.  What others
    mount is an input: each overlay keeps digests from being remembered.  Only root can have mounts
    of its own.
    """
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.geteuid() == 0:
        mounts.leave_namespace(0, 0)


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """What expects hits of the system's programs has a second try if these change meanwhile."""
    if item.get_closest_marker("system_files") is None:
        return None
    system.run(item, nextitem)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before those to run are chosen by their marks."""
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("mounts"):
                item.add_marker("alone")


def pytest_report_header() -> str:
    kind = "compiled" if _compiled() else "interpreted (tools/compile makes the compiled one)"
    return f"pcache command under test: {kind}"


def _compiled() -> bool:
    """Whether tools/compile has been called for the sources as they are."""
    return subprocess.run([CHECKOUT / "tools/compile", "--check"], check=False).returncode == 0


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often to try something at random: the first number of the mark `rounds`, by --stress the
    second."""
    marker = request.node.get_closest_marker("rounds")
    few, many = marker.args
    return int(many if request.config.getoption("--stress") else few)


@contextmanager
def open_directory(parent: str = "/var/tmp") -> Iterator[Path]:
    """A new directory that every user can enter and read."""
    path = Path(tempfile.mkdtemp(prefix="pcache-test-", dir=parent))
    path.chmod(0o755)
    try:
        yield path
    finally:
        subprocess.run([*SUDO, "rm", "-rf", str(path)], check=True)


@contextmanager
def made_command() -> Iterator[str]:
    """The `pcache` command made from this checkout, as tools/install would make it.

    Compiled modules that are there but older than the sources are left out, as the header says.
    """
    with open_directory() as directory:
        shutil.copytree(
            CHECKOUT / "pcache",
            directory / "lib/pcache",
            ignore=shutil.ignore_patterns("__pycache__", "bpf"),
        )
        shutil.copytree(CHECKOUT / "bpf", directory / "lib/pcache/bpf")
        if _compiled():
            shutil.copytree(COMPILED, directory / "lib", dirs_exist_ok=True)
        compileall.compile_dir(directory / "lib", quiet=2)
        bundle.write(directory / "lib", "pcache", str(directory / "lib"))
        site = sysconfig.get_path("platlib")
        launcher, main = directory / "pcache", directory / "main.py"
        main.write_text(
            "import sys\n"
            f"sys.path[:0] = [{str(directory / 'lib')!r}]\n"
            f"sys.path += [{site!r}, '/usr/lib/python3/dist-packages']\n"
            "from pcache.bundle import use\n"
            f"use({str(directory / 'lib')!r}, 'pcache')\n"
            "from pcache.cli.main import launch\n"
            "launch()\n"
        )
        python = os.path.realpath("/usr/bin/python3")
        paths = [f'-DPYTHON="{python}"', f'-DMAIN="{main}"']
        source = CHECKOUT / "tools/launcher.c"
        subprocess.run(["cc", "-O1", "-static", *paths, "-o", launcher, source], check=True)
        yield str(launcher)


@pytest.fixture(scope="session")
def pcache() -> Iterator[str]:
    """The command under test."""
    with made_command() as command:
        yield command


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[pwd.struct_passwd]:
    """An account of its own, in the groups `users` and `games`, that may use sudo."""
    name = f"pcache-test-{os.getpid()}"
    rule = f"/etc/sudoers.d/{name}"
    # A shell as login shell would read start-up files; nothing here logs in.
    made = ["useradd", "--create-home", "--groups", "users,games", "--shell", "/bin/sh", name]
    subprocess.run([*SUDO, *made], check=True)
    try:
        subprocess.run(
            [
                *SUDO,
                "sh",
                "-c",
                f"umask 337; echo '{name} ALL=(ALL) NOPASSWD: SETENV: ALL' >{rule}",
            ],
            check=True,
        )
        yield pwd.getpwnam(name)
    finally:
        subprocess.run([*SUDO, "rm", "-f", rule], check=True)
        subprocess.run([*SUDO, "userdel", "--force", "--remove", name], check=False)


@pytest.fixture(scope="session", autouse=True)
def made_early(request: pytest.FixtureRequest) -> None:
    """Beside others: what programs read changes for all of them whenever an account is made."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        request.getfixturevalue("ordinary_user")


@pytest.fixture
def user_dir(ordinary_user: pwd.struct_passwd) -> Iterator[Path]:
    """A directory that belongs to the ordinary user."""
    with open_directory() as directory:
        owner = f"{ordinary_user.pw_uid}:{ordinary_user.pw_gid}"
        subprocess.run([*SUDO, "chown", owner, str(directory)], check=True)
        yield directory


@pytest.fixture(scope="session")
def user_env(ordinary_user: pwd.struct_passwd) -> dict[str, str]:
    """What a login would put into that user's environment."""
    return {
        "HOME": ordinary_user.pw_dir,
        "LOGNAME": ordinary_user.pw_name,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "SHELL": "/bin/sh",
        "USER": ordinary_user.pw_name,
    }


@pytest.fixture(scope="session")
def as_user(ordinary_user: pwd.struct_passwd, user_env: dict[str, str]) -> Run:
    """Runs a command as the ordinary user.

    `env` is added to what a login gives; further keywords go to subprocess.run.  Output is
    captured and stdin is /dev/null unless told otherwise.
    """
    switch = [
        *SUDO,
        "setpriv",
        f"--reuid={ordinary_user.pw_uid}",
        f"--regid={ordinary_user.pw_gid}",
        "--init-groups",
        "--",
    ]

    def run(
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        **keywords: object,
    ) -> subprocess.CompletedProcess[bytes]:
        exact = {**user_env, **(env or {})}
        # sudo (for a tester who is not root) would filter the variables: env(1) sets them again.
        words = [f"{name}={value}" for name, value in exact.items()]
        if "input" not in keywords:
            keywords.setdefault("stdin", subprocess.DEVNULL)
        keywords.setdefault("capture_output", True)
        keywords.setdefault("check", False)
        return subprocess.run(  # type: ignore[call-overload, no-any-return]  # noqa: PLW1510
            [*switch, "env", "-i", *words, *command],
            cwd=cwd or ordinary_user.pw_dir,
            **keywords,
        )

    return run
