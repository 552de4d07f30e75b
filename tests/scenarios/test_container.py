"""In something like a container: a Debian of its own, and namespaces of its own, but no systemd."""

from __future__ import annotations

import grp
import json
import os
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import SUDO

pytestmark = [pytest.mark.slow, pytest.mark.root]

NAMESPACES = ("--pid", "--fork", "--mount", "--net", "--ipc", "--uts")
MAKEFILE = "main: main.c\n\tgcc -o main main.c\n"
MAIN = "int main(void) { return 0; }\n"


class Done(NamedTuple):
    """How a command in the container ended."""

    status: int
    stdout: str
    own: str
    counters: dict[str, int]


class Container:
    """Commands with the root directory of a Debian, in `/srv/project`."""

    def __init__(self, root: Path, pcache: str, uid: int = 0, gid: int = 0) -> None:
        """Any user but root is root in a user namespace of its own."""
        self.home = root / "srv"
        self.project = self.home / "project"
        self._owner = uid, gid
        script = 'mount -t proc none /proc && cd /srv/project && exec "$@"'
        become = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        mapped = ["--map-root-user"] if uid else []
        self._words = [*SUDO, *become, "unshare", *NAMESPACES, *mapped]
        self._words += ["chroot", str(root), "sh", "-c", script, "sh", pcache]

    def run(self, verb: str, *rest: str, env: dict[str, str] | None = None) -> Done:
        """One of pcache's verbs and its arguments, in new namespaces."""
        report = self.home / "report"
        report.unlink(missing_ok=True)
        counting = ["--json", "/srv/report"] if verb in ("run", "trace", "replay") else []
        done = subprocess.run(
            [*self._words, verb, *counting, *rest],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/srv", **(env or {})},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        counters = json.loads(report.read_text())["counters"] if report.exists() else {}
        return Done(done.returncode, done.stdout, done.stderr, counters)

    def begin(self) -> None:
        """A project, and no records."""
        subprocess.run([*SUDO, "rm", "-rf", self.project, self.home / ".cache"], check=True)
        self.project.mkdir()
        (self.project / "Makefile").write_text(MAKEFILE)
        (self.project / "main.c").write_text(MAIN)
        for path in (self.home, self.project, *self.project.iterdir()):
            os.chown(path, *self._owner)


@pytest.fixture(scope="module")
def installed(debian: Path, pcache: str) -> Iterator[Path]:
    """The Debian, with the pcache under test where it is outside."""
    with ExitStack() as mounts:
        for place in (str(Path(pcache).parent), sysconfig.get_path("platlib")):
            inside = Path(f"{debian}{place}")
            inside.mkdir(parents=True)
            subprocess.run([*SUDO, "mount", "--bind", place, inside], check=True)
            mounts.callback(subprocess.run, [*SUDO, "umount", inside], check=True)
        yield debian


@pytest.mark.parametrize("verb", ["trace", "run"])
def test_recorded_and_replayed(installed: Path, pcache: str, verb: str) -> None:
    container = Container(installed, pcache)
    container.begin()
    first = container.run(verb, "make")
    assert (first.status, first.stdout) == (0, "gcc -o main main.c\n"), first.own
    assert "recorded as a whole" in first.own
    made = (container.project / "main").read_bytes()
    for again in ("replay", "run"):
        (container.project / "main").unlink()
        done = container.run(again, "make")
        assert (done.status, done.stdout) == (0, first.stdout), done.own
        assert (done.counters["hits"], done.counters["misses"]) == (1, 0), done.own
        assert (container.project / "main").read_bytes() == made
    (container.project / "main.c").write_text(MAIN.replace("0", "3"))
    (container.project / "main").unlink()
    edited = container.run("run", "make")
    assert (edited.status, edited.stdout) == (0, first.stdout), edited.own
    assert edited.counters["misses"] > 0
    assert (container.project / "main").read_bytes() != made


def test_doctor_knows_where_it_is(installed: Path, pcache: str) -> None:
    done = Container(installed, pcache).run("doctor")
    assert "with namespaces of its own: pid, uts, ipc\n" in done.stdout
    assert done.status == 0, done.stdout


def test_as_root_of_a_user_namespace(installed: Path, pcache: str, service: str) -> None:
    """Who is root in there has no right to load probes; the service's socket will do."""
    container = Container(installed, pcache, 65533, grp.getgrnam("users").gr_gid)
    container.begin()
    for verb in ("trace", "run", "replay"):
        done = container.run(verb, "make")
        assert (done.status, done.stdout) == (0, "gcc -o main main.c\n"), done.own
        assert "records stored" not in done.counters or not done.counters["records stored"]
        (container.project / "main").unlink()
    inside = Path(f"{installed}{service}").parent
    inside.mkdir(parents=True)
    subprocess.run([*SUDO, "mount", "--bind", Path(service).parent, inside], check=True)
    try:
        by_service = {"PCACHE_SOCKET": service}
        first = container.run("run", "make", env=by_service)
        assert "recorded as a whole" in first.own, first.own
        (container.project / "main").unlink()
        again = container.run("run", "make", env=by_service)
        assert (again.status, again.stdout) == (0, first.stdout)
        assert (again.counters["hits"], again.counters["misses"]) == (1, 0), again.own
        assert (container.project / "main").exists()
    finally:
        subprocess.run([*SUDO, "umount", inside], check=True)
