"""Programs: how they are started, what the kernel reads to do so, how they end."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

from pcache.linux import limits
from pcache.linux.signal_sets import UNUSUAL
from pcache.memo.questions import permission_value
from pcache.model import Kind, Reason
from tests.lib.recorder import PLAIN_ENV, Lab, Strings, call

pytestmark = pytest.mark.root


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_program_and_its_loader(lab: Lab, work: Path) -> None:
    root = lab.record("/usr/bin/true", cwd=work).root
    assert root.content("/usr/bin/true") == lab.value(Path("/usr/bin/true").read_bytes(), 0o755)
    assert root.content("/lib64/ld-linux-x86-64.so.2") is not None
    assert root.record.call.argv == (b"/usr/bin/true",)


def test_nested_scripts(lab: Lab, work: Path) -> None:
    inner = script(work / "inner", "#!/bin/sh\necho inner\n")
    outer = script(work / "outer", f"#!{inner} word\n")
    root = lab.record(outer, cwd=work).root
    for path in (inner, outer):
        assert root.content(path) == lab.value(path.read_bytes(), 0o755)


def test_env_with_a_split_string(lab: Lab, work: Path) -> None:
    program = script(work / "x", "#!/usr/bin/env -S sh -e\necho split\n")
    seen = lab.record(program, cwd=work)
    assert seen.root.content(program) == lab.value(program.read_bytes(), 0o755)
    assert seen.all[-1].label.startswith("sh -e")


def test_failed_exec(lab: Lab, work: Path) -> None:
    (work / "plain").write_text("no program")
    root = lab.calls(
        call("execve", "plain", Strings(b"x"), 0),
        call("execve", "none", Strings(b"x"), 0),
        cwd=work,
    ).root
    plain = os.fsencode(work / "plain")
    assert root.fact(Kind.PERMISSION, plain) == permission_value(plain)
    assert root.content(work / "none") == b"-"


def test_chain_of_programs(lab: Lab, work: Path) -> None:
    seen = lab.shell("exec env X=1 sh -c 'exec sh -c \"exit 5\"'", cwd=work)
    assert [one.status for one in seen.all] == [5 << 8] * len(seen.all)
    assert all(one.execution.is_tail for one in seen.all[1:])


def test_from_a_thread(lab: Lab, work: Path) -> None:
    (work / "looked-at").write_text("one")
    seen = lab.record(lab.probe("threadexec"), "/bin/cat", "looked-at", cwd=work, capture=True)
    assert seen.root.stream(1) == b"one"
    assert seen.root.content(work / "looked-at") == lab.value("one")


@pytest.mark.parametrize("method", ["fork", "vfork", "posix_spawn"])
def test_ways_to_start(lab: Lab, work: Path, method: str) -> None:
    code = {
        "fork": "import os; os.fork() or os.execv('/bin/echo', ['echo', 'x']); os.wait()",
        "vfork": "import subprocess; subprocess.run(['/bin/echo', 'x'])",
        "posix_spawn": "import os; os.posix_spawn('/bin/echo', ['echo', 'x'], {}); os.wait()",
    }[method]
    seen = lab.record("/usr/bin/python3", "-ISc", code, cwd=work, capture=True)
    assert seen.all[-1].stream(1) == b"x\n"
    assert seen.root.stream(1) == b"x\n"


CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_VFORK = 0x100, 0x200, 0x400, 0x4000
CLONE_NEWTIME, CLONE_INTO_CGROUP = 0x80, 0x2_0000_0000


@pytest.mark.parametrize(
    "flags", [0, CLONE_VM | CLONE_VFORK, CLONE_VFORK, CLONE_FILES], ids=lambda flags: f"{flags:#x}"
)
def test_clone3(lab: Lab, work: Path, flags: int) -> None:
    (work / "looked-at").write_text("one")
    script = "cat looked-at; echo new >made; exit 3"
    words = (f"{flags:x}", "-", "/bin/sh", "-c", script)
    seen = lab.record(lab.probe("clone3"), *words, cwd=work, capture=True)
    assert [one.label.split()[0] for one in seen.all[1:]] == ["/bin/sh", "cat"]
    for one in (seen.root, seen.all[1]):
        assert (one.status, one.stream(1)) == (3 << 8, b"one")
        assert one.content(work / "looked-at") == lab.value("one")
        assert one.output(work / "made") == ("f", 0o644, b"new\n")
    assert seen.all[1].execution.parent is seen.root.execution


@pytest.mark.parametrize(
    ("flags", "reason", "evidence"),
    [
        (CLONE_NEWTIME, Reason.NAMESPACE, "clone with new namespaces"),
        (CLONE_FS, Reason.UNSUPPORTED, "clone with a common working directory"),
        (CLONE_INTO_CGROUP, Reason.UNSUPPORTED, "clone into a control group"),
    ],
    ids=["time", "directory", "cgroup"],
)
def test_clone3_into_something_else(
    lab: Lab, work: Path, cgroup: Path, flags: int, reason: str, evidence: str
) -> None:
    words = (lab.probe("clone3"), f"{flags:x}", cgroup, "/bin/sh", "-c", "exit 3")
    seen = lab.record("/usr/bin/env", *words, cwd=work)
    assert seen.status == 3 << 8
    env, root, child = seen.all
    assert env.reasons == root.reasons == {reason: evidence}
    assert (reason in child.reasons) == (flags != CLONE_FS)


def test_large_arguments_and_environment(lab: Lab, work: Path) -> None:
    words = [f"{number:0100000}" for number in range(6)]
    env = {**PLAIN_ENV, **{f"V{number}": "v" * 100_000 for number in range(6)}}
    root = lab.record("/usr/bin/printf", "%.0s", *words, cwd=work, env=env).root
    assert root.record.call.argv[2:] == tuple(word.encode() for word in words)
    assert sum(map(len, root.record.call.env)) > 600_000


def test_child_that_outlives_the_command(lab: Lab, work: Path) -> None:
    root = lab.shell("sleep 0.5 & exit 3", cwd=work).root
    assert Reason.LEFT_RUNNING in root.reasons


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_death_by_its_own_signal(lab: Lab, work: Path, number: int) -> None:
    root = lab.shell(f"ulimit -c 0; kill -{int(number)} $$", cwd=work).root
    assert root.status == number


def test_core_dump(lab: Lab, work: Path) -> None:
    """Written by the kernel: no event tells of that file."""
    recorded = lab.shell("ulimit -c unlimited; kill -SEGV $$", cwd=work)
    if recorded.status & 0x80:
        assert Reason.UNSUPPORTED in recorded.root.reasons


def test_killed_from_outside(lab: Lab, work: Path) -> None:
    def kill(pid: int) -> None:
        time.sleep(0.2)
        subprocess.run(["/bin/kill", "-TERM", str(pid)], check=True)

    recorded = lab.record("/bin/sleep", "5", cwd=work, during=kill)
    assert recorded.status == signal.SIGTERM
    assert Reason.KILLED_OUTSIDE in recorded.root.reasons


def test_signal_from_outside_that_it_handles(lab: Lab, work: Path) -> None:
    """It ends of its own accord, but because of what somebody else did."""

    def kill(pid: int) -> None:
        time.sleep(0.2)
        subprocess.run(["/bin/kill", "-USR1", str(pid)], check=True)

    recorded = lab.shell("trap 'exit 0' USR1; sleep 1 & wait", cwd=work, during=kill)
    assert Reason.KILLED_OUTSIDE in recorded.root.reasons


def test_signals_inside(lab: Lab, work: Path) -> None:
    root = lab.shell("sleep 9 & kill $!; wait $!; exit 4", cwd=work).root
    assert root.status == 4 << 8


def test_broken_pipe_inside(lab: Lab, work: Path) -> None:
    seen = lab.shell("yes | head -n 1", cwd=work, capture=True)
    assert seen.root.stream(1) == b"y\n"
    assert seen.find("yes").reasons


def test_starts_without_a_library(lab: Lab, work: Path) -> None:
    """Replays stop programs at the first call of a C library's start-up; this one writes first."""
    probe = lab.probe("nolibc", "-nostdlib", "-static")
    seen = lab.shell(f"{probe}; true", cwd=work)
    assert Reason.UNSUPPORTED in seen.find("nolibc").reasons
    assert not seen.root.reasons
    assert not lab.record(probe, cwd=work).root.reasons, "the command itself is looked up before"


@pytest.mark.parametrize("probe", ["int80", "x32"])
def test_foreign_calls(lab: Lab, work: Path, probe: str) -> None:
    seen = lab.shell(f"{lab.probe(probe)}; true", cwd=work)
    assert Reason.FOREIGN_ABI in seen.all[-1].reasons
    assert Reason.FOREIGN_ABI in seen.root.reasons


def test_many_descriptors(lab: Lab, work: Path) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    root = lab.record("/bin/true", cwd=work, fds=dict.fromkeys(range(3, 40), null)).root
    os.close(null)
    assert Reason.DESCRIPTOR_PASSING in root.reasons


def test_disk_full(lab: Lab, work: Path) -> None:
    """Next time there may be room."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", work], check=True)
    try:
        root = lab.shell("head -c 200000 /dev/zero >f; exit 0", cwd=work).root
    finally:
        subprocess.run(["umount", work], check=True)
    assert Reason.SHORTAGE in root.reasons


@pytest.mark.parametrize(
    "wrapper",
    [
        *("ulimit -f 1;", "ulimit -n 20;", "setarch i686", "setpriv --bounding-set=-chown"),
        *("env --block-signal=USR1", "env --block-signal=RTMIN+1"),
    ],
    ids=["file size", "descriptors", "personality", "capabilities", "blocked", "rt"],
)
def test_what_programs_are_handed_down(lab: Lab, work: Path, wrapper: str) -> None:
    """Their calls do not tell, so their records would be taken for those of the plain program."""
    seen = lab.shell(f"{wrapper} uname -m; true", cwd=work)
    assert Reason.UNSUPPORTED in seen.all[-1].reasons
    assert not seen.root.reasons


@pytest.mark.parametrize(("name", "number"), [("USR1", 10), ("RTMAX", 64), ("ALRM", 14)])
def test_signals_that_are_ignored(lab: Lab, work: Path, name: str, number: int) -> None:
    """Part of the call, unless the caller is that of pcache."""
    seen = lab.shell(f"env --ignore-signal={name} uname -m; true", cwd=work)
    assert seen.all[-1].record.call.ignored & UNUSUAL == 1 << (number - 1)
    assert seen.root.record.call.ignored & UNUSUAL == 0


@pytest.mark.parametrize("again", ["", "ulimit -S -n 1000;"], ids=["changed", "and back"])
def test_who_asks_for_a_limit_that_its_caller_set(
    lab: Lab, work: Path, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    """Many descriptors are handed down by compilers and runtimes: only who asks can tell."""
    given = limits.given().copy()
    given[limits.NOFILE] = 1000, given[limits.NOFILE][1]
    monkeypatch.setattr(limits, "_first", given)
    script = f"ulimit -S -n 300; {again} /bin/true; sh -c 'ulimit -n'; true"
    seen = lab.shell(script, cwd=work)
    silent, asking = seen.all[-2:]
    assert not seen.root.reasons
    assert not silent.reasons
    trait = (Kind.TRAIT, limits.trait(limits.NOFILE))
    soft = 1000 if again else 300
    assert asking.fact(*trait) == limits.limit_value((soft, given[limits.NOFILE][1]))
    # The root asked before it set it.
    assert seen.root.fact(*trait) == limits.limit_value(given[limits.NOFILE])


def test_a_limit_is_an_input_of_who_asks(lab: Lab, work: Path) -> None:
    seen = lab.shell("/bin/true; sh -c 'ulimit -l'; true", cwd=work)
    trait = (Kind.TRAIT, limits.trait(limits.MEMLOCK))
    assert [one.fact(*trait) is not None for one in seen.all] == [True, False, True]


@pytest.mark.parametrize(
    ("change", "ask", "trait"),
    [
        ("taskset -c 0", "nproc", b"affinity"),
        ("nice -n 5", "nice", b"priority"),
        ("chrt -b 0", "python3 -IS policy.py", b"policy"),
    ],
    ids=["affinity", "nice value", "policy"],
)
def test_what_only_those_depend_on_who_ask(
    lab: Lab, work: Path, change: str, ask: str, trait: bytes
) -> None:
    (work / "policy.py").write_text("import os; os.sched_getscheduler(0)")
    seen = lab.shell(f"{change} uname -m; {change} {ask}; true", cwd=work)
    asking = next(one for one in seen.all[1:] if one.label == ask)
    assert Reason.UNSUPPORTED in asking.reasons
    assert not any(one.reasons for one in seen.all if one is not asking)
    assert lab.shell(f"{ask}; true", cwd=work).root.fact(Kind.TRAIT, trait) is not None


def test_nice_value_set_with_the_policy(lab: Lab, work: Path) -> None:
    attributes = struct.pack("<IIQi28x", 48, 0, 0, 5)  # struct sched_attr: size, ..., nice
    run_nice = call("execve", "/usr/bin/nice", Strings(b"nice"), 0)
    seen = lab.calls(call("sched_setattr", 0, attributes, 0), run_nice, cwd=work)
    assert Reason.UNSUPPORTED in seen.all[-1].reasons


def test_another_root(lab: Lab, work: Path) -> None:
    seen = lab.calls(
        call("chroot", "/"), call("execve", "/bin/true", Strings(b"true"), 0), cwd=work
    )
    assert Reason.NAMESPACE in seen.all[-1].reasons
    assert Reason.NAMESPACE in seen.root.reasons


@pytest.mark.parametrize("wrapper", ["unshare -m", "unshare -u"])
def test_in_another_world(lab: Lab, work: Path, wrapper: str) -> None:
    seen = lab.shell(f"{wrapper} uname -m; true", cwd=work)
    assert Reason.NAMESPACE in seen.all[-1].reasons
    assert Reason.NAMESPACE in seen.root.reasons


def test_another_user(lab: Lab, work: Path) -> None:
    seen = lab.shell("setpriv --reuid=1 --clear-groups id -u; true", cwd=work)
    assert Reason.UNSUPPORTED in seen.root.reasons
    assert Reason.UNSUPPORTED in seen.all[-1].reasons
