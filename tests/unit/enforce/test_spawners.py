"""Whoever starts a program sees the recorded status, for both places of interception."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.enforce.lab import DEADLY, PYTHON, Lab

pytestmark = pytest.mark.system_files

METHODS = [
    "fork",
    "vfork",
    "posix_spawn",
    "posix_spawnp",
    "clone3",
    "clone_vm",
    "thread_leader_sleeps",
    "thread_leader_spins",
    "thread_leader_gone",
    "fexecve",
    "execveat",
    "signals",
]
FULL, SAMPLE = (0, 255), (0, 20)
EVERY_STATUS = {"fork", "vfork", "posix_spawn"}

PYTHON_WAYS = """
import os, subprocess
program = "bin/hit-7"
print(subprocess.run([program]).returncode, subprocess.run(program, shell=True).returncode,
      subprocess.call([program], preexec_fn=lambda: None), os.system(program) >> 8,
      os.spawnv(os.P_WAIT, program, [program]), os.popen(program).close() >> 8)
"""

NINJA = """
mkdir -p built; cd built; rm -f one two
printf 'rule r
  command = ../bin/hit-0; ../bin/hit-7; echo $$? >$out
build one: r
build two: r
' >build.ninja; ninja --quiet; cat one two
"""
RUST = "Some(7) Some(8) [Some(10), Some(11), Some(12), Some(13)]\n"

COMMANDS: dict[str, tuple[list[str], str, int]] = {
    # name: (command, what it prints, number of hits)
    "dash": (["dash", "-c", "bin/hit-7; echo $?; x=$(bin/hit-8); echo $?"], "7\n8\n", 2),
    "bash": (
        ["bash", "-c", "bin/hit-7; echo $?; (bin/hit-8) | cat; echo $PIPESTATUS"],
        "7\n8\n",
        2,
    ),
    "busybox": (["busybox", "sh", "-c", "bin/hit-7; echo $?"], "7\n", 1),
    "shell exec": (["sh", "-c", "sh -c 'exec sh -c \"exec bin/hit-9\"'; echo $?"], "9\n", 1),
    "background": (["sh", "-c", "bin/hit-7 & wait $!; echo $?"], "7\n", 1),
    "perl": (["perl", "-e", "system('bin/hit-7'); print $? >> 8, `bin/hit-8`, $? >> 8"], "78", 2),
    "python": ([PYTHON, "-c", PYTHON_WAYS], "7 7 7 7 7 7\n", 6),
    "awk": (["awk", 'BEGIN { print system("bin/hit-7") }'], "7\n", 1),
    "xargs": (["sh", "-c", "echo a b | xargs -n1 -P2 bin/hit-1; echo $?"], "123\n", 2),
    "find": (["find", "driver.py", "-exec", "bin/hit-0", "{}", ";", "-print"], "driver.py\n", 1),
    "timeout": (["sh", "-c", "timeout 20 bin/hit-7; echo $?"], "7\n", 1),
    "nohup": (["sh", "-c", "nohup bin/hit-7; echo $?"], "7\n", 1),
    "setsid": (["sh", "-c", "setsid -w bin/hit-7; echo $?"], "7\n", 1),
    "env": (["sh", "-c", "env A=1 bin/hit-7; echo $?"], "7\n", 1),
    "nice": (["sh", "-c", "nice bin/hit-7; echo $?"], "7\n", 1),
    "by PATH": (["sh", "-c", "hit-7; echo $?"], "7\n", 1),
    "tcsh": (["tcsh", "-fc", "bin/hit-7; echo $status"], "7\n", 1),
    "zsh": (["zsh", "-fc", "bin/hit-7; echo $?; x=$(bin/hit-8); echo $?"], "7\n8\n", 2),
    "ninja": (["sh", "-c", NINJA], "7\n7\n", 4),
    "system and popen": (["bin/shells", "bin/hit-7"], "7 7\n", 2),
    "Rust": (["bin/spawner-rs", "bin"], RUST, 7),
    "Go": (["bin/spawner-go", "{bin}"], "[7 8 9 10 11 12 13 14] 15\n", 10),
    "static glibc": (["sh", "-c", "bin/hit-7-static; echo $?"], "7\n", 1),
    "static musl": (["sh", "-c", "bin/hit-8-musl; echo $?"], "8\n", 1),
}


@pytest.mark.parametrize("method", METHODS)
def test_every_way_to_start_a_program(lab: Lab, intercept: str, method: str) -> None:
    first, last = FULL if method in EVERY_STATUS else SAMPLE
    words = ["bin/spawners", method, f"{lab.bin}/hit", str(first), str(last), "8"]
    result = lab.run(words, intercept)
    assert (result.status, result.out, result.err) == (0, "", "")
    assert result.report["applied"] == last - first + 1
    assert result.report["failures"] == 0


@pytest.mark.parametrize("method", ["fork", "vfork", "posix_spawn", "thread_leader_sleeps"])
@pytest.mark.parametrize(("first", "last"), DEADLY)
def test_death_by_each_signal(lab: Lab, intercept: str, method: str, first: int, last: int) -> None:
    words = ["bin/spawners", method, f"{lab.bin}/hitsig", str(first), str(last), "0"]
    result = lab.run(words, intercept)
    assert (result.status, result.out) == (0, "")
    assert result.report["applied"] == last - first + 1


@pytest.mark.parametrize("kind", ["hit 8", "hitsig 0"])
def test_without_wait_killable(lab: Lab, intercept: str, kind: str) -> None:
    """As on kernels before 5.19: the task is stopped before the first effect."""
    prefix, shift = kind.split()
    words = ["bin/spawners-static", "vfork", f"{lab.bin}/{prefix}", "1", "15", shift]
    result = lab.run(words, intercept, {"PCACHE_TEST_STOP_FIRST": "1"})
    assert (result.status, result.out) == (0, "")
    assert result.report["applied"] == 15


@pytest.fixture(scope="module")
def spawners(lab: Lab) -> Lab:
    """With those in other languages."""
    lab.compile_others()
    return lab


@pytest.mark.parametrize("name", COMMANDS)
def test_spawners_people_use(spawners: Lab, intercept: str, name: str) -> None:
    lab = spawners
    words, printed, hits = COMMANDS[name]
    words = [word.replace("{bin}", str(lab.bin)) for word in words]
    result = lab.run(words, intercept, stdin=-3)
    assert result.out == printed
    assert result.report["applied"] == hits


def test_make_runs_in_parallel(lab: Lab, intercept: str) -> None:
    rules = "".join(f"t{n}:\n\t@bin/hit-0; bin/hit-{n}; echo $$?\n" for n in range(40))
    makefile = f"all: {' '.join(f't{n}' for n in range(40))}\n{rules}"
    result = lab.run(["make", "-s", "-j4", "-f", "-"], intercept, input=makefile.encode())
    assert sorted(map(int, result.out.split())) == list(range(40))
    assert (result.status, result.report["applied"]) == (0, 80)


@pytest.mark.parametrize("ordinary", [False, True], ids=["root", "ordinary"])
def test_privileges(lab: Lab, intercept: str, ordinary: bool, as_user: Callable[..., Any]) -> None:
    """The same for root and for a user without privileges (who gets no_new_privs)."""
    script = "bin/hit-7; echo $?; grep NoNewPrivs /proc/self/status"
    keywords: dict[str, Any] = {"runner": as_user, "cwd": str(lab.directory)} if ordinary else {}
    result = lab.run(["sh", "-c", script], intercept, **keywords)
    assert result.out == f"7\nNoNewPrivs:\t{int(ordinary)}\n"
    assert result.report["applied"] == 1


def test_a_miss_runs_and_is_decided_once(lab: Lab, intercept: str) -> None:
    """An image calls brk(0) again later; a fork that executes nothing is no execution."""
    code = "import os; p = os.fork(); p or os._exit(3); print(os.waitpid(p, 0)[1] >> 8)"
    result = lab.run(["sh", "-c", f'bin/real; {PYTHON} -c "{code}"'], intercept)
    assert result.out == "3\n"
    names = [name for _, name in result.verdicts]
    # sh replaces itself by its last command, or forks for it, depending on the shell.
    assert names == ["dash", "real", PYTHON.rpartition("/")[2]]


def test_a_decider_that_raises(lab: Lab, intercept: str) -> None:
    program = lab.program("broken-1")
    result = lab.run(["sh", "-c", f"{program}; echo $?; {program}; bin/hit-7; echo $?"], intercept)
    assert result.out == "99\n7\n"
    assert result.report["failures"] == 2
    assert result.err.count("pcache: internal error") == 1


def test_programs_traced_by_others_run(lab: Lab, intercept: str) -> None:
    """A tracer inside (strace, gdb) has the tasks: they run, and nothing is applied twice."""
    code = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    libc.ptrace(0, 0, 0, 0)\n"
        "    os.execv('bin/hit-7', ['hit-7'])\n"
        "while True:\n"
        "    status = os.waitpid(pid, 0)[1]\n"
        "    if os.WIFEXITED(status): break\n"
        "    libc.ptrace(7, pid, 0, 0)\n"
        "print(os.WEXITSTATUS(status))\n"
    )
    result = lab.run([PYTHON, "-c", code], intercept)
    assert result.out == "99\n"
    assert result.report["applied"] == 0


def test_failed_probes_along_path_are_left_to_the_kernel(lab: Lab) -> None:
    """At entry they never notify: five directories without the program, one decision."""
    path = ":".join(["/nonexistent"] * 5 + [str(lab.bin)])
    code = "import os; os.execvp('hit-7', ['hit-7'])"
    result = lab.run([PYTHON, "-c", code], "entry", {"PATH": path})
    assert result.status == 7
    assert [verdict for verdict, _ in result.verdicts] == ["miss", "hit"]
