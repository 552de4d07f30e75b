"""`pcache run`: what was replayed is part of what is recorded, and no version is forgotten."""

from __future__ import annotations

import shutil
import time

import pytest

from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Result, Stdio

pytestmark = [pytest.mark.root, pytest.mark.system_files]

SCRIPT = "cat a\nsort b >sorted\ncat sorted c\n"


def run(bench: Bench, verb: str = "run") -> Result:
    time.sleep(SETTLE_SECONDS)
    start, tell = {
        "run": (bench.launcher.run, "--explain"),
        "replay": (bench.launcher.replay, "-v"),
    }[verb]
    return start(("sh", "run.sh"), bench.directory, bench.env, Stdio(), ("-q", tell))


def root_hit(result: Result) -> bool:
    return [(d.hit, d.command) for d in result.decisions] == [(True, "sh run.sh")]


def write(bench: Bench, **contents: str) -> None:
    for name, content in contents.items():
        (bench.directory / name).write_text(content)


def test_hits_are_part_of_the_record(bench: Bench) -> None:
    """The commands that are replayed print and write; the next root hit must do so as well."""
    write(bench, a="a\n", b="2\n1\n", c="c\n")
    (bench.directory / "run.sh").write_text(SCRIPT)
    assert run(bench).stdout == b"a\n1\n2\nc\n"
    write(bench, c="d\n")
    (bench.directory / "sorted").unlink()
    second = run(bench)
    assert {d.command for d in second.decisions if d.hit} == {"cat a", "sort b"}
    assert second.stdout == b"a\n1\n2\nd\n"
    (bench.directory / "sorted").unlink()
    third = run(bench)
    assert root_hit(third)
    assert third.stdout == second.stdout
    assert (bench.directory / "sorted").read_text() == "1\n2\n"


def test_a_directory_that_a_hit_makes_and_fills(bench: Bench) -> None:
    """It is no more of an input than one that was seen to be made."""
    write(bench, a="a\n", b="b\n")
    script = "sh -c 'mkdir -p made && cp a made/a'\nsh -c 'mkdir -p made && cp b made/b'\n"
    (bench.directory / "run.sh").write_text(script)
    run(bench)
    for text in ("c\n", "d\n"):
        write(bench, b=text)
        for hit in (False, True):
            shutil.rmtree(bench.directory / "made")
            assert root_hit(run(bench)) == hit
            assert (bench.directory / "made/a").read_text() == "a\n"
            assert (bench.directory / "made/b").read_text() == text


@pytest.mark.parametrize("changed", ["a", "b", "d", "link"])
def test_what_hits_have_in_common_is_an_input_of_their_caller(bench: Bench, changed: str) -> None:
    """Also what the caller itself changes between them, or reads by another way."""
    script = (
        "cat a b\ncat a link\ncat link b a\nsh -c 'cat a; exec cat a b'\n"
        "echo made >made\ncat made a\necho more >>made\ncat a made\nrm made\n"
    )
    write(bench, a="a\n", b="b\n", d="d\n", **{"run.sh": script})
    (bench.directory / "link").symlink_to("d")
    run(bench)
    write(bench, **{"run.sh": script + "# edited\n"})
    second = run(bench)
    assert sum(decision.hit for decision in second.decisions) >= 7
    third = run(bench, "replay")
    assert root_hit(third)
    assert third.stdout == second.stdout
    if changed == "link":
        (bench.directory / "link").unlink()
        (bench.directory / "link").symlink_to("b")
    else:
        write(bench, **{changed: "changed\n"})
    plain = bench.launcher.plain(("sh", "run.sh"), bench.directory, bench.env, Stdio())
    fourth = run(bench, "replay")
    assert not root_hit(fourth)
    assert fourth.stdout == plain.stdout != second.stdout


def test_hits_are_decided_where_the_recorder_sees_them(bench: Bench) -> None:
    """A program denied at its execve never starts, so that its caller's record would lack it."""
    result = bench.launcher.plain(
        (bench.launcher.pcache, "run", "--intercept=execve", "true"),
        bench.directory,
        bench.env,
        Stdio(),
    )
    assert result.status == 2
    assert b"--intercept" in result.stderr


@pytest.mark.parametrize("verb", ["run", "replay"])
def test_going_back_to_earlier_versions(bench: Bench, verb: str) -> None:
    """Each of many versions of the sources is replayed as a whole when it comes back."""
    (bench.directory / "run.sh").write_text(SCRIPT)
    printed = []
    for version in range(6):
        write(bench, a=f"a{version}\n", b=f"{version % 3}\n0\n", c="c\n" * version)
        printed.append(run(bench).stdout)
    assert len(set(printed)) == 6
    for version in (0, 5, 2, 1, 4, 3, 0):
        write(bench, a=f"a{version}\n", b=f"{version % 3}\n0\n", c="c\n" * version)
        result = run(bench, verb)
        assert root_hit(result), result.own
        assert result.stdout == printed[version]
        assert (bench.directory / "sorted").read_text() == f"0\n{version % 3}\n"


def test_of_a_user_by_sudo(user_bench: Bench) -> None:
    """The processes belong to the user, who is watched with root's help: hits come one by one."""
    write(user_bench, a="a\n", b="2\n1\n", c="c\n")
    (user_bench.directory / "run.sh").write_text(SCRIPT)
    user_bench.own()
    assert run(user_bench).stdout == b"a\n1\n2\nc\n"
    write(user_bench, c="d\n")
    second = run(user_bench)
    assert second.stdout == b"a\n1\n2\nd\n"
    assert {d.command for d in second.decisions if d.hit} == {"cat a", "sort b"}
    assert root_hit(run(user_bench))


def test_listing_by_a_hit(bench: Bench) -> None:
    """What the caller's record says was in the directory is what was there before it began."""
    (bench.directory / "run.sh").write_text("cp a b\nrm z\nls\ncat c\n")

    def start(c: str) -> None:
        write(bench, a="a\n", c=c, z="")
        (bench.directory / "b").unlink(missing_ok=True)

    start("1\n")
    assert run(bench).stdout == b"a\nb\nc\nrun.sh\n1\n"
    start("2\n")
    second = run(bench)
    assert {d.command for d in second.decisions if d.hit} == {"cp a b", "rm z", "ls"}
    start("2\n")
    third = run(bench)
    assert root_hit(third)
    assert third.stdout == second.stdout == b"a\nb\nc\nrun.sh\n2\n"
    start("2\n")
    write(bench, more="")
    assert run(bench).stdout == b"a\nb\nc\nmore\nrun.sh\n2\n"


@pytest.mark.parametrize(
    "command",
    [
        "sort -o a a",
        "dd if=b of=a bs=1 count=1 conv=notrunc status=none",
        "truncate -s 3 a",
        "tee -a a <b >c",
        "cd d; truncate -s 1 x",
        "sed -i s/1/3/ a",
        ": >a; sed -i s/1/3/ a",
    ],
)
def test_what_is_told_to_be_changed_in_place(bench: Bench, command: str) -> None:
    """Its content is looked at before: afterwards it would be lost, and nothing recorded."""
    (bench.directory / "run.sh").write_text(f"{command}\n")
    (bench.directory / "d").mkdir()
    trees = []
    for number in range(2):
        write(bench, a="2\n1\n", b="b\n")
        write(bench, **{"d/x": "x\n"})
        result = run(bench)
        assert root_hit(result) == (number == 1), result.own
        names = [path for path in bench.directory.rglob("*") if path.is_file()]
        trees.append({path: path.read_bytes() for path in names})
    assert trees[0] == trees[1]
