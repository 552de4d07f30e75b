"""Something else in the place of a file of the store, or of a setting: nothing waits for it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.lib.differential import Bench

pytestmark = pytest.mark.root

PATIENCE = 20
KINDS = ("pipe", "directory", "link")
COMMAND = ("sh", "-c", "seq 9000")
RECORD = ("run", "-q", "--ring-size=4", "env", "A_TOKEN=secret", *COMMAND)
"""`seq` prints more than a row holds, and a secret needs the store's key: all files are there."""
BESIDE = ("index.db-wal", "index.db-shm", "digests.db-wal")
VERBS = (("replay", *COMMAND), ("run", *COMMAND), ("gc",), ("log",), ("show",), ("stats",))


def put(kind: str, path: Path) -> None:
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")


def take(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def call(bench: Bench, *words: str) -> subprocess.CompletedProcess[bytes]:
    """One command; it fails the test if it waits."""
    return subprocess.run(
        [bench.launcher.pcache, *words],
        env={
            **bench.env,
            "XDG_CACHE_HOME": str(bench.store),
            "XDG_CONFIG_HOME": str(bench.store.parent),
        },
        cwd=bench.directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


def settings(bench: Bench) -> Path:
    path = bench.store.parent / "pcache/config.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text("compress = false\n")
    os.utime(path, (1, 1))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_in_the_store(bench: Bench, kind: str) -> None:
    settings(bench)
    for _ in range(2):
        done = call(bench, *RECORD)
        assert done.returncode == 0, done.stderr
    store = bench.store / "pcache"
    found = {str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()}
    assert {"lock", "tally", "history/log", "digests.db", "index.db", "secrets.key"} <= found
    assert any(name.startswith("objects/") for name in found)
    plain = "".join(f"{n}\n" for n in range(1, 9001)).encode()
    for name in sorted(found.union(BESIDE)):
        put(kind, store / name)
        for words in VERBS if kind == "pipe" else VERBS[1:3]:
            done = call(bench, *words)
            assert b"internal error" not in done.stderr, (name, words, done.stderr)
            if words[0] in ("run", "replay"):
                assert (done.returncode, done.stdout) == (0, plain), (name, words, done.stderr)
        take(store / name)


@pytest.mark.parametrize("kind", KINDS)
def test_trace_ends_whatever_the_log_is(bench: Bench, kind: str) -> None:
    assert call(bench, *RECORD).returncode == 0
    log = bench.store / "pcache/history/log"
    put(kind, log)
    done = call(bench, "trace", "true")
    assert done.returncode == 0
    assert f"cannot be noted: {log}: not a regular file".encode() in done.stderr


@pytest.mark.parametrize("kind", ["pipe", "directory"])
@pytest.mark.parametrize("where", ["user", "project"])
def test_in_the_place_of_settings(bench: Bench, kind: str, where: str) -> None:
    path = settings(bench) if where == "user" else bench.directory / ".pcache.toml"
    put(kind, path)
    for verb in ("replay", "run", "trace"):
        done = call(bench, verb, "echo", "ran")
        assert (done.returncode, done.stdout) == (0, b"ran\n")
        assert f"cannot read {path}: not a regular file".encode() in done.stderr, done.stderr
    project = ["--project"] if where == "project" else []
    for words in (["get", "compress"], ["set", "compress", "true"]):
        done = call(bench, "config", *project, *words)
        assert done.returncode == 125 and b"internal" not in done.stderr
