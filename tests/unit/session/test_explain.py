"""Explanations: the verdict, the nearest version, the nearest call, and what stood against it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from pcache.linux.stamps import RACY_NS
from pcache.memo.facts import Facts
from pcache.model import Call, Fact, Key, Kind, Outcome, Reason, Record, Uncacheable
from pcache.session.steps.command import Command
from pcache.session.steps.describe import value_text
from pcache.session.verbs.explain import Explanation
from pcache.store.fingerprint import weak_fingerprint
from pcache.store.index import Store
from pcache.values import grouped_value

pytestmark = pytest.mark.system_files


class Bench:
    """A store, and `true in` with two inputs."""

    def __init__(self, path: Path) -> None:
        self.input = path / "in"
        self.absent = path / "other"
        self.store = Store.open(bytes(path / "store"))
        self.command = Command([b"/bin/true", b"in"])
        assert self.command.call is not None
        self.call: Call = self.command.call
        self.write("one")

    def write(self, content: str) -> None:
        self.input.write_text(content)
        time.sleep(RACY_NS / 1e9 + 0.01)

    def record(
        self, call: Call | None = None, status: int = 0, keys: list[Key] | None = None
    ) -> str:
        call = call or self.call
        keys = keys or [(Kind.CONTENT, bytes(self.input)), (Kind.CONTENT, bytes(self.absent))]
        values = Facts(self.store.digests, self.command.fds, self.store.counters).values(keys)
        facts = tuple(Fact(*key, value) for key, value in zip(keys, values, strict=True))
        outcome = Outcome(status, wall_ns=2_000_000_000)
        return self.store.add(Record(call, weak_fingerprint(call), facts, outcome))

    def explain(self, *words: bytes) -> tuple[bool, str]:
        command = Command(list(words)) if words else self.command
        explanation = Explanation(self.store, command, command.call)
        return explanation.hit, "\n".join(explanation.lines)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_hit(bench: Bench) -> None:
    bench.record(status=3 << 8)
    hit, text = bench.explain()
    assert hit
    assert text.startswith("hit: /bin/true in\n")
    assert "all 2 facts" in text
    assert "exit status 3, put 0 paths in place and write 0 bytes, in place of 2.000 s" in text


def test_changed_inputs_of_the_nearest_version(bench: Bench) -> None:
    bench.record()
    bench.write("two")
    bench.absent.write_text("x")
    bench.record()
    bench.absent.unlink()
    hit, text = bench.explain()
    assert not hit
    assert "1 of 2 facts are not as in the nearest of 2 versions" in text
    # The second version differs in `other` only, the first in `in` only; either is the nearest.
    old = [line for line in text.splitlines() if "->" in line]
    assert len(old) == 1
    bench.write("three")
    hit, text = bench.explain()
    assert not hit
    # Now only the first version has `other` absent: it is the nearer one.
    assert f"    {bench.input}:\n      file, mode 644, owner 0, group 0, content " in text
    assert str(bench.absent) not in text


def test_appearing_file(bench: Bench) -> None:
    bench.record()
    bench.absent.write_text("x")
    hit, text = bench.explain()
    assert not hit
    assert f"{bench.absent}:\n      not there -> file, mode 644, owner 0, group 0, content " in text


def test_unknown_call_is_compared_with_the_nearest(bench: Bench) -> None:
    call = bench.call
    env = (b"PC_ONE=1", *(entry for entry in call.env if not entry.startswith(b"PATH=")))
    fds = (call.fds[0], b"null", b"closed")
    bench.record(Call(call.executable, call.argv, env, b"/", 0o77, call.uid, call.gid, fds))
    hit, text = bench.explain()
    assert not hit
    assert text.startswith("miss: /bin/true in   unknown call\n")
    assert "working directory: / -> " in text
    assert f"umask: 077 -> {call.umask:03o}" in text
    assert "standard output: /dev/null -> " in text
    assert "standard error: closed -> " in text
    assert "environment PC_ONE: '1' -> not set" in text
    assert "environment PATH: not set -> '" in text
    assert "environment SHLVL" not in text
    assert "arguments" not in text


def test_recorded_with_other_descriptors_only(bench: Bench) -> None:
    """As where the explanation of what printed nothing is read."""
    call = bench.call
    other = Call(
        call.executable, call.argv, call.env, call.cwd, call.umask, call.uid, call.gid,
        (call.fds[0], b"null", b"null"), call.ignored, call.filename,
    )  # fmt: skip
    bench.record(other)
    hit, text = bench.explain()
    assert not hit
    at = text.index("  and that one, from here:\n    hit: /bin/true in\n      all 2 facts")
    assert "standard output: /dev/null -> " in text[:at]
    bench.write("two")
    hit, text = bench.explain()
    assert not hit
    assert "    miss: /bin/true in\n      1 of 2 facts are not" in text
    assert f"        {bench.input}:\n          file, mode 644" in text


def test_a_path_is_listed_once(bench: Bench) -> None:
    keys = [(kind, bytes(bench.input)) for kind in (Kind.CONTENT, Kind.LCONTENT, Kind.TIMES)]
    bench.record(keys=keys)
    bench.write("two")
    _, text = bench.explain()
    assert "  3 of 3 facts are not" in text
    told = text[text.index(f"    {bench.input}:\n") :].splitlines()
    content, times = told[1:]
    assert content.startswith("      file, mode 644, ")
    assert times.startswith("      its modification time: ")


def test_what_is_never_cached_says_why(bench: Bench) -> None:
    hit, text = bench.explain(b"/bin/sleep", b"1")
    assert not hit
    assert text.startswith("miss: /bin/sleep 1   never cached\n")
    assert "sleep always runs, by default: takes time on purpose" in text
    assert "pcache config set program.sleep.never_cache no" in text


def test_other_arguments_and_other_programs(bench: Bench) -> None:
    bench.record()
    _, text = bench.explain(b"/bin/true", b"out")
    assert "was recorded with other arguments only" in text
    assert "arguments: /bin/true in -> /bin/true out" in text
    _, text = bench.explain(b"/bin/false")
    assert "/false was ever recorded" in text


def test_uncacheable_and_non_deterministic(bench: Bench) -> None:
    weak = weak_fingerprint(bench.call)
    bench.store.add_uncacheable(bench.call, weak, [Uncacheable(Reason.NETWORK, "socket")])
    _, text = bench.explain()
    assert "not cached when it last ran: network: socket" in text
    assert "unknown call" not in text
    bench.record()
    bench.record(status=1 << 8)
    hit, text = bench.explain()
    assert not hit
    assert "non-deterministic: with the same inputs, exit status (0x0, 0x100) differed" in text


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (Kind.CONTENT, b"-", "not there"),
        (
            *(Kind.CONTENT, b"f644:0:5:\x01\x02\x03\x04rest-of-this"),
            "file, mode 644, owner 0, group 5, content 01020304",
        ),
        (
            *(Kind.CONTENT, b"f644:0:5+2~ab:\x01\x02\x03\x04rest-of-this"),
            "file, mode 644, owner 0, group 5, 2 names, with holes, content 01020304",
        ),
        (
            *(Kind.CONTENT, b"f600:0:0:!13"),
            "file that may not be read, mode 600, owner 0, group 0",
        ),
        (Kind.ONE, grouped_value([[b"/a", b"/b"], [b"/c", b"/d"]]), "/a = /b; /c = /d"),
        (Kind.LEXISTS, b"d755:0:5", "directory, mode 755, owner 0, group 5"),
        (Kind.EXISTS, b"f755:1:2", "file, mode 755, owner 1, group 2"),
        (Kind.LCONTENT, b"la/b", "link to a/b"),
        (Kind.LINK, b"l3:5:6", "link to a path of 3 bytes, owner 5, group 6"),
        (Kind.LISTING, b"L\xaa\xbb\xcc\xdd\xee", "entries aabbccdd"),
        (Kind.TIMES, b"t1500000000 1 2 3", "1.500000000, owner 1:2, 3 names"),
        (Kind.NOT_NEWER, b"t1500000000", "the newest is of 1.500000000"),
        (Kind.NOT_NEWER, b"ok", "none is newer"),
        (Kind.OTHERS, b"L\xaa\xbb\xcc\xdd\xee", "entries aabbccdd"),
        (Kind.XATTRS, b"X", "none"),
        (Kind.LXATTRS, b"Xuser.a\0user.b\0", "user.a, user.b"),
        (Kind.TRAIT, b"0 1", "0 1"),
        (Kind.FD, b"null", "/dev/null"),
        (Kind.INPUT, b"i7:\xaa\xbb\xcc\xdd", "content aabbccdd from byte 7 on"),
        (Kind.REPLACEABLE, b"ok", "can be replaced"),
        (Kind.PRESENT, b"ok", "there"),
        (Kind.WRITABLE, b"ok", "may be written to"),
        (Kind.WRITABLE, b"p!2; !2; in !13", "!2; !2; in !13"),
        (Kind.PERMISSION, b"p!2; !2; in !13", "!2; !2; in !13"),
        (Kind.NOT_DIRECTORY, b"ok", "no directory"),
        (Kind.CONTENT, b"!40", "looking fails with errno 40"),
        (Kind.CONTENT, b"c666:0:5:1:3", "character device 1:3, mode 666, owner 0, group 5"),
        (
            Kind.EXISTS,
            b"bn660:0:6:8:0",
            "block device 8:0, mode 660, owner 0, group 6, which the mount lets nobody open",
        ),
        (Kind.CONTENT, b"p600:7:8", "fifo, mode 600, owner 7, group 8"),
    ],
)
def test_values_in_words(kind: bytes, value: bytes, words: str) -> None:
    assert value_text(kind, value) == words


def test_command_line(pcache: str, tmp_path: Path) -> None:
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [pcache, *words], env=env, capture_output=True, text=True, check=False
        )

    for verb in (["explain", "true"], ["stats"]):
        done = run(*verb)
        assert (done.returncode, done.stdout) == (125, "")
        assert "nothing was recorded yet" in done.stderr
    assert run("explain").returncode == 2
    assert run("explain", "no-such-command").returncode == 127
    Store.open(bytes(tmp_path / "pcache")).close()
    done = run("explain", "true")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("miss: true   unknown call\n")
    assert run("replay", "-q", "true").returncode == 0
    done = run("stats", "--json")
    numbers = json.loads(done.stdout)["statistics"]
    assert (numbers["records"], numbers["hits"]) == (0, 0)
    assert numbers["misses"] >= 1
    assert "records " in run("stats").stdout
