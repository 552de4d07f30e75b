"""Calls with names of temporary files in them, which are others each time."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from tests.lib.differential import SETTLE_SECONDS, Bench
from tests.lib.launch import Result, Stdio

pytestmark = [pytest.mark.root, pytest.mark.system_files]

PYTHON = "/usr/bin/python3 -IS"
STEPS = """\
T=$(mktemp -d)
echo "$T" >where
sort numbers >"$T/sorted"
uniq "$T/sorted" "$T/unique"
cp "$T/unique" result
sleep 0.3
rm -r "$T"
"""
"""What is removed at once, on a busy machine too early to be kept, is not recorded."""


def run(bench: Bench, *command: str) -> Result:
    time.sleep(SETTLE_SECONDS)
    return bench.launcher.run(command, bench.directory, bench.env, Stdio(), ("-q", "--explain"))


def write(bench: Bench, name: str, text: str) -> None:
    (bench.directory / name).write_text(text)


def read(bench: Bench, name: str) -> str:
    return (bench.directory / name).read_text()


def hits(result: Result) -> list[str]:
    return [decision.command for decision in result.decisions if decision.hit]


def edited(bench: Bench, script: str, number: int) -> Result:
    """Runs a script that has been edited where it makes no difference."""
    write(bench, "run.sh", f"{script}# {number}\n")
    return run(bench, "sh", "run.sh")


def test_steps_in_a_temporary_directory(bench: Bench) -> None:
    write(bench, "numbers", "3\n1\n3\n")
    for number in range(2):
        assert not any("tmp" in hit for hit in hits(edited(bench, STEPS, number)))
        (bench.directory / "result").unlink()
    third = edited(bench, STEPS, 2)
    found = [hit.partition(" ")[0] for hit in hits(third) if "tmp" in hit]
    assert found == ["uniq", "cp", "rm"], third.own
    assert read(bench, "result") == "1\n3\n"
    write(bench, "numbers", "4\n5\n")
    assert not any("uniq" in hit for hit in hits(edited(bench, STEPS, 2)))
    assert read(bench, "result") == "4\n5\n"


def test_the_temporary_directory_of_a_hit_is_the_new_one(bench: Bench) -> None:
    script = STEPS.replace('rm -r "$T"\n', "")
    write(bench, "numbers", "1\n")
    places = []
    for number in range(3):
        edited(bench, script, number)
        places.append(read(bench, "where").strip())
    assert len(set(places)) == len(places)
    for place in places:
        with open(f"{place}/unique") as file:
            assert file.read() == "1\n"


def test_names_that_are_written(bench: Bench) -> None:
    script = 'T=$(mktemp -d); echo "$T" >where; ls -d "$T" >out; rm -r "$T"\n'
    for number in range(4):
        edited(bench, script, number)
        assert read(bench, "out") == read(bench, "where")


def test_names_that_are_printed(bench: Bench) -> None:
    script = 'T=$(mktemp -d); echo "$T" >where; ls -d "$T"; rm -r "$T"\n'
    for number in range(4):
        assert edited(bench, script, number).stdout.decode() == read(bench, "where")


def test_names_that_make_a_difference_unseen(bench: Bench) -> None:
    """What is made of the name does not contain it."""
    digest = (
        f"{PYTHON} -c 'import sys, hashlib; print(hashlib.md5(sys.argv[1].encode()).hexdigest())'"
    )
    script = f'T=$(mktemp); echo "$T" >where; {digest} "$T" >out; sleep 0.3; rm "$T"\n'
    for number in range(4):
        edited(bench, script, number)
        assert read(bench, "out").strip() == _md5(read(bench, "where").strip())


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def test_the_order_of_names(bench: Bench) -> None:
    """A program may go by it, so that each of the two orders is a call of its own."""
    program = (
        f"{PYTHON} -c 'import sys\n"
        'print("".join(open(name).read() for name in sorted(sys.argv[1:])))\''
    )
    script = (
        "A=$(mktemp); B=$(mktemp); echo a >$A; echo b >$B; echo $A $B >where\n"
        f"{program} $A $B >out; sleep 0.3; rm $A $B\n"
    )
    seen = 0
    for number in range(8):
        seen += bool([hit for hit in hits(edited(bench, script, number)) if "-IS" in hit])
        first, second = read(bench, "where").split()
        assert read(bench, "out").split() == (["a", "b"] if first < second else ["b", "a"])
    assert seen


def test_a_name_that_is_looked_up_in_a_list(bench: Bench) -> None:
    """The list is the same each time, so that only one of the names is in it."""
    script = "T=$(mktemp); [ -e list ] || echo $T >list\ngrep -c $T list >out; rm $T\n"
    for number in range(4):
        edited(bench, script, number)
        assert read(bench, "out") == ("1\n" if number == 0 else "0\n")


def test_the_same_name_twice_proves_nothing(bench: Bench) -> None:
    """Two calls of one run have the same name."""
    program = f"{PYTHON} -c 'import sys; print(sys.argv[1][-1] < \"T\")'"
    script = (
        f"T=$(mktemp); echo $T >where; {program} $T >>out; {program} $T >>out; sleep 0.3; rm $T\n"
    )
    edited(bench, script, 0)
    write(bench, "out", "")
    second = edited(bench, script, 1)
    assert not [hit for hit in hits(second) if "-IS" in hit]
    last = read(bench, "where").strip()[-1]
    assert read(bench, "out") == f"{last < 'T'}\n" * 2


def test_the_other_sources_of_a_compiler(bench: Bench) -> None:
    for name in ("a", "b", "c"):
        write(bench, f"{name}.c", f"int {name}(void) {{ return 1; }}\n")
    write(
        bench,
        "main.c",
        "int a(void), b(void), c(void);\nint main(void) { return a() + b() + c(); }\n",
    )
    command = ("gcc", "-o", "program", "main.c", "a.c", "b.c", "c.c")
    for number in range(10):
        write(bench, "b.c", f"int b(void) {{ return {number + 3}; }}\n")
        first = run(bench, *command)
        assert number or not hits(first)
        # What one as(1) reads is overwritten by the next cc1: on a busy machine too early.
        if not any("cc1 " in one or one.startswith("as ") for one in first.refused):
            break
    write(bench, "b.c", "int b(void) { return 2; }\n")
    edit = run(bench, *command)
    compiled = [hit for hit in hits(edit) if "cc1" in hit]
    assert len(compiled) == 3, edit.own
    assert not any("b.c" in hit for hit in compiled)
    assert len([hit for hit in hits(edit) if hit.startswith("as ")]) == 3
    assert run(bench, "sh", "-c", "./program; echo $?").stdout == b"4\n"


PROBE = """\
import os, subprocess, sys, tempfile, time
place = tempfile.mkdtemp(dir=os.getcwd())
open("where", "w").write(place)
open(f"{place}/probe.c", "w").write(open("probe.c").read())
command = ["gcc", *sys.argv[1:], f"{place}/probe.c", "-o", f"{place}/probe"]
done = subprocess.run(command, capture_output=True)
print(done.returncode, done.stderr.decode().replace(place, "PLACE"))
if not done.returncode:
    print(subprocess.run([f"{place}/probe"], capture_output=True).stdout.decode())
time.sleep(0.3)
subprocess.run(["rm", "-r", place])
"""
"""As Meson finds out what a compiler can do."""
HELLO = '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n'


@pytest.mark.parametrize(
    ("source", "options", "hit"),
    [
        (HELLO, [], True),
        (HELLO.replace('"hello"', "__FILE__"), [], False),
        (HELLO, ["-g"], False),
        (HELLO, ["-g", "-gz"], False),
        ("int broken", [], False),
    ],
)
def test_what_a_compiler_is_asked(bench: Bench, source: str, options: list[str], hit: bool) -> None:
    """From the second time on."""
    write(bench, "probe.c", source)
    for number in range(2):
        write(bench, "run.py", PROBE + f"# {number}\n")
        result = run(bench, "/usr/bin/python3", "-I", "run.py", *options)
        told = result.stdout.decode()
        if "__FILE__" in source:
            assert f"{read(bench, 'where')}/probe.c" in told
        found = [one for one in hits(result) if one.startswith("gcc")]
        assert bool(found) == (hit and number == 1), result.own
    write(bench, "probe.c", source.replace("hello", "changed"))
    write(bench, "run.py", PROBE + "# changed\n")
    changed = run(bench, "/usr/bin/python3", "-I", "run.py", *options)
    assert ("changed" in changed.stdout.decode()) == ("hello" in source)


def test_a_name_that_is_always_the_same_proves_nothing(bench: Bench) -> None:
    """It looks made up, and is not."""
    place = f"/tmp/pcache{os.getpid():07}"
    for number, name in enumerate([place + "1", place + "1", place + "2"]):
        script = (
            f"import os, subprocess, time\nos.mkdir({name!r}, 0o700)\n"
            "program = 'import sys; print(int(sys.argv[1][-1]) % 2)'\n"
            f"subprocess.run(['/usr/bin/python3', '-ISc', program, {name!r}])\n"
            f"time.sleep(0.3)\nos.rmdir({name!r})\n# {number}\n"
        )
        write(bench, "run.py", script)
        result = run(bench, "/usr/bin/python3", "-I", "run.py")
        assert result.stdout.decode() == f"{int(name[-1]) % 2}\n"
        assert not [hit for hit in hits(result) if "-ISc" in hit]
