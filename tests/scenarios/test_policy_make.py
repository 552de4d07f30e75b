"""make goes by which file is newer: what a replay prints must be what plain make prints."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.lib.differential import Bench
from tests.lib.edits import Edit, append, delete, touch, write
from tests.lib.launch import Stdio
from tests.lib.scenario import ROOT_HIT, Expect, Scenario, Step, step

pytestmark = [pytest.mark.root, pytest.mark.system_files]

MAKEFILE = """\
CC = gcc
program: a.o b.o
\t$(CC) -o $@ a.o b.o
%.o: %.c common.h
\t$(CC) -c -o $@ $<
"""
PROJECT: tuple[Edit, ...] = (
    write("Makefile", MAKEFILE),
    write("common.h", "int b(void);\n"),
    write("a.c", '#include "common.h"\nint main(void) { return b(); }\n'),
    write("b.c", '#include "common.h"\nint b(void) { return 0; }\n'),
)
NOT_AS_A_WHOLE = Expect(root=False)


def oldest(path: str) -> Edit:
    """A modification time before all others."""
    return lambda root: os.utime(root / path, (1e9, 1e9))


def steps_of_a_build() -> tuple[Step, ...]:
    return (
        step("nothing to be done", built=True, expect=NOT_AS_A_WHOLE),
        step("a source touched when all is built", touch("a.c"), built=True, expect=NOT_AS_A_WHOLE),
        step("another", touch("b.c"), built=True, expect=NOT_AS_A_WHOLE),
        step("a header", touch("common.h"), built=True, expect=NOT_AS_A_WHOLE),
        step("still nothing to be done", built=True, expect=ROOT_HIT),
        step("a source touched before a build", touch("a.c"), expect=ROOT_HIT),
        step("all touched before a build", touch("common.h"), touch("b.c"), expect=ROOT_HIT),
        step("an object removed", delete("a.o"), built=True, expect=NOT_AS_A_WHOLE),
        step("an object outdated", oldest("b.o"), built=True, expect=NOT_AS_A_WHOLE),
        step("the product outdated", oldest("program"), built=True, expect=NOT_AS_A_WHOLE),
        step("the product touched", touch("program"), built=True, expect=Expect()),
        step("an object touched", touch("a.o"), built=True, expect=NOT_AS_A_WHOLE),
        step("edited", append("b.c", "\n"), built=True, expect=NOT_AS_A_WHOLE),
        step("a source older than ever", oldest("a.c"), built=True, expect=Expect()),
    )


@pytest.mark.parametrize(
    "command",
    [("make",), ("sh", "-c", "make; echo ended"), ("make", "-C", ".", "program")],
    ids=["make", "through-a-shell", "with-a-directory"],
)
def test_make(command: tuple[str, ...], check: Callable[[Scenario], None]) -> None:
    steps = steps_of_a_build()
    check(Scenario("make", command, PROJECT, steps, retrace=False))


def test_recursive_make(check: Callable[[Scenario], None]) -> None:
    setup = (
        write("Makefile", "all:\n\t$(MAKE) -C sub\n\tcat sub/out\n"),
        write("sub/Makefile", "out: in\n\tcp in out\n"),
        write("sub/in", "text\n"),
    )
    steps = (
        step("nothing to be done", built=True, expect=NOT_AS_A_WHOLE),
        # cp is given an old output to overwrite, whose content is gone before it can be kept.
        step("touched", touch("sub/in"), built=True, expect=NOT_AS_A_WHOLE, root_hit=False),
        step("touched before a build", touch("sub/in"), expect=ROOT_HIT),
    )
    check(Scenario("recursive", ("make",), setup, steps))


def test_script_that_sets_the_order_itself(check: Callable[[Scenario], None]) -> None:
    """What the script brings about is no input of it, whatever the times were before."""
    script = "rm -f program *.o; make; touch a.c; make; make; touch -d 2001-01-01 common.h; make\n"
    steps = (
        step("touched", touch("a.c"), touch("b.c")),
        step("when all is built", built=True, expect=Expect()),
        step("another order", touch("common.h"), built=True, expect=Expect()),
    )
    check(
        Scenario(
            "script", ("sh", "run.sh"), (*PROJECT, write("run.sh", script)), steps, retrace=False
        )
    )


def test_make_after_others_that_looked_at_the_same(check: Callable[[Scenario], None]) -> None:
    """Of them only make goes by times, whoever looked first, and in the same way: a copy of make by
    another name is not known to."""
    project = (
        write("Makefile", "b: a\n\tcp a b\n"),
        write("a", "one\n"),
        write("b", "zero\n"),
        oldest("b"),
    )
    copy = "cp $(which make) other; ./other -n; make -n; rm other"
    steps = (
        step("a target newer than its source", touch("b"), expect=Expect()),
        step("as before", oldest("b"), expect=ROOT_HIT),
    )
    check(Scenario("make and a copy", ("sh", "-c", copy), project, steps))


def test_ordinary_programs_do_not_mind(check: Callable[[Scenario], None]) -> None:
    steps = (step("touched", touch("b"), touch("a")), step("one", touch("a"), built=True))
    check(Scenario("sort", ("sort", "a", "b"), (write("a", "a\n"), write("b", "b\n")), steps))


def test_switched_off(check: Callable[[Scenario], None]) -> None:
    """A relaxation: the user says that contents decide."""
    setup = (*PROJECT, write(".pcache.toml", "[program.make]\nmtime_order = false\n"))
    steps = (step("nothing to be done", built=True, expect=NOT_AS_A_WHOLE),)
    check(Scenario("off", ("make",), setup, steps, retrace=False))


def test_stdin_of_a_job_is_an_accident(bench: Bench) -> None:
    """make gives its own to one job at a time, the others get a pipe; mv(1) asks what it has."""
    sources = [f"s{number}" for number in range(12)]
    for name in sources:
        write(name, name)(bench.directory)
    write(
        "Makefile",
        f"all: {' '.join(name.replace('s', 'o') for name in sources)}\n"
        "o%: s%\n\tcp $< $@.part && sleep 0.0$* && mv -f $@.part $@\n",
    )(bench.directory)
    launcher, rest = bench.launcher, (bench.directory, bench.env, Stdio())
    launcher.trace(("make", "-j3"), *rest)
    for path in bench.directory.glob("o*"):
        path.unlink()
    append("s2", "edited")(bench.directory)
    for jobs in ("-j2", "-j4"):  # other jobs get make's own than before
        done = launcher.replay(("make", jobs), *rest, ("-v",))
        ran = {decision.command for decision in done.decisions if not decision.hit}
        assert {command for command in ran if "mv" in command and "o2" not in command} == set()
        assert (bench.directory / "o2").read_text() == "s2edited"


def test_stdin_of_what_is_no_job(bench: Bench) -> None:
    """Pipes that others than make have made are pipes."""
    (bench.directory / "Makefile").write_text(
        "all: one two\none:\n\t@test -p /dev/stdin </dev/null || echo no\n"
        "two:\n\t@sleep 0.1 | test -p /dev/stdin && echo yes\n"
    )
    launcher, rest = bench.launcher, (bench.directory, bench.env, Stdio())
    for verb in (launcher.plain, launcher.trace, launcher.replay):
        assert sorted(verb(("make", "-j2"), *rest).stdout.split()) == [b"no", b"yes"]
