"""Every process of pcache has the rights that ARCHITECTURE.md grants it, and no others."""

from __future__ import annotations

import ast
import io
import os
import pwd
import re
import subprocess
import sys
import time
import tokenize
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pcache.recorder import protocol
from tests.conftest import CHECKOUT, SUDO, Run

pytestmark = [pytest.mark.root, pytest.mark.system_files]

PATIENCE = 30
NOBODY = 65534
RECORDER = 1 << 38 | 1 << 39
"""CAP_PERFMON and CAP_BPF."""
MOST_LINES = {"helper": 940, "service": 900}
"""Of code, with all that is imported of pcache: docs/security.md."""
VERBS = {
    "trace": ["trace"],
    "trace in a sandbox": ["trace", "--no-network"],
    "run": ["run"],
    "replay": ["replay"],
    "check": ["replay", "--check"],
}
ROLES = {
    "replay": {"pcache", "pcache-guardian", "pcache-sentinel"},
    "trace": {"pcache", "pcache-recorder", "pcache-sentinel"},
}
OF_A_SUPERVISOR = {"pcache", "pcache-recorder", "pcache-guardian", "pcache-sentinel"}


def lines_of_code(text: str) -> set[int]:
    """The numbers of those that are no comment, docstring or blank."""
    beside = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (*beside, tokenize.ENDMARKER):
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
    return found


class Rights:
    """What /proc/PID/status says."""

    def __init__(self, pid: int) -> None:
        text = Path(f"/proc/{pid}/status").read_text()
        fields = dict(re.findall(r"^(\w+):[ \t]*(.*)$", text, re.MULTILINE))
        self.uids = {int(number) for number in fields["Uid"].split()}
        self.gids = {int(number) for number in fields["Gid"].split()}
        self.groups = {int(number) for number in fields["Groups"].split()}
        self.capabilities = {
            name: int(fields[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")
        }
        self.bounding = int(fields["CapBnd"], 16)
        self.no_new_privs = fields["NoNewPrivs"] == "1"


def processes(marker: str) -> dict[str, Rights]:
    """Those of the session whose command line has the marker, by what they are."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
            words = line.split(b"\0")
            if marker.encode() not in line or not words[0].startswith(b"/usr/bin/python3"):
                continue
            name = (entry / "comm").read_text().strip()
            role = name if name.startswith("pcache-") else "pcache"
            if role in found:
                raise Forking(role)
            found[role] = Rights(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


class Forking(Exception):
    """There are two of a kind at this moment; if that stays so, `during` gives up."""


def during(begun: Path, marker: str, wanted: set[str]) -> dict[str, Rights]:
    """The processes while the command runs."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if begun.exists():
            with suppress(Forking):
                found = processes(marker)
                if found.keys() >= wanted:
                    return found
        time.sleep(0.02)
    raise AssertionError(f"there are only {sorted(processes(marker))}")


@pytest.fixture
def fifo(user_dir: Path, ordinary_user: pwd.struct_passwd) -> Iterator[Path]:
    path = user_dir / "fifo"
    os.mkfifo(path)
    os.chown(path, ordinary_user.pw_uid, ordinary_user.pw_gid)
    yield path


def assert_of_user(rights: Rights, user: pwd.struct_passwd) -> None:
    assert rights.uids == {user.pw_uid} and rights.gids == {user.pw_gid}
    assert 0 not in rights.groups
    assert set(rights.capabilities.values()) == {0}


def assert_of_recorder(rights: Rights) -> None:
    assert rights.uids == rights.gids == {NOBODY} and rights.groups == set()
    assert rights.capabilities == {
        "CapPrm": RECORDER,
        "CapEff": RECORDER,
        "CapInh": 0,
        "CapAmb": 0,
    }
    assert rights.bounding == 0 and rights.no_new_privs


@pytest.mark.parametrize("verb", VERBS)
def test_under_sudo(
    pcache: str,
    as_user: Run,
    ordinary_user: pwd.struct_passwd,
    user_env: dict[str, str],
    user_dir: Path,
    fifo: Path,
    verb: str,
) -> None:
    marker = f"pcache-rights-{os.getpid()}-{time.monotonic_ns()}"
    script = f": {marker}; cat /proc/self/status >command; : >begun; read x <fifo; exit 3"
    sudo = [] if verb == "replay" else ["sudo"]
    words = [*sudo, pcache, *VERBS[verb], "-q", "sh", "-c", script]
    switch = ["setpriv", f"--reuid={ordinary_user.pw_uid}", f"--regid={ordinary_user.pw_gid}"]
    env = {**user_env, "XDG_CACHE_HOME": str(user_dir)}
    assignments = [f"{name}={value}" for name, value in env.items()]
    process = subprocess.Popen(
        [*SUDO, *switch, "--init-groups", "--", "env", "-i", *assignments, *words], cwd=user_dir
    )
    try:
        wanted = ROLES.get(verb, OF_A_SUPERVISOR)
        found = during(user_dir / "begun", marker, wanted)
    finally:
        fifo.write_text("go\n")
    assert process.wait(PATIENCE) == 3
    assert found.keys() == wanted
    recorder = found.pop("pcache-recorder", None)
    if recorder is not None:
        assert_of_recorder(recorder)
    for rights in found.values():
        assert_of_user(rights, ordinary_user)
    status = (user_dir / "command").read_text()
    assert re.search(r"^CapPrm:\s*0+$", status, re.MULTILINE)
    limited = verb == "replay"
    assert re.search(rf"^NoNewPrivs:\s*{limited:d}$", status, re.MULTILINE), status


@pytest.mark.parametrize("verb", VERBS)
def test_as_root(pcache: str, tmp_path: Path, verb: str) -> None:
    """What root's own programs do, pcache does as root; the recorder is nobody all the same."""
    os.mkfifo(tmp_path / "fifo")
    marker = f"pcache-rights-{os.getpid()}-{time.monotonic_ns()}"
    script = f": {marker}; : >begun; read x <fifo; exit 3"
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    words = [pcache, *VERBS[verb], "-q", "sh", "-c", script]
    process = subprocess.Popen(words, cwd=tmp_path, env=env)
    try:
        wanted = ROLES.get(verb, OF_A_SUPERVISOR)
        found = during(tmp_path / "begun", marker, wanted)
    finally:
        (tmp_path / "fifo").write_text("go\n")
    assert process.wait(PATIENCE) == 3
    assert found.keys() == wanted
    recorder = found.pop("pcache-recorder", None)
    if recorder is not None:
        assert_of_recorder(recorder)
    for rights in found.values():
        assert rights.uids == {0}


@pytest.mark.parametrize("shape", MOST_LINES)
def test_the_recorder_imports_the_standard_library_alone(shape: str) -> None:
    """Of pcache it is this package, and no more; all else is in no process that has rights."""
    program = (
        f"import sys; sys.path[:0] = [{str(CHECKOUT)!r}]; before = set(sys.modules)\n"
        f"from pcache.recorder import {shape}\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    command = ["/usr/bin/python3", "-IS", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    names = done.stdout.split()
    ours = [name for name in names if name.startswith("pcache.")]
    assert {name.split(".")[1] for name in ours} == {"recorder"}
    paths = [CHECKOUT / f"{name.replace('.', '/')}.py" for name in ours if name.count(".") == 2]
    lines = {path.stem: len(lines_of_code(path.read_text())) for path in paths}
    assert sum(lines.values()) <= MOST_LINES[shape], lines
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names | {"pcache"}


def test_protocol_is_documented() -> None:
    text = (CHECKOUT / "docs/recorder-protocol.md").read_text()
    for name in ("START", "ATTACH", "FINISH", "CLOSE", "GATE", "MAKE"):
        assert f"| {getattr(protocol, name)} | {name} " in text
    for name in ("READY", "DONE", "COUNTS", "REFUSED"):
        assert f"| {getattr(protocol, name)} | {name} |" in text
