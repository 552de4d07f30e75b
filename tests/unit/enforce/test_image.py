"""`pcache.linux.image` says what the kernel does, and a call is the same however it is read."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pcache.linux import image
from tests.unit.enforce.lab import Lab

BLANKS = st.text(" \t", max_size=2)
OPTIONS = st.text("-ab= \t", max_size=12)


def script(path: Path, text: bytes) -> bytes:
    path.write_bytes(text)
    path.chmod(0o755)
    return bytes(path)


def show(path: bytes, argv: list[bytes], cwd: Path) -> tuple[bytes, tuple[bytes, ...]]:
    """What the kernel starts: cat(1) under another name prints its own argv.  Raises OSError."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(cwd)
            os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
            os.dup2(writing, 1)
            os.execve(path, argv, {})
        except OSError as error:
            os._exit(error.errno or 255)
        finally:
            os._exit(255)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(status, os.strerror(status))
    executable, *words = text.split(b"\0")[:-1]
    return executable, tuple(words)


@pytest.fixture(scope="session")
def shower(lab: Lab) -> bytes:
    """A program that prints /proc/self/exe and its own arguments."""
    lab.compile("show.c", "show")
    return bytes(lab.bin / "show")


def same(path: bytes, argv: list[bytes], cwd: Path) -> None:
    try:
        expected = show(path, argv, cwd)
    except OSError as error:
        with pytest.raises(OSError, match=os.strerror(error.errno or 0)):
            image.resolve_image(path, tuple(argv), bytes(cwd))
    else:
        assert image.resolve_image(path, tuple(argv), bytes(cwd)) == expected


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=BLANKS, after=OPTIONS, end=st.sampled_from(["\n", "", "\nrest", "\0x\n", "\0x"]))
@example(before="", after=" " + "a" * 300, end="\n")
@example(before="", after=" " * 300, end="")
@example(before="", after="a" * 300, end="")
@example(before=" " * 260, after="", end="\n")
def test_script_lines(shower: bytes, tmp_path: Path, before: str, after: str, end: str) -> None:
    text = b"#!" + before.encode() + shower + after.encode() + end.encode()
    same(script(tmp_path / "script", text), [b"zero", b"one", b""], tmp_path)


def test_nested_scripts(shower: bytes, tmp_path: Path) -> None:
    inner = script(tmp_path / "inner", b"#!" + shower + b" -x y\n")
    outer = script(tmp_path / "outer", b"#!" + inner + b" -o\n")
    same(outer, [b"zero", b"one"], tmp_path)
    paths = [outer]
    for depth in range(6):
        paths.append(script(tmp_path / f"deep{depth}", b"#!" + paths[-1] + b"\n"))
    for path in paths:
        same(path, [b"zero"], tmp_path)


def test_relative_paths_and_links(shower: bytes, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(os.fsdecode(shower))
    (tmp_path / "sub/more").symlink_to("../link")
    script(tmp_path / "sub/script", b"#!../sub/more -s\n")
    for path in (b"link", b"sub/more", b"./sub/../link", b"sub/script"):
        same(path, [path, b"argument"], tmp_path)
    same(b"./script", [b"x"], tmp_path / "sub")


def test_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("echo\n")
    same(b"plain", [b"x"], tmp_path)
    same(script(tmp_path / "text", b"echo hello\n"), [b"x"], tmp_path)
    same(script(tmp_path / "nothing", b"#!/nonexistent\n"), [b"x"], tmp_path)
    same(script(tmp_path / "empty", b""), [b"x"], tmp_path)
    same(b"absent", [b"x"], tmp_path)
    same(bytes(tmp_path), [b"x"], tmp_path)


def test_set_user_id_programs_are_left_to_the_kernel(shower: bytes, tmp_path: Path) -> None:
    path = script(tmp_path / "suid", Path(os.fsdecode(shower)).read_bytes())
    os.chmod(path, 0o4755)
    with pytest.raises(PermissionError):
        image.resolve_image(path, (b"x",), bytes(tmp_path))


def test_file_of_no_format_is_a_shell_script(tmp_path: Path) -> None:
    path = script(tmp_path / "text", b"echo hello\n")
    found = image.as_script(path, (b"zero", b"one"), bytes(tmp_path))
    assert found == (b"/bin/sh", (b"/bin/sh", path, b"one"))


@pytest.mark.parametrize("header", [b"\x7fELF\x01\x01", b"\x7fELF\n", b"MZ\0\n", b"a\0"])
def test_what_no_shell_takes_for_a_script(tmp_path: Path, header: bytes) -> None:
    path = script(tmp_path / "binary", header + b"\necho hello\n")
    assert image.as_script(path, (b"zero",), bytes(tmp_path)) is None


def test_which(tmp_path: Path) -> None:
    for directory in ("a", "b", "c"):
        (tmp_path / directory).mkdir()
    (tmp_path / "a/tool").write_text("")
    (tmp_path / "b/tool").mkdir()
    script(tmp_path / "c/tool", b"#!/bin/sh\n")
    cwd = bytes(tmp_path)
    assert image.which(b"tool", b"a:b:%b/c" % cwd, cwd) == b"%b/c/tool" % cwd
    assert image.which(b"tool", b"a:c", cwd) == b"c/tool"
    assert image.which(b"tool", b":/nonexistent", bytes(tmp_path / "c")) == b"tool"
    assert image.which(b"c/tool", None, cwd) == b"c/tool"
    assert image.which(b"sh", None, cwd) == b"/bin/sh"
    for name, path, number in (
        (b"tool", b"a:b", errno.EACCES),
        (b"tool", b"b:nonexistent", errno.EACCES),
        (b"tool", b"nonexistent", errno.ENOENT),
        (b"a/tool", b"c", errno.EACCES),
        (b"", b"c", errno.ENOENT),
    ):
        with pytest.raises(OSError, match=os.strerror(number)):
            image.which(name, path, cwd)


CALLS = {
    # name: command in a directory with: link -> show, script, nested, sub/
    "path": "bin/show a b",
    "PATH": "show a 'b c' ''",
    "symbolic link": "./link a",
    "script": "./script a",
    "nested scripts": "./nested a",
    "env": "env -i A=1 B= ./script a",
    "directory": "cd sub && ../script a",
    "umask": "umask 027; ./link",
    "aliases": "./link 2>&1",
    "other aliases": "./link >&2",
    "closed": "./link <&- 2>&-",
    "kinds": "./link </dev/null 2>sub/file",
    "socket or pipe": ": | ./link | cat",
    "exec": "exec ./script a",
    "large": "BIG=$(head -c 100000 /dev/zero | tr '\\0' x) ./link a",
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_are_the_same_at_both_places(lab: Lab, shower: bytes, name: str) -> None:
    """Everything of a call, as read at entry and at the execve."""
    directory = lab.directory / "calls"
    if not directory.exists():
        directory.mkdir()
        (directory / "sub").mkdir()
        (directory / "bin").symlink_to(lab.bin)
        (directory / "link").symlink_to("bin/show")
        script(directory / "script", b"#!" + shower + b" -o p\n")
        script(directory / "nested", b"#! ./script\t-x\n")
    seen = []
    for place in ("entry", "execve"):
        result = lab.run(["dash", "-c", CALLS[name]], place, cwd=directory, stdin=-3)
        fields = ("executable", "argv", "env", "cwd", "umask", "uid", "gid", "fds")
        mine = [d for d in result.report["decisions"] if "show" in d["executable"]]
        assert len(mine) == 1, result.report["decisions"]
        seen.append({field: mine[0][field] for field in fields})
    assert seen[0] == seen[1]


@pytest.mark.parametrize("redirection", ["", "2>&1", "<&-", ">/dev/null", "</dev/null | cat"])
def test_root_call_is_what_the_supervisor_sees(
    pcache: str, lab: Lab, intercept: str, redirection: str, tmp_path: Path
) -> None:
    """The command, which has been looked up before, is not looked up again."""
    script(tmp_path / "command", b"#!/usr/bin/env -S sh -e\nexit 4\n")
    command = f"{pcache} replay --intercept {intercept} -v ./command x {redirection}"
    env = {**lab.environment(), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {{ {command}; }}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=env,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 4
    lines = (done.stdout + done.stderr).splitlines()
    misses = [line.split("   ")[0] for line in lines if line.startswith("pcache: miss")]
    assert misses[:1] == ["pcache: miss  /usr/bin/env -S sh -e ./command x"]
    assert len(misses) == len(set(misses)) == 2
