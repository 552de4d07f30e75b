"""Fixtures for the differential tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import SUDO, open_directory
from tests.lib.differential import Bench, Differential
from tests.lib.edits import write
from tests.lib.launch import Launcher
from tests.lib.scenario import Scenario

PLAIN_ENV = {
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "TZ": "UTC",
}
DEBIAN_PACKAGES = "python3,python3-bpfcc,libseccomp2,make,gcc,libc6-dev"
OF_KERNEL = ("/proc", "/sys", "/dev")
"""File systems of the kernel's own."""


def bench_in(base: Path, pcache: str) -> Bench:
    """Where scenarios run as whoever runs the tests, with a home that goes with them."""
    env = {**PLAIN_ENV, "HOME": str(base / "home")}
    return Bench(base, Launcher(pcache, base, as_root=SUDO), env)


@pytest.fixture
def bench(pcache: str) -> Iterator[Bench]:
    with open_directory() as base:
        yield bench_in(base, pcache)


@pytest.fixture
def prepared(bench: Bench) -> Bench:
    """With what `tests.lib.small.COMMAND` reads."""
    write("in", "in\n")(bench.directory)
    return bench


@pytest.fixture
def check(bench: Bench) -> Callable[[Scenario], None]:
    """Runs one scenario and fails with every deviation."""
    return lambda scenario: Differential(scenario, bench).check()


@pytest.fixture
def user_bench(
    pcache: str, ordinary_user: pwd.struct_passwd, user_env: dict[str, str], user_dir: Path
) -> Bench:
    """Where scenarios run as an ordinary user: `sudo pcache trace`, `pcache replay`."""
    become = [
        *SUDO,
        "setpriv",
        f"--reuid={ordinary_user.pw_uid}",
        f"--regid={ordinary_user.pw_gid}",
        "--init-groups",
        "--",
    ]
    launcher = Launcher(pcache, user_dir, as_root=("sudo",), user=become)
    bench = Bench(user_dir, launcher, user_env, (ordinary_user.pw_uid, ordinary_user.pw_gid))
    os.chown(user_dir, ordinary_user.pw_uid, ordinary_user.pw_gid)
    return bench


@pytest.fixture
def check_as_user(user_bench: Bench) -> Callable[[Scenario], None]:
    """The same as an ordinary user."""
    return lambda scenario: Differential(scenario, user_bench).check()


@pytest.fixture(scope="module")
def running_service(pcache: str) -> Iterator[tuple[str, int]]:
    """The recorder for members of the group `users`: its socket and its process."""
    with open_directory() as directory:
        path = f"{directory}/recorder.sock"
        words = [pcache, "service", "start", "--socket", path, "--group", "users"]
        with subprocess.Popen([*SUDO, *words], stdout=subprocess.PIPE) as process:
            assert process.stdout and b"listens at" in process.stdout.readline()
            yield path, process.pid
            process.terminate()


@pytest.fixture
def service(running_service: tuple[str, int]) -> str:
    return running_service[0]


@pytest.fixture
def service_pid(running_service: tuple[str, int]) -> int:
    return running_service[1]


@pytest.fixture(scope="session")
def debian() -> Iterator[Path]:
    """The root of a Debian 12 with what pcache depends on."""
    assert shutil.which("mmdebstrap"), "apt-get install mmdebstrap"
    with open_directory() as directory, ExitStack() as mounts:
        root = directory / "root"
        subprocess.run(
            [*SUDO, "mmdebstrap", "--quiet", "--variant=minbase", f"--include={DEBIAN_PACKAGES}",
             "bookworm", root],
            check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        for place in OF_KERNEL:
            subprocess.run([*SUDO, "mount", "--rbind", place, f"{root}{place}"], check=True)
            # A slave: what is unmounted here stays mounted there.
            subprocess.run([*SUDO, "mount", "--make-rslave", f"{root}{place}"], check=True)
            mounts.callback(subprocess.run, [*SUDO, "umount", "-R", f"{root}{place}"], check=True)
        yield root
