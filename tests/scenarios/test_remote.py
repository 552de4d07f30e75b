"""Sharing: what one machine recorded is restored on others, and nothing that is not right is."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import SUDO, open_directory
from tests.lib.launch import Launcher
from tests.lib.machines import ALL, Machine, hits
from tests.lib.servers import (
    AZURE_ACCOUNT,
    AZURE_KEY,
    BUCKET,
    READER,
    azure_server,
    s3_server,
    webdav_server,
)

pytestmark = [pytest.mark.root, pytest.mark.system_files]

BUILD = {
    ".pcache.toml": 'base_dir = "."\n',
    "Makefile": ("prog: a.o b.o\n\tcc -o prog a.o b.o\n%.o: %.c h.h\n\tcc -c $< -o $@\n"),
    "h.h": "int b(void);\n",
    "a.c": '#include "h.h"\nint main(void) { return b(); }\n',
    "b.c": '#include "h.h"\nint b(void) { return 0; }\n',
}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with open_directory() as directory, s3_server(directory) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def webdav() -> Iterator[str]:
    with open_directory() as directory, webdav_server(directory) as url:
        yield url


class Team:
    """Machines that share one place of a server."""

    def __init__(self, pcache: str, base: Path, url: str, endpoint: str = "") -> None:
        self.pcache = pcache
        self.base = base
        self.url = url
        self.endpoint = endpoint
        self.trusted: list[str] = []

    def machine(self, name: str, **more: object) -> Machine:
        scratch = self.base / f"scratch-{name}"
        scratch.mkdir()
        launcher = Launcher(self.pcache, scratch, as_root=SUDO)
        return Machine(launcher, self.base, name, self.url, self.endpoint, **more)  # type: ignore[arg-type]

    def pair(self, more: str = 'map = ["home"]', **of_b: object) -> tuple[Machine, Machine]:
        """One that records and pushes, and one that only reads."""
        one, other = self.machine("a"), self.machine("another", **of_b)
        self.trusted = one.be_trusted(other, more)
        return one, other


def a_team(pcache: str, base: Path, kind: str, request: pytest.FixtureRequest) -> Team:
    if kind == "file":
        return Team(pcache, base, f"file://{base}/shared")
    place = base.name
    if kind == "webdav":
        return Team(pcache, base, f"{request.getfixturevalue('webdav')}/{place}")
    return Team(pcache, base, f"s3://{BUCKET}/{place}", request.getfixturevalue("s3"))


@pytest.fixture
def team(pcache: str, request: pytest.FixtureRequest) -> Iterator[Team]:
    kind = getattr(request, "param", "s3")
    with open_directory() as base:
        yield a_team(pcache, base, kind, request)


def edited(text: str) -> dict[str, str]:
    return {**BUILD, "b.c": text}


ENGINES = pytest.mark.parametrize("team", ["s3", "webdav", "file"], indirect=True)


@ENGINES
@pytest.mark.parametrize("verb", ["run", "replay"])
def test_build_of_another_machine(team: Team, verb: str) -> None:
    """The whole at once; after an edit, what it does not concern."""
    one, other = team.pair()
    one.lay_out(BUILD)
    first = one.run("make")
    assert "pushed 6 records" in first.own, first.own
    since = time.time_ns()
    other.lay_out(BUILD)
    result = other.run("make", verb=verb)
    assert hits(result) == ["make"], result.own
    assert result.counters["remote hits"] == 1
    assert result.ended == first.ended
    tree = other.snapshot(since)
    other.lay_out(BUILD)
    assert other.plain("make").ended == first.ended
    assert not other.snapshot(since).difference(tree)

    other.forget()
    other.lay_out(edited('#include "h.h"\nint b(void) { return 1; }\n'))
    result = other.run("make", verb=verb)
    assert "cc -c a.c -o a.o" in hits(result), result.own
    assert not [hit for hit in hits(result) if "b.c" in hit or hit == "make"]
    assert result.counters["remote hits"] >= 1
    assert subprocess.run([other.work / "prog"], check=False).returncode == 1


@pytest.mark.slow
def test_azure(pcache: str) -> None:
    with open_directory() as base, azure_server(base) as endpoint:
        team = Team(pcache, base, f"az://{BUCKET}/{base.name}", endpoint)
        account = {
            "PCACHE_AZURE_STORAGE_ACCOUNT_NAME": AZURE_ACCOUNT,
            "PCACHE_AZURE_STORAGE_ACCOUNT_KEY": AZURE_KEY,
        }
        one, other = team.machine("a", variables=account), team.machine("b", variables=account)
        one.be_trusted(other)
        one.lay_out(BUILD)
        assert "pushed 6 records" in one.run("make").own
        other.lay_out(BUILD)
        assert hits(other.run("make", verb="replay")) == ["make"]
        other.forget()
        other.lay_out(edited('#include "h.h"\nint b(void) { return 1; }\n'))
        assert "cc -c a.c -o a.o" in hits(other.run("make", verb="replay"))


def test_second_time_is_local(team: Team) -> None:
    """What came once is here: nobody is asked again."""
    one, other = team.pair()
    for machine in (one, other):
        machine.lay_out(BUILD)
        machine.run("make")
    other.lay_out(BUILD)
    result = other.run("make")
    assert hits(result) == ["make"]
    assert result.counters["remote look-ups"] == 0


def test_without_base_dir_places_differ(team: Team) -> None:
    one, other = team.pair()
    plain = {name: text for name, text in BUILD.items() if name != ".pcache.toml"}
    for machine in (one, other):
        machine.lay_out(plain)
        result = machine.run("make")
        assert hits(result) == []


@pytest.mark.parametrize(
    "script",
    [
        "echo $HOME",
        "echo $HOME >f; cksum <f >sum; rm f",
        "echo ~/x >out",
        "ln -s $HOME link",
        "cat ~/data",
        "cd; pwd",
    ],
)
def test_home_shows(team: Team, script: str) -> None:
    """What printed, wrote or read the name of a home directory is not for others."""
    one, other = team.pair()
    files = {".pcache.toml": 'base_dir = "."\n', "run.sh": script + "\n"}
    for machine in (one, other):
        (machine.home / "data").write_text(f"in {machine.home}\n")
        machine.lay_out(files)
        expected = machine.plain("sh", "run.sh")
        machine.lay_out(files)
        result = machine.run("sh", "run.sh")
        assert result.ended == expected.ended
        assert "sh run.sh" not in hits(result), result.own


def in_a_place_of_its_own(name: str, *switch: str) -> list[str]:
    """A prefix: another host name, in namespaces of its own."""
    script = 'hostname "$0"; exec "$@"'
    return ["unshare", "--uts", "--mount", "--ipc", "sh", "-c", script, name, *switch]


def as_user(uid: int, groups: Sequence[int]) -> list[str]:
    supplementary = ",".join(map(str, groups))
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={supplementary}", "--"]


def test_other_user_on_other_host(
    team: Team, ordinary_user: pwd.struct_passwd, user_env: dict[str, str]
) -> None:
    """Two machines made from one image: host, user, home and directory have other names."""
    ids = (ordinary_user.pw_uid, ordinary_user.pw_gid)
    groups = os.getgrouplist(ordinary_user.pw_name, ids[1])
    identity = {name: user_env[name] for name in ("USER", "LOGNAME")}
    one = team.machine("a", owner=ids, variables=identity)
    other = team.machine(
        "another", owner=(4711, 4711), variables={"USER": "somebody", "LOGNAME": "somebody"}
    )
    one.be_trusted(other, f"map = {ALL}")
    switch = [*in_a_place_of_its_own("build-host"), *as_user(ids[0], groups)]
    scratch = team.base / "scratch-a"
    os.chown(scratch, *ids)
    one.launcher = Launcher(team.pcache, scratch, as_root=("sudo",), user=switch)
    scratch = team.base / "scratch-another"
    os.chown(scratch, 4711, 4711)
    switch = [*in_a_place_of_its_own("other-host"), *as_user(4711, sorted({*groups} - {ids[1]}))]
    other.launcher = Launcher(team.pcache, scratch, user=switch)
    one.lay_out(BUILD)
    first = one.run("make")
    assert "pushed 6 records" in first.own, first.own
    other.lay_out(BUILD)
    result = other.run("make", verb="replay")
    assert hits(result) == ["make"], result.own
    assert (result.status, result.stdout) == (first.status, first.stdout)


@pytest.mark.parametrize(("credentials", "says"), [(READER, "refuses"), (("x", "y"), "refuses")])
def test_who_may_not_write(team: Team, credentials: Sequence[str], says: str) -> None:
    """Read-only credentials: pushing fails with one line, the command does not."""
    one = team.machine("a", credentials=tuple(credentials))
    one.configure([one.new_key()], "always")
    one.lay_out(BUILD)
    result = one.run("make")
    assert result.status == 0
    assert says in result.own, result.own
    assert one.pcache("push").returncode == 125


@pytest.mark.parametrize(
    ("push", "ci", "pushes"),
    [("ci", "true", True), ("ci", "", False), ("ci", "false", False), ("never", "true", False)],
)
def test_when_it_is_pushed(team: Team, push: str, ci: str, pushes: bool) -> None:
    one = team.machine("a", variables={"CI": ci})
    one.configure([one.new_key()], push)
    one.lay_out(BUILD)
    assert ("pushed 6 records" in one.run("make").own) == pushes


def test_no_key_pushes_nothing(team: Team) -> None:
    """A job of a fork has no secrets: it reads."""
    one = team.machine("a", variables={"CI": "true"})
    one.configure([], "ci")
    one.lay_out(BUILD)
    result = one.run("make")
    assert "there is no signing key" in result.own
    assert result.status == 0


def test_secrets_stay(team: Team) -> None:
    """In variables, in outputs, in what was printed; the dry run tells."""
    one = team.machine("a", variables={"DEPLOY_TOKEN": "not-for-others-1"})
    more = '[program.cp]\nignore_env = ["DEPLOY_TOKEN"]\n[program.cat]\nignore_env = ["*_TOKEN"]'
    one.configure([one.new_key()], "never", more)
    one.lay_out({"key": "-----BEGIN OPENSSH PRIVATE KEY-----\n", "t": "xnot-for-others-1x\n"})
    for command in (["cp", "key", "copy"], ["cat", "t"], ["cp", "t", "u"], ["uname", "-s"]):
        one.run(*command)
    done = one.pcache("push", "--dry-run")
    lines = done.stdout.decode().splitlines()
    kept = [line for line in lines if line.startswith("stays here: ")]
    assert len(kept) == 4, lines
    assert "variable DEPLOY_TOKEN looks like a secret" in "".join(kept)
    assert not [line for line in lines if line.startswith("would push: ")], lines
    assert one.pcache("push").returncode == 0
    store = team.base / "shared"
    assert not store.exists()


def test_dry_run_and_resuming(team: Team) -> None:
    one = team.machine("a")
    one.configure([one.new_key()])
    one.lay_out(BUILD)
    one.run("make")
    dry = one.pcache("push", "-n").stdout.decode()
    assert dry.count("would push: ") == 6, dry
    assert b"pushed 6 records" in one.pcache("push").stdout
    again = one.pcache("push").stdout
    assert b"pushed 0 records, 0 contents (0 B) and 0 manifests; pushed before: 6" in again, again


def test_pull_then_no_network(team: Team) -> None:
    """What was pulled is enough when the server cannot be reached."""
    one, other = team.pair()
    one.lay_out(BUILD)
    one.run("make")
    other.lay_out(BUILD)
    assert b"6 records" in other.pcache("pull", "--dry-run", "make").stdout
    done = other.pcache("pull", "make")
    assert done.returncode == 0, done.stderr
    again = other.pcache("pull", "make").stdout
    assert b"0 B of that fetched" in again, again
    other.endpoint = "http://127.0.0.1:1"
    other.configure(team.trusted, more='map = ["home"]')
    result = other.run("make")
    assert hits(result) == ["make"], result.own


def test_explain_across_machines(team: Team) -> None:
    one, other = team.pair("")
    one.lay_out(BUILD)
    one.run("make")
    other.lay_out({**BUILD, "h.h": "int b(void); // other\n"})
    other.env["CFLAGS"] = "-O1"
    narrow = ["prlimit", "--nofile=512", "sh", "-c", 'umask 077; trap "" PIPE; exec "$@"', "sh"]
    other.prefix = ["setpriv", "--groups=4711", "--", *narrow]
    text = other.pcache("explain", "make").stdout.decode()
    for difference in (
        *("elsewhere", "variable CFLAGS", "variable HOME", "umask: 022 -> 077"),
        *("limits and capabilities: ", "groups and sandbox: 0 -> 0 4711", "ignored signals: "),
    ):
        assert difference in text, text
    assert "all that the processor tells" not in text, text
