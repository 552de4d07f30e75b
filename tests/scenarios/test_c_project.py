"""A C project under make: every edit of a developer, against a plain build."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lib.edits import append, chmod, copy, delete, link, rename, replace, touch, write
from tests.lib.scenario import ROOT_HIT, Expect, Scenario, only, step

pytestmark = [pytest.mark.root, pytest.mark.system_files]

MAKEFILE = """\
CC = gcc
CFLAGS = -O1 -Ifirst -Iinclude
OBJECTS = $(patsubst %.c,%.o,$(sort $(wildcard *.c)))

all: program libparts.a
program: $(OBJECTS)
\t$(CC) -o $@ $^
libparts.a: alpha.o beta.o
\t$(AR) rcsD $@ $^
%.o: %.c
\t$(CC) $(CFLAGS) -c -o $@ $<
"""
MAIN = '#include "alpha.h"\n#include "beta.h"\nint main(void) { return alpha() + beta(); }\n'
PART = '#include "{0}.h"\nint {0}(void) {{ return {1}; }}\n'
PROJECT = (
    write("Makefile", MAKEFILE),
    write("main.c", MAIN),
    write("alpha.c", PART.format("alpha", "ALPHA")),
    write("beta.c", PART.format("beta", "2")),
    write("first/.keep", ""),
    write("include/alpha.h", "#define ALPHA 1\nint alpha(void);\n"),
    write("include/beta.h", "int beta(void);\n"),
    write("extra/beta.h", "#define EXTRA 1\nint beta(void);\n"),
)
WRAPPER = '#!/bin/sh\nexec /usr/bin/gcc -DWRAPPED "$@"\n'
# gcc starts collect2 and that ld with the name of a random temporary file.
NEW_CALLS = 2
EVERYTHING = ("make", "gcc", "cc1", "as ", "collect2", "ld ", "ar ")

STEPS = (
    step("touched", touch("alpha.c"), touch("include/alpha.h"), touch("Makefile")),
    step(
        "a source edited",
        replace("beta.c", "return 2", "return 3"),
        expect=only("make", "beta", "program", "as ", "ar ", hit=("-c -o alpha.o", "-c -o main.o")),
    ),
    step(
        "only a comment",
        append("beta.c", "/* nothing */\n"),
        # The object file stays the same, so what is made of it hits.
        expect=only("make", "beta.c", "as ", hit=("-c -o main.o", "gcc -o program", "ar rcsD")),
    ),
    step(
        "a header edited",
        replace("include/alpha.h", "ALPHA 1", "ALPHA 5"),
        expect=only("make", "alpha", "main.c", "as ", "program", "ar ", hit=("-c -o beta.o",)),
    ),
    step(
        "a header that shadows",
        write("first/beta.h", "int beta(void);\nextern int unused;\n"),
        # What they are compiled to stays the same.
        expect=only(
            "make",
            "beta.c",
            "main.c",
            "as ",
            hit=("-c -o alpha.o", "gcc -o program", "ar rcsD"),
        ),
    ),
    step(
        "a header beside the source that shadows",
        write("alpha.h", "#define ALPHA 9\nint alpha(void);\n"),
        expect=only("make", "alpha", "main", "as ", "program", "ar ", hit=("-c -o beta.o",)),
    ),
    step(
        "a header gone",
        delete("include/beta.h"),
        # make stops at the first error.
        expect=only("make", "beta", hit=("-c -o alpha.o",)),
    ),
    step(
        "a source removed",
        delete("beta.c"),
        replace("main.c", " + beta()", ""),
        replace("Makefile", "alpha.o beta.o", "alpha.o"),
        expect=only("make", "main", "as ", "program", "ar ", hit=("-c -o alpha.o",)),
    ),
    step(
        "a source more",
        write("gamma.c", "int gamma(void) { return 4; }\n"),
        expect=only(
            "make", "gamma", "as ", "program", hit=("-c -o alpha.o", "-c -o beta.o", "ar rcsD")
        ),
    ),
    step(
        "a source renamed",
        rename("beta.c", "delta.c"),
        replace("Makefile", "beta.o", "delta.o"),
        expect=only("make", "delta", "as ", "program", "ar ", hit=("-c -o alpha.o",)),
    ),
    step(
        "a syntax error",
        append("beta.c", "oops\n"),
        expect=only("make", "beta.c", hit=("-c -o alpha.o",)),
    ),
    step("CPATH", env={"CPATH": "extra"}, expect=only(*EVERYTHING)),
    step(
        "include path by a link",
        # make lists the directory; the compiler reads the same through the link.
        rename("include", "include.real"),
        link("include", "include.real"),
        expect=only("make", hit=("-c -o alpha.o", "-c -o main.o", "gcc -o program")),
    ),
    step("make is up to date", built=True, expect=only("make")),
    step(
        "an edit in a built tree",
        replace("beta.c", "return 2", "return 7"),
        built=True,
        expect=only("make", "beta", "program", "as ", "ar "),
        root_hit=False,
    ),
    step(
        "an output deleted",
        delete("alpha.o"),
        built=True,
        # Linked before over no program, now over an old one: ld(1) and ar(1) look at that, and
        # replace it at once, so it is a matter of time whether they can be recorded.
        expect=only("make", "program", "ar ", hit=("-c -o alpha.o",)),
        root_hit=False,
    ),
    step(
        "an output damaged",
        write("alpha.o", "not an object\n"),
        touch("alpha.c"),
        built=True,
        expect=Expect(root=False),
        root_hit=False,
    ),
    step(
        "an output of another mode",
        chmod("alpha.o", 0o600),
        touch("alpha.c"),
        built=True,
        expect=Expect(root=False),
        root_hit=False,
    ),
)


def test_edits(check: Callable[[Scenario], None]) -> None:
    check(Scenario("make", ("make",), PROJECT, STEPS, retraced=NEW_CALLS))


def test_edits_by_an_ordinary_user(check_as_user: Callable[[Scenario], None]) -> None:
    check_as_user(
        Scenario(
            "make as a user",
            ("make", "-s", "-j2"),  # else its lines come in any order
            PROJECT,
            (STEPS[0], STEPS[1], STEPS[4]),
            retrace=False,
        )
    )


def test_compiler_replaced(check: Callable[[Scenario], None]) -> None:
    """The compiler is a file of the project: a copy of gcc, then another program in its place."""
    setup = (
        *PROJECT,
        copy("bin/gcc", "/usr/bin/gcc"),
        replace("Makefile", "CC = gcc", "CC = bin/gcc"),
    )
    check(
        Scenario(
            "compiler",
            ("make",),
            setup,
            (
                step(
                    "replaced",
                    write("bin/gcc", WRAPPER, 0o755),
                    expect=only(*EVERYTHING[:-1], "sh"),
                ),
                step("touched", touch("bin/gcc")),
                step("removed", delete("bin/gcc"), expect=only("make")),
            ),
            retraced=NEW_CALLS,
            # gcc finds its parts relative to where it is installed.
            env={
                "GCC_EXEC_PREFIX": "/usr/lib/gcc/",
                "COMPILER_PATH": "/usr/lib/gcc/x86_64-linux-gnu/12",
            },
        )
    )


def test_earlier_versions(check: Callable[[Scenario], None]) -> None:
    """Every version that was traced hits at the root again, whatever came in between."""
    versions = tuple(
        step(
            f"version {number}",
            replace("beta.c", "return 2", f"return {number}"),
            expect=only("make", "beta", "as ", "program", "ar "),
        )
        for number in (21, 22)
    )
    again = tuple(
        step(
            f"version {number} again",
            replace("beta.c", "return 2", f"return {number}"),
            expect=ROOT_HIT,
        )
        for number in (21, 22)
    )
    check(Scenario("versions", ("make",), PROJECT, (*versions, *again), retrace=False))
