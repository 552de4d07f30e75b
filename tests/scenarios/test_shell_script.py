"""A script of 200 small commands: streams in order, statuses, redirections, and failures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lib.edits import append, write
from tests.lib.launch import Stdio
from tests.lib.scenario import Scenario, only, step
from tests.lib.scripts import script

pytestmark = [pytest.mark.root, pytest.mark.system_files]

STATUSES = [0, 1, 2, 3, 7, 42, 63, 64, 99, 100, 125, 126, 127, 128, 129, 137, 143, 200, 254, 255]


def lines() -> list[str]:
    """The commands, numbered, each with its status told on stdout or stderr."""
    made = []
    for number, status in enumerate(STATUSES):
        made.append(f"sh -c 'echo out {number}; echo err {number} >&2; exit {status}'; echo $?")
    for number in range(20):
        made.append(f"/bin/echo line {number} >out.{number}; cat out.{number} >&2")
        made.append(f"seq {number + 1} >seq.{number} 2>/dev/null && wc -l <seq.{number}")
        made.append(f'x=$(expr {number} + 1); echo "x is $x"')
        made.append(f"tr h H <<E\nhere {number} of $HOME\nE")
        made.append(f"printf '%s\\n' c b a {number} | sort | tr -d '\\n'; echo")
        made.append(f"test -e out.{number + 1} || echo none {number} >&2")
        made.append(f"(cd sub && /bin/pwd >../pwd.{number} && ls)")
        made.append(f"grep -q {number} data || /bin/echo not {number}")
        made.append(f"sh -c 'exec /bin/echo exec {number}'")
    made.append("no-such-command-here; echo $?")
    made.append("./data; echo $?")
    made.append("cd sub; cat f; cd ..; cat sub/f")
    made.append("mkdir -p d/e; false; false; echo $?")
    made.append("sh -c 'kill -TERM $$'; echo $?")
    made.append("exec sh -c 'echo last; exit 3'")
    return made


SCRIPT = "\n".join(lines()) + "\n"
FILES = (write("data", "1\n2\n13\n"), write("sub/f", "f\n"), write("old/x/y", "y"))
FROM_PIPES = ("sort", "tr")


def test_the_script_has_200_commands() -> None:
    assert len(lines()) >= 200


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("merged", [False, True], ids=["apart", "merged"])
def test_script(shell: str, merged: bool, check: Callable[[Scenario], None]) -> None:
    edited = step(
        "a file edited",
        append("sub/f", "more\n"),
        expect=only(f"{shell} run.sh", "cat sub/f", "cat f", hit=("seq 20",), may=FROM_PIPES),
    )
    check(
        script(
            f"200 commands by {shell}",
            SCRIPT,
            *FILES,
            shell=shell,
            may=FROM_PIPES,
            steps=() if merged else (edited,),
            stdio=Stdio(merged=merged),
        )
    )


def test_script_as_an_ordinary_user(check_as_user: Callable[[Scenario], None]) -> None:
    check_as_user(script("200 commands as a user", SCRIPT, *FILES, may=FROM_PIPES))
