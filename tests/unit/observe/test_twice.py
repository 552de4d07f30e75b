"""The same thing done twice is recorded alike: executions, path sets, strong fingerprints."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.lib.recorder import FORK, NAP, Buffer, Lab, Recorded, Ref, Vector, call

pytestmark = pytest.mark.root

AT = -100
LOOK = Buffer(256)
LIST = call("getdents64", Ref(0), Buffer(999), 999)

CALLS = {
    "read": (call("open", "a", os.O_RDONLY), call("read", Ref(0), Buffer(9), 9)),
    "look": (call("stat", "a", LOOK), call("lstat", "link", LOOK), call("access", "d/x", 4)),
    "statx": (call("statx", AT, "link", 0, 0x7FF, LOOK), call("readlink", "link", LOOK, 256)),
    "missing": (call("stat", "none", LOOK), call("open", "none/x", 0), call("unlink", "a/x")),
    "list": (call("open", "d", os.O_DIRECTORY), LIST, LIST),
    "create": (call("creat", "new", 0o640), call("write", Ref(0), b"x", 1)),
    "exclusive": (call("open", "new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600),),
    "replace": (call("open", "a", os.O_WRONLY | os.O_TRUNC), call("write", Ref(0), b"x", 1)),
    "append": (
        call("open", "a", os.O_WRONLY | os.O_APPEND), NAP, call("write", Ref(0), b"x", 1)),
    "unlink": (call("unlink", "a"), call("rmdir", "e")),
    "rename": (call("rename", "a", "b"), call("rename", "d", "f"), call("stat", "f/x", LOOK)),
    "links": (call("link", "a", "hard"), call("symlink", "a", "soft"), call("open", "soft", 0)),
    "make": (call("mkdir", "new", 0o755), call("mknod", "new/p", 0o10600, 0), call("chdir", "new")),
    "modes": (call("stat", "a", LOOK), NAP, call("chmod", "a", 0o600)),
    "times": (call("creat", "new", 0o644), call("utimensat", AT, "new", bytes(32), 0)),
    "stream": (call("write", 1, b"x", 1), call("writev", 1, Vector(b"y", b"z"), 2)),
    "children": (FORK, call("open", "a", 0), FORK, call("open", "b", 0), NAP, call("unlink", "b")),
    "failed exec": (call("execve", "none", 0, 0), call("execve", "a", 0, 0)),
    "traits": (call("getpriority", 0, 0), call("getgroups", 0, 0), call("uname", Buffer(400))),
}  # fmt: skip

PROGRAMS = {
    "pipes": "cat a | sort >b; ls; mkdir -p new; cp a new; test -e none; grep -r o new d",
    "side by side": "for n in 1 2 3 4 5 6 7 8; do cat a d/x >out.$n & done; wait; cat out.* >all",
    "from a thread": "PROBES/threadexec /bin/cat a",
    "clone3": "PROBES/clone3 0 - /bin/cat a; PROBES/clone3 4100 - /bin/cat b",
    "without a library": "PROBES/nolibc; true",
    "temporary files": "t=$(mktemp); cat a >$t; wc <$t; rm $t",
    "copied and moved": "cp a t; touch -d @1000000000 t; mv t b",
    "made and removed": "mkdir -p t/u; cp a t/u; rm -r t; cat a >b",
    "python": "python3 -c 'import json, os; print(json.dumps(os.listdir(\"d\")))'",
    # Which limits make asks for depends on whether its jobs overlap: they do.
    "make": "printf 'all: x y\\nx y: a\\n\\tcat a >$@; sleep 0.2\\n' >Makefile; make -j2",
    "gcc": "echo 'int main(void) { return 0; }' >m.c; gcc -c m.c; ar rc m.a m.o",
}


def prepare(work: Path, saved: Path) -> None:
    """The same tree each time, in contents and times."""
    if not saved.exists():
        (work / "d/sub").mkdir(parents=True)
        (work / "e").mkdir()
        (work / "link").symlink_to("a")
        for name in ("a", "b", "d/x"):
            (work / name).write_text(name)
        subprocess.run(["cp", "-a", work, saved], check=True)
    subprocess.run(["find", work, "-mindepth", "1", "-delete"], check=True)
    subprocess.run(["cp", "-a", f"{saved}/.", work], check=True)


def differences(one: Recorded, other: Recorded) -> set[str]:
    """Command lines of executions kept both times, but not alike.

    Whether an output that is removed at once is captured before is a matter of time.
    """
    first, second = (
        {seen.label: seen.strong for seen in recorded.all if not seen.reasons}
        for recorded in (one, other)
    )
    return {label for label in first.keys() & second.keys() if first[label] != second[label]}


@pytest.mark.parametrize("calls", CALLS.values(), ids=CALLS.keys())
def test_calls(lab: Lab, work: Path, tmp_path: Path, calls: Sequence[str]) -> None:
    prepare(work, tmp_path / "saved")
    first = lab.calls(*calls, cwd=work, capture=True)
    prepare(work, tmp_path / "saved")
    second = lab.calls(*calls, cwd=work, capture=True)
    assert first.root.facts == second.root.facts
    assert first.root.strong == second.root.strong


@pytest.mark.parametrize("script", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_programs(lab: Lab, work: Path, tmp_path: Path, script: str) -> None:
    for probe in ("threadexec", "clone3"):
        lab.probe(probe)
    lab.probe("nolibc", "-nostdlib", "-static")
    script = script.replace("PROBES", str(lab.directory))
    prepare(work, tmp_path / "saved")
    first = lab.shell(script, cwd=work, capture=True)
    prepare(work, tmp_path / "saved")
    second = lab.shell(script, cwd=work, capture=True)
    assert first.root.facts == second.root.facts
    assert first.root.strong == second.root.strong
    assert not differences(first, second)
