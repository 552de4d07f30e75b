"""Calls that fail: what made them fail is an input, or nothing is kept."""

from __future__ import annotations

import os
import pwd
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import SUDO
from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Result, Stdio

pytestmark = pytest.mark.root

State = Callable[[Path, ExitStack, int], None]
"""Makes one in a directory; what the stack holds is undone later; the number is the user's."""


@dataclass(frozen=True)
class Case:
    """`fails`: a state in which part of the script fails; `works`: one in which it does not.

    kept: whether the failure is recorded, with what caused it.
    """

    name: str
    script: str
    fails: State
    works: State
    kept: bool = True


def root(*command: str | Path) -> None:
    subprocess.run([*SUDO, *command], check=True)


def _text(path: Path, text: str, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, uid, gid)


@contextmanager
def _held(command: list[str], **keywords: object) -> Iterator[None]:
    process = subprocess.Popen(command, **keywords)  # type: ignore[call-overload]
    try:
        time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


def program(path: Path, name: str = "true") -> None:
    root("cp", f"/bin/{name}", path)


def written(here: Path, stack: ExitStack, _: int) -> None:
    program(here / "x")
    stack.enter_context((here / "x").open("r+b"))


def running(here: Path, stack: ExitStack, _: int) -> None:
    program(here / "x", "sleep")
    stack.enter_context(_held([str(here / "x"), "60"]))


def idle(name: str) -> State:
    return lambda here, stack, uid: program(here / "x", name)


def mounted(options: str, make: Callable[[Path], None] | None = None) -> State:
    """A file system of its own at `m`, with `options` once something is in it."""

    def state(here: Path, stack: ExitStack, _: int) -> None:
        place = here / "m"
        place.mkdir()
        first, _, later = options.partition(";")
        root("mount", "-t", "tmpfs", "-o", f"mode=755,{first or 'rw'}", "none", place)
        stack.callback(root, "umount", "-l", place)
        (make or _nothing)(place)
        if later:
            root("mount", "-o", f"remount,{later}", place)

    return state


def not_mounted(make: Callable[[Path], None]) -> State:
    def state(here: Path, stack: ExitStack, _: int) -> None:
        (here / "m").mkdir()
        make(here / "m")

    return state


def _nothing(_: Path) -> None:
    pass


def with_file(place: Path) -> None:
    _text(place / "f", "old\n")


def with_the_result(place: Path) -> None:
    _text(place / "f", "new\n")


def with_program(place: Path) -> None:
    program(place / "x")


def attribute(letter: str, text: str = "old\n") -> State:
    def state(here: Path, stack: ExitStack, _: int) -> None:
        _text(here / "f", text)
        if letter:
            root("chattr", f"+{letter}", here / "f")
            stack.callback(root, "chattr", f"-{letter}", here / "f")

    return state


def directory(*names: str) -> State:
    def state(here: Path, stack: ExitStack, _: int) -> None:
        (here / "d").mkdir()
        for name in names:
            (here / "d" / name).touch()

    return state


def file(text: str, mode: int = 0o644, gid: int = 0, *, mine: bool = False) -> State:
    def state(here: Path, stack: ExitStack, uid: int) -> None:
        _text(here / "f", text, mode=mode, gid=gid, uid=uid if mine else 0)

    return state


def with_acl(here: Path, stack: ExitStack, uid: int) -> None:
    _text(here / "f", "text\n", mode=0o640)
    entries = ((1, 6, -1), (2, 4, uid), (4, 4, -1), (16, 4, -1), (32, 0, -1))
    packed = b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(here / "f", "system.posix_acl_access", struct.pack("<I", 2) + packed)


def in_directory(mode: int) -> State:
    def state(here: Path, stack: ExitStack, _: int) -> None:
        (here / "d").mkdir()
        _text(here / "d/f", "text\n")
        (here / "d").chmod(mode)

    return state


def _absent(here: Path, stack: ExitStack, _: int) -> None:
    pass


MAPS = r"""
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
int main(void) {
  char *page = mmap(0, 4096, PROT_READ, MAP_PRIVATE, open("f", O_RDONLY), 0);
  return page == MAP_FAILED || write(1, page, 1) != 1 || page[0] == 0;
}
"""


def mapped(text: str) -> State:
    def state(here: Path, stack: ExitStack, _: int) -> None:
        _text(here / "f", text)
        subprocess.run(["gcc", "-xc", "-o", here / "maps", "-"], input=MAPS.encode(), check=True)

    return state


EXEC = '/usr/bin/python3 -IS -c \'import os; os.execv("./f", ["f"])\' 2>&1 | tail -n1'
WRITE = "echo new >f || echo no"

AS_ROOT = [
    Case("a program that is written to", "./x && echo ok", written, idle("true"), kept=False),
    Case("a running program", "cp /bin/true x; echo $?", running, idle("sleep"), kept=False),
    Case(
        "read-only", "echo new >m/f || echo no", mounted(";ro", with_file), mounted("", with_file)
    ),
    Case(
        "read-only, and as it would be",
        "echo new >m/f || echo no",
        mounted(";ro", with_the_result),
        mounted("", with_the_result),
    ),
    Case(
        "read-only, asked",
        "test -w m/f && echo yes || echo no",
        mounted(";ro", with_file),
        mounted("", with_file),
    ),
    Case("read-only, to make", "mkdir m/d || echo no", mounted("ro"), mounted("")),
    Case(
        "read-only, to remove",
        "rm m/f || echo no",
        mounted(";ro", with_file),
        mounted("", with_file),
    ),
    Case(
        "no programs",
        "./m/x && echo ok",
        mounted("noexec", with_program),
        mounted("", with_program),
    ),
    Case("immutable", WRITE, attribute("i"), attribute("")),
    Case("immutable, and as it would be", WRITE, attribute("i", "new\n"), attribute("", "new\n")),
    Case("immutable, removed", "rm -f f || echo no", attribute("i"), attribute("")),
    Case("immutable, chmod", "chmod 600 f || echo no", attribute("i"), attribute("")),
    Case("append only", WRITE, attribute("a"), attribute("")),
    Case("append only, and as it would be", WRITE, attribute("a", "new\n"), attribute("", "new\n")),
    Case(
        "another mount, link", "ln m/f g || echo no", mounted("", with_file), not_mounted(with_file)
    ),
    Case(
        "another mount, rename",
        '/usr/bin/python3 -IS -c \'import os; os.rename("m/f", "g")\' 2>&1 | tail -n1;'
        " [ -e g ] && ls g",
        mounted("", with_file),
        not_mounted(with_file),
    ),
    Case("not empty", "rmdir d || echo no", directory("a"), directory()),
    Case("there already", "mkdir d || echo no", directory(), _absent),
    Case("no program", EXEC, file("echo hi\n", 0o755), file("#!/bin/sh\necho hi\n", 0o755)),
    Case("not to be executed", EXEC, file("#!/bin/sh\n", 0o644), file("#!/bin/sh\n", 0o755)),
    Case(
        "no space",
        "head -c 200000 /dev/zero >m/f || echo full",
        mounted("size=64k"),
        mounted("size=4m"),
        kept=False,
    ),
    Case("beyond the end of a file", "./maps; echo $?", mapped(""), mapped("text"), kept=False),
]

AS_USER = [
    Case(
        "by group", "cat f || echo no", file("text\n", 0o640, gid=1), file("text\n", 0o644, gid=1)
    ),
    Case("by access control list", "cat f || echo no", file("text\n", 0o640), with_acl),
    Case("by access control list, asked", "test -r f || echo no", file("text\n", 0o640), with_acl),
    Case("on the way", "cat d/f || echo no", in_directory(0o700), in_directory(0o755)),
    Case("to make", "mkdir d/e || echo no", in_directory(0o755), in_directory(0o777)),
    Case("to remove", "rm -f d/f || echo no", in_directory(0o755), in_directory(0o777)),
    Case("sticky", "rm -f d/f || echo no", in_directory(0o1777), in_directory(0o777)),
    Case("to write", WRITE, file("old\n"), file("old\n", mine=True)),
    Case("to write, asked", "test -w f || echo no", file("old\n"), file("old\n", 0o666)),
    Case("mode", "chmod 600 f || echo no", file("old\n"), file("old\n", mine=True)),
    Case(
        "owner", "chown 0 f || echo no; test -O f && echo mine", file("old\n", mine=True), _absent
    ),
    Case("times", "touch f || echo no", file("old\n"), file("old\n", mine=True)),
]


def cases(listed: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", listed, ids=[case.name for case in listed])


class Trial:
    """Runs one case: every combination of the state recorded and the state at the next run."""

    def __init__(self, bench: Bench, case: Case, uid: int = 0) -> None:
        self.bench = bench
        self.case = case
        self.uid = uid

    def check(self) -> None:
        case = self.case
        command = ("sh", "-c", case.script)
        inside = ("sh", "-c", 'sh -c "$1"; exit $?', "sh", case.script)
        within = ("sh", "-c", ': ; sh -c "$1"; exit $?', "sh", case.script)
        plain = {state: self.at(state, self.bench.launcher.plain, command) for state in self.states}
        assert plain[case.fails] != plain[case.works], "the case shows no difference"
        for recorded in self.states:
            # What passes need not be met again by a hit.
            others = self.states if case.kept or recorded is case.fails else (recorded,)
            for verb in ("trace", "run"):
                root("rm", "-rf", self.bench.store / "pcache")
                start = getattr(self.bench.launcher, verb)
                assert self.at(recorded, start, command) == plain[recorded], (verb, case.name)
                for state in (*others, recorded) if verb == "trace" else others:
                    again = self.bench.launcher.replay if verb == "trace" else start
                    assert self.at(state, again, command) == plain[state], (verb, case.name)
                if verb == "trace":
                    hit = self.last.counters["hits"] == 1
                    assert hit == (case.kept or recorded is case.works), (verb, self.last.own)
        for recorded, state in (self.states, self.states[::-1])[: 1 + case.kept]:
            root("rm", "-rf", self.bench.store / "pcache")
            self.at(recorded, self.bench.launcher.trace, inside)
            assert self.at(state, self.bench.launcher.replay, within) == plain[state], "a child"

    @property
    def states(self) -> tuple[State, State]:
        return self.case.fails, self.case.works

    def at(self, state: State, start: Callable[..., Result], command: tuple[str, ...]) -> object:
        """What comes of a command in a state: everything it leaves."""
        here = self.bench.directory
        root("find", here, "-mindepth", "1", "-delete")
        with ExitStack() as stack:
            state(here, stack, self.uid)
            time.sleep(SETTLE_SECONDS)
            self.last = start(command, here, self.bench.env, Stdio())
            result = self.last
            return result.status, result.stdout, result.stderr, _left(here)


def _left(here: Path) -> dict[str, tuple[int, bytes]]:
    left = {}
    for top, directories, files in os.walk(here):
        for name in (*directories, *files):
            path = Path(top, name)
            data = path.read_bytes() if path.is_file() else b""
            left[str(path.relative_to(here))] = path.stat().st_mode, data
    return left


@cases(AS_ROOT)
def test_failures(bench: Bench, case: Case) -> None:
    Trial(bench, case).check()


@cases(AS_USER)
def test_failures_of_a_user(
    user_bench: Bench, ordinary_user: pwd.struct_passwd, case: Case
) -> None:
    os.chown(user_bench.directory, ordinary_user.pw_uid, ordinary_user.pw_gid)
    Trial(user_bench, case, ordinary_user.pw_uid).check()
