"""How small programs are started, fed and ended, run from a script: plain, traced, replayed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lib.edits import append, chmod, link, mkdir, run, write
from tests.lib.launch import Stdio
from tests.lib.scenario import ROOT_HIT, Scenario, only, step
from tests.lib.scripts import script

pytestmark = [pytest.mark.root, pytest.mark.system_files]

TEXTS = (write("a", "pear\napple\nfig\n"), write("b", "kiwi\nlime\n"))
BOOKKEEPING = {"SHLVL": "9", "OLDPWD": "/", "_": "x", "TMUX": "x"}
"""What makes no difference to whom it is not shown."""

SCENARIOS = [
    script(
        "failures",
        "false || echo no\nls nowhere\necho $?\ncat nowhere a\nsh -c 'exit 42'\necho $?\n"
        "sh -c 'kill -SEGV $$'\necho $?\nsh -c 'kill -9 $$'\necho $?\n"
        "sh -c 'kill -TERM $$'\necho $?\n"
        "no-such-command\necho $?\n./a\necho $?\ngrep x </dev/null; exit 7\n",
        *TEXTS,
        steps=(
            step(
                "it appears",
                write("nowhere", "here\n"),
                expect=only("dash run.sh", "nowhere", hit=("sh -c exit 42",)),
            ),
            step(
                "it can run", chmod("a", 0o755), expect=only("dash run.sh", "cat nowhere a", "./a")
            ),
        ),
    ),
    script(
        "pipelines",
        "cat a | sort | uniq -c\nseq 5000 | tail -n 1\nyes | head -n 2\n"
        "echo x | cat | cat | cat >piped\n"
        "mkfifo p; sleep 0.2; cat p >from & echo through >p; wait; rm p\n",
        *TEXTS,
        uncached=("yes", "sleep"),
        may=("sort", "uniq", "tail", "head", "cat"),
    ),
    script(
        "environment",
        "echo \"$COLOUR\"\nenv | grep ^COL\nprintenv COLOUR\nCOLOUR=blue sh -c 'echo $COLOUR'\n",
        env={"COLOUR": "red"},
        may=("grep",),
        steps=(
            step(
                "changed",
                env={"COLOUR": "green"},
                expect=only("dash run.sh", "env", "grep", hit=("sh -c",)),
            ),
            step(
                "unset",
                env={"COLOUR": None},
                expect=only("dash run.sh", "env", "grep", hit=("sh -c",)),
            ),
            step(
                "bookkeeping, which env shows",
                env=BOOKKEEPING,
                expect=only("dash run.sh", "env", "grep", hit=("sh -c", "printenv")),
            ),
        ),
    ),
    script(
        "environment of which one variable is asked for",
        'echo "$COLOUR"\nprintenv COLOUR\nsort a\n',
        *TEXTS,
        env={"COLOUR": "red"},
        steps=(step("bookkeeping", env=BOOKKEEPING),),
    ),
    script(
        "stdin from a file",
        "read first\necho $first\nsed s/p/P/\n",
        *TEXTS,
        stdio=Stdio(stdin="a"),
        steps=(step("edited", append("a", "plum\n"), expect=only("dash run.sh", "sed")),),
    ),
    script(
        "stdout is a file",
        "echo one\ncat a\necho two >&2\ncat b a\nsh -c 'echo three; echo four >&2'\n",
        *TEXTS,
        stdio=Stdio(stdout="file"),
        steps=(step("edited", append("a", "plum\n"), expect=only("dash run.sh", " a")),),
    ),
    script(
        "stdout is appended to",
        "echo one\ncat a\nsort b\n",
        *TEXTS,
        stdio=Stdio(stdout="append"),
    ),
    script(
        "stderr is stdout",
        "echo one; echo two >&2; ls a none; cat b none a; echo three\n",
        *TEXTS,
        stdio=Stdio(merged=True),
    ),
    script("stdout is null", "cat a; cat b >&2; cp a c\n", *TEXTS, stdio=Stdio(stdout="null")),
    script(
        "descriptors of its own",
        "exec 3>three 4<a\necho 3 >&3\ncat <&4 >&3\nsort b 3>&- >&4\n"
        "exec 3>>three 4<&-\necho end >&3\n(echo sub >&3)\n",
        *TEXTS,
        may=("sort",),  # its stdout cannot be written to
    ),
    script(
        "working directories",
        "cd sub\npwd\ncat f\ncd ..\n(cd sub && /bin/pwd && cp f ../f2)\ncd -P link && /bin/pwd\n"
        "cd /\n/bin/pwd\n",
        write("sub/f", "f\n"),
        write("other/f", "g\n"),
        link("link", "sub"),
        steps=(
            step(
                "link elsewhere",
                link("link", "other"),
                expect=only("dash run.sh", "/bin/pwd", hit=("cat f",)),
            ),
        ),
    ),
    script(
        "static programs",
        "busybox ls\nbusybox sort a >s\nbusybox sh -c 'cat a; echo $0'\n./hello a\n",
        *TEXTS,
        write(
            "hello.c",
            "#include <stdio.h>\nint main(int c, char **v) {\n"
            '  char b[64]; FILE *f = fopen(v[1], "r");\n'
            '  size_t n = fread(b, 1, 64, f); printf("%zu %.4s\\n", n, b); return 3; }\n',
        ),
        run("musl-gcc", "-static", "-O1", "-o", "hello", "hello.c"),
        # The size of every file, also the script's; and which applets a shell runs does not show,
        # so that times count, also that of the directory.
        uncached=("busybox ls", "busybox sh"),
        retraced=1,
        steps=(
            step(
                "edited",
                append("a", "+\n"),
                expect=only("dash run.sh", "busybox", "cat a", "hello"),
            ),
        ),
    ),
    script(
        "exec in the same process",
        "cat a\nexec sh -c 'echo in; exec cat b'\n",
        *TEXTS,
        steps=(
            step(
                "edited",
                append("b", "+\n"),
                expect=only("dash run.sh", "sh -c", "cat b", hit=("cat a",)),
            ),
        ),
    ),
    script(
        "background jobs",
        "cp a 1 &\ncp b 2 &\nwait\nsort 1 >3 & sort 2 >4 & wait\ncat 3 4\n",
        *TEXTS,
        steps=(
            step("edited", append("b", "+\n"), expect=only("dash run.sh", "b 2", "sort 2", "cat")),
        ),
    ),
    script(
        "odd names",
        "cat 'a b' \"n\nl\" *\ncp 'a b' '-x' 2>/dev/null\ncp -- 'a b' -x\ncat ./-x\n: >'*'\n",
        write("a b", "space\n"),
        write("n\nl", "newline\n"),
        write(b"\xff\xfe".decode(errors="surrogateescape"), "bytes\n"),
        uncached=("cat a b",),  # it reads the script
        steps=(step("edited", append("n\nl", "+\n"), expect=only("dash run.sh", "cat a b")),),
    ),
    Scenario(
        "python imports",
        ("python3", "main.py", "arg"),
        (
            write("main.py", "import sys, json, mod\nprint(mod.VALUE, json.dumps(sys.argv))\n"),
            write("mod/__init__.py", "from .part import VALUE\n"),
            write("mod/part.py", "VALUE = 1\n"),
        ),
        (
            step("part", write("mod/part.py", "VALUE = 2\n"), expect=only("python3")),
            step("shadowing", write("json.py", "dumps = repr\n"), expect=only("python3")),
            step("unrelated", write("other.txt", "?\n"), expect=only("python3")),
            step("other arguments", command=("python3", "main.py", "more"), expect=only("python3")),
            step("path", env={"PYTHONPATH": "lib"}, expect=only("python3")),
        ),
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    ),
    Scenario(
        "python writes bytecode",
        ("python3", "main.py"),
        (
            write("main.py", "import mod\nprint(mod.VALUE, open('data').read())\n"),
            write("mod.py", "VALUE = 1\n"),
            write("data", "d"),
        ),
        (step("data", write("data", "e"), expect=only("python3")),),
    ),
    Scenario(
        "perl",
        (
            "perl",
            "-I.",
            "-MMine",
            "-e",
            "print Mine::v(), scalar(<>); open F, '>', 'o'; print F 1;",
            "in",
        ),
        (write("Mine.pm", "package Mine; sub v { 'mine ' } 1;\n"), write("in", "line\n")),
        (
            step(
                "module",
                write("Mine.pm", "package Mine; sub v { 'ours ' } 1;\n"),
                expect=only("perl"),
            ),
            step("data", write("in", "other\n"), expect=only("perl")),
        ),
    ),
    Scenario(
        "an interpreted script by name",
        ("./tool", "x"),
        (
            write("tool", "#!/usr/bin/env -S dash -e\necho tool $1\n./inner\n", 0o755),
            write("inner", "#!/bin/sed -n p\nline\n", 0o755),
        ),
        (
            step("inner", append("inner", "more\n"), expect=only("dash -e ./tool", "tool", "sed")),
            step(
                "interpreter",
                write("inner", "#!/bin/cat\nline\n", 0o755),
                expect=only("dash -e ./tool", "tool", "cat"),
            ),
            step("mode", chmod("inner", 0o644), expect=only("dash -e ./tool", "tool")),
        ),
    ),
    Scenario(
        "a program found by PATH",
        ("sh", "-c", "tool; which tool"),
        (write("bin2/tool", "#!/bin/sh\necho two\n", 0o755), mkdir("bin1")),
        (
            step(
                "an earlier one",
                write("bin1/tool", "#!/bin/sh\necho one\n", 0o755),
                expect=only("sh -c", "tool"),
            ),
            step(
                "not executable",
                write("bin1/tool", "#!/bin/sh\necho one\n", 0o644),
                expect=only("sh -c", "which"),
            ),
        ),
        env={"PATH": "bin1:bin2:/usr/bin:/bin"},
    ),
    Scenario("root dies", ("sh", "-c", "echo before; kill -SEGV $$")),
    Scenario("root fails", ("sh", "-c", "echo out; echo err >&2; exit 199")),
    Scenario("nothing", ("true",)),
    Scenario(
        "a megabyte",
        ("seq", "200000"),
        steps=(step("other", command=("seq", "2"), expect=only("seq")),),
    ),
    Scenario(
        "stdin is a pipe that is read", ("sort",), stdio=Stdio(stdin=b"b\na\n"), first=only("sort")
    ),
    Scenario("stdin is a pipe nobody reads", ("echo", "x"), stdio=Stdio(stdin=b"b\na\n")),
]


@pytest.mark.parametrize(
    "scenario", SCENARIOS, ids=lambda scenario: scenario.name.replace(" ", "-")
)
def test_processes(scenario: Scenario, check: Callable[[Scenario], None]) -> None:
    check(scenario)


def test_most_of_it_must_hit() -> None:
    """The list itself cannot quietly come to expect nothing."""
    assert sum(scenario.first == ROOT_HIT for scenario in SCENARIOS) >= 22
