"""The package for Debian, in a fresh Debian 12: installed, used, removed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pcache import __version__
from tests.conftest import CHECKOUT, SUDO

pytestmark = [pytest.mark.slow, pytest.mark.root]

Shell = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def package() -> Path:
    """What tools/deb makes of the checkout."""
    done = subprocess.run(
        [CHECKOUT / "tools/deb"],
        env={**os.environ, "PCACHE_NO_APT": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return CHECKOUT / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def shell(debian: Path, package: Path) -> Shell:
    """Runs a script as root in the Debian where the package is in /root."""
    subprocess.run([*SUDO, "cp", package, debian / "root"], check=True)

    def run(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SUDO, "chroot", debian, "/bin/sh", "-ec", script],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_package_is_installed_used_and_removed(shell: Shell, debian: Path) -> None:
    done = shell("dpkg --install /root/pcache_*.deb")
    assert done.returncode == 0, done.stderr
    assert "cannot be compiled" not in done.stdout
    # As root with BPF: both halves of what the postinst does.
    (compiled,) = (debian / "var/cache/pcache").glob("recorder-*")
    assert compiled.stat().st_size > 10_000
    assert list((debian / "usr/lib/pcache/pcache/cli/__pycache__").glob("main.*.pyc"))
    assert shell("pcache --version").stdout == f"pcache {__version__}\n"
    for name in ("man/man1/pcache.1.gz", "bash-completion/completions/pcache",
                 "zsh/vendor-completions/_pcache", "fish/vendor_completions.d/pcache.fish",
                 "doc/pcache/copyright", "doc/pcache/changelog.gz"):  # fmt: skip
        assert shell(f"dpkg -S /usr/share/{name}").stdout.startswith("pcache: ")
    assert shell("dpkg --verify pcache").stdout == ""

    made = shell(
        "mkdir /root/project; cd /root/project\n"
        "printf 'int main(void) { return 0; }\\n' >main.c\n"
        "printf 'main: main.c\\n\\tgcc -o main main.c\\n' >Makefile\n"
        "pcache trace make; sha256sum main; rm main\n"
        "pcache replay --json /root/counters make; sha256sum main; ./main"
    )
    assert made.returncode == 0, made.stderr
    command, first, *again = made.stdout.splitlines()
    assert command == "gcc -o main main.c"
    assert again == [command, first]
    counters = json.loads((debian / "root/counters").read_text())
    assert (counters["hits"], counters["misses"]) == (1, 0)

    gone = shell("dpkg --purge pcache")
    assert (gone.returncode, gone.stderr) == (0, "")
    assert not (debian / "usr/lib/pcache").exists()
    assert not (debian / "var/cache/pcache").exists()
    assert (debian / "root/.cache/pcache").exists()  # records are the user's


def test_package_is_installed_where_nothing_can_be_compiled(shell: Shell) -> None:
    done = shell(
        "unshare --mount --propagation unchanged"
        " sh -ec 'mount -t tmpfs none /sys; dpkg --install /root/pcache_*.deb'"
    )
    assert done.returncode == 0, done.stderr
    assert "the first recording will try" in done.stdout
    assert shell("pcache --version").returncode == 0
    assert shell("dpkg --purge pcache").returncode == 0
