"""The filter's cache: a loss of it costs time, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import xxhash

from pcache.enforce import filter, startup
from pcache.enforce.intercept import Entry, Execve, interception
from pcache.enforce.sandbox import DEFAULT
from tests.unit.enforce.lab import Lab

INSTRUCTION = 8


@pytest.fixture(autouse=True)
def root_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where root would keep what it made, as well as everybody else."""
    monkeypatch.setattr(filter, "ROOT_CACHE", bytes(tmp_path))


@pytest.mark.parametrize("place", [Entry, Execve])
def test_built_once(tmp_path: Path, place: type, monkeypatch: pytest.MonkeyPatch) -> None:
    program = filter.load(place.rules, bytes(tmp_path))  # type: ignore[attr-defined]
    assert program and len(program) % INSTRUCTION == 0
    monkeypatch.setattr(filter, "build", None)
    assert filter.load(place.rules, bytes(tmp_path)) == program  # type: ignore[attr-defined]


def test_damaged_cache_is_replaced(tmp_path: Path) -> None:
    program = filter.load(Entry.rules, bytes(tmp_path))
    [stored] = tmp_path.iterdir()
    good = stored.read_bytes()
    for damaged in (b"", good[:-1], bytes([good[0] ^ 1]) + good[1:], good[:-8]):
        stored.write_bytes(damaged)
        assert filter.load(Entry.rules, bytes(tmp_path)) == program
        assert stored.read_bytes() == good


def test_without_a_place_for_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = b"/proc/nothing"
    monkeypatch.setattr(filter, "ROOT_CACHE", nowhere)
    assert filter.load(Entry.rules, nowhere) == filter.build(Entry.rules)


def test_places_have_programs_of_their_own(tmp_path: Path) -> None:
    programs = {filter.load(interception(n).rules, bytes(tmp_path)) for n in ("entry", "execve")}
    assert len(programs) == len(list(tmp_path.iterdir())) == 2


def test_cached_filter_needs_no_pyseccomp(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pcache.enforce import filter, intercept\n"
        f"filter.ROOT_CACHE = {bytes(tmp_path)!r}\n"
        f"filter.load(intercept.Entry.rules, {bytes(tmp_path)!r})\n"
        "print('pyseccomp' in sys.modules)\n"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert printed == ["True\n", "False\n"]


@pytest.mark.root
def test_root_takes_only_what_is_roots(tmp_path: Path) -> None:
    """Not from the directory it is told, nor a file that somebody else owns or can write."""
    told, kept = tmp_path / "told", tmp_path
    told.mkdir()
    program = filter.load(Entry.rules, bytes(told))
    assert not list(told.iterdir())
    [stored] = kept.glob("filter-*")
    planted = xxhash.xxh3_128_digest(b"planted!") + b"planted!"
    stored.write_bytes(planted)
    stored.chmod(0o646)
    assert filter.load(Entry.rules, bytes(told)) == program
    stored.write_bytes(planted)
    os.chown(stored, 65534, 65534)
    assert filter.load(Entry.rules, bytes(told)) == program
    aside = stored.rename(told / stored.name)
    aside.write_bytes(planted)
    stored.symlink_to(aside)
    assert filter.load(Entry.rules, bytes(told)) == program


@pytest.mark.root
def test_what_root_keeps_serves_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, own = tmp_path / "kept", tmp_path / "own"
    for place in (kept, own):
        place.mkdir()
    monkeypatch.setattr(filter, "ROOT_CACHE", bytes(kept))
    program = filter.load(Entry.rules, bytes(own))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(filter, "build", lambda rules: b"built now")
    assert filter.load(Entry.rules, bytes(own)) == program
    (own / "own").write_bytes(b"one's own goes first")
    (kept / "own").write_bytes(b"root's")
    assert filter.recall(bytes(own), b"own") == b"one's own goes first"
    [stored] = kept.glob("filter-*")
    os.chown(stored, 1000, 0)
    assert filter.load(Entry.rules, bytes(own)) == b"built now"
    assert list(own.glob("filter-*"))


def test_one_stop_for_each_start(lab: Lab) -> None:
    """Later calls of the loader and of malloc(3) pass."""
    result = lab.run(["sh", "-c", "/bin/true; /bin/ls; /usr/bin/perl -e 1; :"], "entry")
    assert (result.report["notifications"], result.report["decided"]) == (4, 4)


def test_startup_is_learnt_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learnt = startup.learn(bytes(tmp_path), Entry.rules)
    assert [number for number, *_ in learnt.passing] == [158, 12]
    assert learnt.loader is not None
    monkeypatch.setattr(startup, "_watch", None)
    again = startup.learn(bytes(tmp_path), Entry.rules)
    assert again.encode() == learnt.encode()


def test_startup_that_cannot_be_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "_LOADER", bytes(tmp_path / "nothing"))
    nothing = startup.learn(bytes(tmp_path), Entry.rules)
    assert (nothing.passing, nothing.loader) == ((), None)
    assert Entry().program(bytes(tmp_path)) == filter.build(Entry.rules + DEFAULT.rules)


def test_32_bit_system_calls_pass(lab: Lab, intercept: str) -> None:
    """int 0x80 getpid: let through, not killed and not notified."""
    lab.compile("int80.c", "int80")
    result = lab.run(["sh", "-c", "bin/int80; echo $?"], intercept)
    assert result.out == "0\n"


def test_nested(pcache: str, tmp_path: Path) -> None:
    """An inner pcache runs its command under the outer one, which sees every execution."""
    command = [pcache, "replay", "-v", pcache, "replay", "-q", "sh", "-c", "/bin/true; exit 3"]
    env = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 3
    assert "miss  /bin/true" in done.stderr
