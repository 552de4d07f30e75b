"""Where the machine forbids what supervision needs, the command runs plainly, with one message.

A seccomp filter stands in for containers that refuse a call, and for Yama (whose refusal of
ptrace(2) and process_vm_readv(2) is EPERM, too).
"""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from pcache.recorder.image import CACHE_DIR
from tests.unit.enforce.lab import PYTHON, Lab
from tests.unit.enforce.records import Records

pytestmark = pytest.mark.system_files

DENY = f"""
import errno, os, sys
sys.path.append({sysconfig.get_path("platlib")!r})
import pyseccomp
rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
rules.add_rule(pyseccomp.ERRNO(getattr(errno, sys.argv[2])), sys.argv[1])
rules.load()
os.execv(sys.argv[3], sys.argv[3:])
"""
SCRIPT = "real a; echo $?; exit 5"


@pytest.fixture
def bench(tmp_path: Path, lab: Lab, pcache: str) -> Records:
    records = Records(tmp_path, lab, pcache)
    records.record(["real", "a"], 7 << 8, {}, ((1, b"out\n"),))
    return records


@pytest.mark.parametrize("error", ["EPERM", "ENOSYS"])
@pytest.mark.parametrize("call", ["seccomp", "ptrace", "process_vm_readv", "pidfd_getfd", "kcmp"])
def test_forbidden(bench: Records, intercept: str, call: str, error: str) -> None:
    """Nothing is printed twice, as it would be if a hit failed only at its end."""
    words = [bench.pcache, "replay", "-q", "--intercept", intercept, "sh", "-c", SCRIPT]
    assert bench.run(*words).stdout == "out\n7\n"
    done = bench.run(PYTHON, "-c", DENY, call, error, *words)
    assert (done.returncode, done.stdout) == (5, "99\n")
    first, *rest = done.stderr.splitlines()
    assert first.startswith(f"pcache: cannot supervise the command: {call}: ")
    assert rest == [
        "pcache: `pcache doctor` tells what mends it",
        "pcache: the command runs without pcache",
    ]


NEEDED = (
    *("bpf", "clone3", "connect", "epoll_create1", "eventfd2", "ftruncate", "getcwd", "getrandom"),
    *("kcmp", "memfd_create", "perf_event_open", "pidfd_open", "pipe2", "poll", "prctl", "ptrace"),
    *("process_vm_readv", "recvmsg", "rt_sigprocmask", "seccomp", "sendmsg", "setresuid"),
    *("shutdown", "signalfd4", "socket", "socketpair", "statx", "umask", "unshare", "userfaultfd"),
    "wait4",
)
"""System calls, some of which pcache makes before the command runs, beside it, or as it ends."""


@pytest.mark.root
@pytest.mark.parametrize("error", ["EPERM", pytest.param("ENOSYS", marks=pytest.mark.slow)])
@pytest.mark.parametrize("verb", ["trace", "run", "replay"])
def test_whatever_is_refused_the_command_runs(bench: Records, verb: str, error: str) -> None:
    """As it does under the same refusal without pcache."""
    words = ["sh", "-c", "echo ran; /bin/echo child; exit 5"]
    for call in NEEDED:
        deny = (PYTHON, "-c", DENY, call, error)
        plain = bench.run(*deny, "/usr/bin/env", *words)
        assert plain.returncode == 5, call
        done = bench.run(*deny, bench.pcache, verb, *words)
        assert (done.returncode, done.stdout) == (5, plain.stdout), (call, done.stderr)
        assert "internal error" not in done.stderr and "Traceback" not in done.stderr, call


@pytest.mark.root
@pytest.mark.parametrize("verb", ["trace", "run", "replay"])
@pytest.mark.parametrize(
    "without", ["mount -t tmpfs none /proc", *(f"ulimit -n {number}" for number in range(11, 17))]
)
def test_whatever_is_missing_the_command_runs(bench: Records, verb: str, without: str) -> None:
    words = ["unshare", "--mount", "sh", "-c", f'{without}; exec "$@"', "-", bench.pcache, verb]
    done = bench.run(*words, "sh", "-c", "echo ran; exit 5")
    assert (done.returncode, done.stdout) == (5, "ran\n"), done.stderr
    assert "internal error" not in done.stderr and "Traceback" not in done.stderr


def test_forbidden_from_the_first(bench: Records) -> None:
    """Before a filter was ever built: what root has kept of earlier runs is covered."""
    words = [bench.pcache, "replay", "-q", "sh", "-c", SCRIPT]
    cover = f'mkdir -p {CACHE_DIR} && mount -t tmpfs none {CACHE_DIR} && exec "$@"'
    covered = ["unshare", "--mount", "sh", "-c", cover, "sh"]
    done = bench.run(*covered, PYTHON, "-c", DENY, "seccomp", "EPERM", *words)
    assert (done.returncode, done.stdout) == (5, "99\n")
    assert done.stderr.splitlines() == [
        "pcache: cannot build the seccomp filter: Invalid argument",
        "pcache: seccomp may be forbidden here: `pcache doctor` tells what mends it",
        "pcache: the command runs without pcache",
    ]


@pytest.mark.root
def test_what_bcc_would_say_of_a_refusal_is_not_shown(bench: Records) -> None:
    """libbcc writes to stderr by itself; nothing is compiled where that can do no good."""
    cover = f'mkdir -p {CACHE_DIR} && mount -t tmpfs none {CACHE_DIR} && exec "$@"'
    covered = ["unshare", "--mount", "sh", "-c", cover, "sh"]
    done = bench.run(
        *covered, PYTHON, "-c", DENY, "bpf", "EPERM", bench.pcache, "doctor", "--prepare"
    )
    assert "will try again: the kernel refuses BPF programs: " in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("verb", ["replay", "trace", "run"])
@pytest.mark.parametrize(
    ("call", "option"), [("seccomp", "--no-network"), ("personality", "--deterministic")]
)
def test_what_was_to_be_denied_is_not_let_through(
    bench: Records, verb: str, call: str, option: str
) -> None:
    """Where there can be no sandbox, a command that was to be in one does not run."""
    words = [bench.pcache, verb, "-q", *(["--as-root"] if verb != "replay" else []), option]
    done = bench.run(PYTHON, "-c", DENY, call, "EPERM", *words, "sh", "-c", "echo ran")
    assert (done.returncode, done.stdout) == (125, "")
    assert call in done.stderr.splitlines()[-2]
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr


def test_nested(bench: Records) -> None:
    """The outer one sees every execution; the inner one has nothing to say."""
    inner = [bench.pcache, "replay", "-q", "sh", "-c", SCRIPT]
    done = bench.run(bench.pcache, "replay", "-q", *inner)
    assert (done.returncode, done.stdout, done.stderr) == (5, "out\n7\n", "")


@pytest.mark.parametrize("limit", [0, "unlimited"])
def test_core_dumps_are_not_replayed(bench: Records, intercept: str, limit: object) -> None:
    """Where one would be left, the program runs."""
    bench.record(["real", "c"], 11)
    words = [bench.pcache, "replay", "-q", "--intercept", intercept]
    script = f"ulimit -c {limit}; real c; echo $?"
    done = bench.run(*words, "sh", "-c", script)
    assert done.stdout == ("139\n" if limit == 0 else "99\n")
    done = bench.run("sh", "-c", f"ulimit -c {limit}; exec {bench.pcache} replay -q real c")
    assert done.returncode == (-11 if limit == 0 else 99)
