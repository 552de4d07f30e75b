"""Modification times that programs copy, write down and compare."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.lib.differential import Bench
from tests.lib.edits import Edit, delete, run, touch, write
from tests.lib.launch import Stdio
from tests.lib.scenario import Expect, Scenario, step

pytestmark = pytest.mark.root

PYTHON = ("/usr/bin/python3", "-IS", "-c")


def dated(path: str, seconds: float) -> Edit:
    return lambda root: os.utime(root / path, (seconds, seconds))


def python(body: str) -> tuple[str, ...]:
    """A program with the state of `i` at hand, that writes `o`."""
    return (*PYTHON, f"import os,struct,time; s=os.stat('i'); t=int(s.st_mtime); {body}")


def written(expression: str) -> tuple[str, ...]:
    return python(f"open('o','wb').write(b'<'+({expression})+b'>')")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("xz", "-k", "i"), id="xz"),
        pytest.param(("bzip2", "-k", "i"), id="bzip2"),
        pytest.param(("zstd", "-q", "i"), id="zstd"),
        pytest.param(("busybox", "cp", "-p", "i", "o"), id="busybox"),
        pytest.param(("perl", "-e", "@s=stat 'i'; open F,'>o'; utime $s[8],$s[9],'o'"), id="perl"),
        pytest.param((*PYTHON, "import shutil; shutil.copy2('i','o')"), id="copy2"),
        pytest.param(python("open('o','w').close(); os.utime('o',(1,s.st_mtime))"), id="float"),
        pytest.param(("/usr/bin/python3", "-m", "zipfile", "-c", "o", "i"), id="zipfile"),
        pytest.param(written("struct.pack('<I',t)"), id="little-endian"),
        pytest.param(written("struct.pack('>I',t)"), id="big-endian"),
        pytest.param(written("struct.pack('<q',s.st_mtime_ns)"), id="nanoseconds"),
        pytest.param(written("struct.pack('>d',s.st_mtime)"), id="double"),
        pytest.param(written("b'%d' % t"), id="decimal"),
        pytest.param(written("b'%o' % t"), id="octal"),
        pytest.param(written("time.asctime(time.localtime(t)).encode()"), id="asctime"),
        pytest.param(written("time.strftime('%Y-%m-%d',time.gmtime(t)).encode()"), id="day"),
        pytest.param(written("b'x'*200000+struct.pack('<I',t)+b'x'*9"), id="within"),
        pytest.param(python("print(t)"), id="printed"),
        pytest.param(python("print(os.stat('d').st_mtime_ns)"), id="of-a-directory"),
        pytest.param(
            ("sh", "-c", "python3 -c 'import os; print(os.stat(\"i\").st_mtime)' | tr . , >o"),
            id="by-a-pipe",
        ),
        pytest.param(("sh", "-c", "gzip <i >o"), id="standard-input"),
        pytest.param(("gcc", "-E", "-P", "m.c"), id="timestamp-macro"),
    ],
)
def test_time_of_an_input(command: tuple[str, ...], check: Callable[[Scenario], None]) -> None:
    setup = (write("i", "text"), write("m.c", "__TIMESTAMP__\n"), write("d/x", ""))
    names = ("i", "m.c", "d")
    first = tuple(dated(name, 1_000_000_001) for name in names)
    other = tuple(dated(name, 1_234_567_891) for name in names)
    steps = (step("another time", *other, expect=Expect(root=False)),)
    check(Scenario("times", command, (*setup, *first), steps, env={"TZ": "Asia/Tokyo"}))


def test_a_time_that_nobody_keeps(check: Callable[[Scenario], None]) -> None:
    """Contents that hold no time of theirs, however many numbers are in them."""
    setup = (
        write("i", "".join(f"{n}\n" for n in range(10**9, 10**9 + 5000))),
        dated("i", 10**9 - 1),
    )
    check(Scenario("times", ("cp", "i", "o"), setup, (step("touched", dated("i", 9e8)),)))


def replayed(bench: Bench, command: tuple[str, ...], *between: str) -> None:
    """Records a command, undoes what it did, and has it replayed a second later."""
    rest = (bench.directory, bench.env, Stdio())
    time.sleep(0.1)
    bench.launcher.trace(command, *rest, ("-q",))
    for name in between:
        delete(name)(bench.directory)
    time.sleep(1.1)
    done = bench.launcher.replay(command, *rest, ("-v",))
    assert done.counters["hits"] == 1, done.own


def output(bench: Bench, *command: str) -> str:
    done = subprocess.run(
        command, cwd=bench.directory, env=bench.env, capture_output=True, check=False, text=True
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("copy", ["cp -p a b", "install -p a b"])
def test_copy_of_an_output(copy: str, bench: Bench) -> None:
    """It has the time of the original, which is a fresh one."""
    write("Makefile", f"b: a\n\t{copy}\na: s\n\tcp s a\n")(bench.directory)
    write("s", "text")(bench.directory)
    replayed(bench, ("make",), "a", "b")
    assert "up to date" in output(bench, "make")
    mtime = os.stat(bench.directory / "a").st_mtime
    assert time.time() - mtime < 1


@pytest.mark.mounts  # ninja reads what is mounted
def test_ninja_knows_what_was_put_in_place(bench: Bench) -> None:
    write("a.c", "int a;\n")(bench.directory)
    rule = "rule cc\n command = gcc -MD -MF $out.d -c $in -o $out\n depfile = $out.d\n deps = gcc\n"
    write("build.ninja", f"{rule}build a.o: cc a.c\n")(bench.directory)
    replayed(bench, ("ninja",), "a.o", ".ninja_log", ".ninja_deps")
    assert output(bench, "ninja", "-n") == "ninja: no work to do.\n"
    # Newer than what would be put in place: a plain run would make what is newer still.
    delete("a.o")(bench.directory)
    os.utime(bench.directory / "a.c")
    rest = (bench.directory, bench.env, Stdio())
    bench.launcher.replay(("ninja",), *rest, ("-v",))
    assert output(bench, "ninja", "-n") == "ninja: no work to do.\n"


@pytest.mark.parametrize("form", ["%Y", "%y", "%.Y"])
def test_noted_time_of_an_output(form: str, bench: Bench) -> None:
    script = f"echo x >a; stat -c {form} a >note"
    replayed(bench, ("sh", "-c", script), "a", "note")
    noted = (bench.directory / "note").read_text()
    assert output(bench, "stat", "-c", form, "a") == noted


def test_git_index(bench: Bench) -> None:
    """It holds inode numbers, which no replay can bring back."""
    script = "git init -q r; cd r; echo 1 >f; git add f"
    rest = (bench.directory, bench.env, Stdio())
    bench.launcher.trace(("sh", "-c", script), *rest, ("-q",))
    run("rm", "-rf", "r")(bench.directory)
    time.sleep(1.1)
    bench.launcher.replay(("sh", "-c", script), *rest, ("-v",))
    assert output(bench, "git", "-C", "r", "diff-files", "--name-only") == ""


def test_touched_directory(bench: Bench) -> None:
    (bench.directory / "d").mkdir()
    os.utime(bench.directory / "d", (1000, 1000))
    replayed(bench, ("touch", "d"))
    os.utime(bench.directory / "d", (1000, 1000))
    bench.launcher.replay(("touch", "d"), bench.directory, bench.env, Stdio(), ("-v",))
    assert time.time() - os.stat(bench.directory / "d").st_mtime < 5


def test_ages_are_those_of_now(bench: Bench) -> None:
    command = ("find", ".", "-name", "f", "-newermt", "-3 seconds")
    write("f", "")(bench.directory)
    rest = (bench.directory, bench.env, Stdio())
    bench.launcher.trace(command, *rest, ("-q",))
    os.utime(bench.directory / "f", (1000, 1000))
    assert bench.launcher.replay(command, *rest, ("-v",)).stdout == b""


def test_directory_as_a_source(check: Callable[[Scenario], None]) -> None:
    setup = (write("Makefile", "list: data\n\tls data >list\n"), write("data/a", ""))
    steps = (
        step("nothing to be done", built=True, expect=Expect(root=False)),
        step("still nothing", built=True),
        step("a name added", write("data/b", ""), built=True, expect=Expect(root=False)),
        step("the directory touched", touch("data"), built=True, expect=Expect(root=False)),
        step("another file touched", touch("data/a"), built=True),
    )
    check(Scenario("directory", ("make",), setup, steps, retrace=False))


TOOL = """\
#!/usr/bin/python3 -IS
import os
newer = os.stat("i").st_mtime > os.stat("o").st_mtime
print("newer" if newer else "older")
"""


@pytest.mark.parametrize("command", [("./tool",), ("python3", "-IS", "tool")])
def test_script_that_compares(command: tuple[str, ...], check: Callable[[Scenario], None]) -> None:
    """Scripts are named as other programs are."""
    rule = write(".pcache.toml", "[program.tool]\nmtime_order = true\n")
    setup = (rule, write("tool", TOOL, 0o755), write("i", ""), write("o", ""))
    steps = (
        step("another order", dated("i", 1000), dated("o", 2000), expect=Expect(root=False)),
        step("the same order", dated("i", 4000), dated("o", 3000)),
    )
    times = (dated("i", 2000), dated("o", 1000))
    check(Scenario("script", command, (*setup, *times), steps))


@pytest.mark.system_files
def test_sources_beyond_an_own_directory(bench: Bench) -> None:
    """ninja names its sources by way of the directory that was made for it, as Meson has it do; its
    log holds times of outputs, so that no source may be newer."""
    here = bench.directory
    (here / "src").mkdir()
    (here / "src/a").write_text("a\n")
    (here / "rules").write_text("rule c\n command = cp $in $out\nbuild b: c ../src/a\n")
    time.sleep(0.1)
    command = ("sh", "-c", "mkdir build; cp rules build/build.ninja; ninja -C build; cat build/b")

    def again() -> list[bool]:
        result = bench.launcher.run(command, here, bench.env, Stdio(), ("-q", "--explain"))
        assert result.stdout.endswith(b"\na\n")
        subprocess.run(["rm", "-r", here / "build"], check=True)
        return [decision.hit for decision in result.decisions]

    assert not any(again())
    assert again() == [True]
    (here / "src/a").write_text("a\n")
    assert True not in again()[:1]
