"""Real projects recorded on one machine and brought back on another, of which nothing is the same
but the image: not the name, the home directory, the place of the project, the times of files."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.source import fetch
from tests.conftest import SUDO, open_directory
from tests.lib.launch import Launcher
from tests.lib.machines import Machine, hits
from tests.lib.servers import BUCKET, s3_server
from tests.scenarios.test_bioinformatics import PIPELINE, family, tutorial

pytestmark = [pytest.mark.root, pytest.mark.system_files, pytest.mark.slow]

_HOST = 'hostname "$0"; exec "$@"'


@dataclass(frozen=True)
class Project:
    """A source package of the distribution, and what is done with it."""

    package: str
    command: tuple[str, ...]
    edited: str
    prepare: str = ":"


PROJECTS = {
    "lua": Project("lua5.4", ("make", "--no-print-directory", "-j2", "linux"), "src/lstrlib.c"),
    # configure.log, which make does not read, has the host's name in it.
    "zlib": Project("zlib", ("make",), "adler32.c", "./configure"),
}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with open_directory() as directory, s3_server(directory) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def downloads() -> Iterator[Path]:
    with open_directory() as directory:
        yield directory


def machines(pcache: str, base: Path, endpoint: str) -> tuple[Machine, Machine]:
    made = []
    for name, host in (("ci", "runner-17"), ("developer", "laptop")):
        (base / f"scratch-{name}").mkdir()
        launcher = Launcher(pcache, base / f"scratch-{name}", as_root=SUDO)
        prefix = ["unshare", "--uts", "--ipc", "sh", "-c", _HOST, host]
        url = f"s3://{BUCKET}/{base.name}"
        machine = Machine(launcher, base, name, url, endpoint, prefix=prefix)
        made.append(machine)
    one, other = made
    one.be_trusted(other, 'map = ["home", "host"]', push="never")
    return one, other


def unpack(archive: Path, place: Path, project: Project) -> None:
    tar = ["tar", "--extract", "--no-same-owner", "--strip-components=1"]
    subprocess.run([*tar, "--file", archive, "--directory", place], check=True)
    subprocess.run(["sh", "-c", project.prepare], cwd=place, check=True, capture_output=True)
    (place / ".pcache.toml").write_text('base_dir = "."\n')


@pytest.mark.parametrize("name", PROJECTS)
def test_project(pcache: str, s3: str, downloads: Path, name: str) -> None:
    project = PROJECTS[name]
    archive = fetch(project.package, downloads)
    with open_directory() as base:
        one, other = machines(pcache, base, s3)
        for machine in (one, other):
            unpack(archive, machine.work, project)
        first = one.run(*project.command)
        assert first.status == 0, first.stderr[-2000:]
        done = one.pcache("push", "-v")
        assert done.returncode == 0, done.stderr
        print(name, done.stdout.decode().strip())
        told = other.pcache("explain", *project.command).stdout.decode()
        whole = other.run(*project.command, verb="replay")
        if hits(whole) != [" ".join(project.command)]:
            print(told, [line for line in whole.own.splitlines() if "remote:" in line])
            print({name: n for name, n in whole.counters.items() if name.startswith("remote")})
        assert hits(whole) == [" ".join(project.command)], whole.own[-2000:]
        fetched_s = other.took_s
        assert whole.ended == first.ended

        # An edit, and an empty store.
        print(f"{name}: recorded in {one.took_s:.2f} s, fetched in {fetched_s:.2f} s")

        other.forget()
        subprocess.run(["rm", "-r", other.work], check=True)
        other.work.mkdir()
        unpack(archive, other.work, project)
        with open(other.work / project.edited, "a") as file:
            file.write("\nconst int edited = 1;\n")
        time.sleep(0.1)
        result = other.run(*project.command)
        assert result.status == 0
        compiled = [one for one in result.decisions if one.command.startswith("gcc ")]
        missed = [decision.command for decision in compiled if not decision.hit]
        brought = [decision.command for decision in compiled if decision.hit]
        print(f"{name} after an edit: {len(brought)} brought, in {other.took_s:.2f} s")
        assert len(brought) > 10, result.own[-3000:]
        assert len(missed) <= len(brought) // 4 + 3, missed


def test_pipeline(pcache: str, s3: str) -> None:
    """hmmer and clustalo, on their own data; hmmer writes down in which directory it ran."""
    with open_directory() as base:
        one, other = machines(pcache, base, s3)
        other.work = one.work

        def lay_out(seed: int) -> None:
            one.lay_out({".pcache.toml": 'base_dir = "."\n', "run.sh": PIPELINE})
            for edit in (tutorial("globins4.sto"), tutorial("globins45.fa")):
                edit(one.work)
            (one.work / "family.fa").write_text(family(seed))

        lay_out(1)
        first = one.run("sh", "run.sh")
        assert first.status == 0, first.stderr
        assert one.pcache("push").returncode == 0
        lay_out(1)
        result = other.run("sh", "run.sh", verb="replay")
        assert hits(result) == ["sh run.sh"], result.own
        assert result.ended == first.ended
        print(f"pipeline: recorded in {one.took_s:.2f} s, fetched in {other.took_s:.2f} s")
        other.forget()
        lay_out(2)
        result = other.run("sh", "run.sh")
        assert [hit for hit in hits(result) if hit.startswith("hmmsearch")], result.own
        assert not [hit for hit in hits(result) if hit.startswith("clustalo")], result.own
