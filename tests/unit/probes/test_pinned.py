"""The recorder's programs stay in the kernel between sessions, for one session at a time."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pcache.enforce import syscalls
from pcache.probes.program import image
from pcache.recorder import bpf, pinned, protocol, rings, session
from pcache.recorder.image import image_key
from pcache.recorder.loaded import Loaded, load
from pcache.recorder.session import Recorder
from tests.conftest import open_directory


@pytest.fixture
def bpffs() -> Iterator[str]:
    """A directory where a BPF file system can be mounted."""
    with open_directory() as directory:
        yield str(directory)
        if os.path.ismount(directory):
            subprocess.run(["umount", "--lazy", directory], check=True)


class Loader:
    """Loads the recorder's programs, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> Loaded:
        self.count += 1
        return load(image())


def pins(bpffs: str) -> set[str]:
    return {name for name in os.listdir(bpffs) if name.startswith("pcache-")}


def test_loaded_once(bpffs: str) -> None:
    loader = Loader()
    for _ in range(3):
        pinned.obtain("key", loader, bpffs).close()
    assert loader.count == 1
    assert pins(bpffs) == {"pcache-key"}


def test_one_session_at_a_time(bpffs: str) -> None:
    loader = Loader()
    first = pinned.obtain("key", loader, bpffs)
    second = pinned.obtain("key", loader, bpffs)
    assert loader.count == 2
    first.close()
    third = pinned.obtain("key", loader, bpffs)
    assert loader.count == 2
    ids = [bpf.map_id(loaded.maps["processes"]) for loaded in (second, third)]
    assert ids[0] != ids[1]
    second.close()
    third.close()


def test_several_at_once_are_loaded_once(bpffs: str) -> None:
    loader = Loader()
    for _ in range(2):
        loaded = [pinned.obtain("key", loader, bpffs) for _ in range(4)]
        assert loader.count == 4
        assert len({bpf.map_id(one.maps["processes"]) for one in loaded}) == 4
        for one in loaded:
            one.close()
    assert len(pins(bpffs)) == 4
    loaded = [pinned.obtain("key", loader, bpffs) for _ in range(5)]
    assert loader.count == 5 and loaded[-1].lock < 0
    for one in loaded:
        one.close()
    pinned.obtain("new", loader, bpffs).close()
    assert pins(bpffs) == {"pcache-new"}


def test_what_is_not_whole_is_loaded_anew(bpffs: str) -> None:
    loader = Loader()
    pinned.obtain("key", loader, bpffs).close()
    os.unlink(f"{bpffs}/pcache-key/on_exec")
    pinned.obtain("key", loader, bpffs).close()
    assert loader.count == 2
    pinned.obtain("key", loader, bpffs).close()
    assert loader.count == 2


def test_other_versions_are_removed_unless_in_use(bpffs: str) -> None:
    loader = Loader()
    pinned.obtain("old", loader, bpffs).close()
    used = pinned.obtain("used", loader, bpffs)
    assert pins(bpffs) == {"pcache-used"}
    pinned.obtain("new", loader, bpffs).close()
    assert pins(bpffs) == {"pcache-used", "pcache-new"}
    used.close()


def test_removed_while_it_is_locked(bpffs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version may take the directory away between opening and locking it."""
    loader = Loader()
    pinned.obtain("key", loader, bpffs).close()
    flock = pinned.fcntl.flock

    def remove_and_lock(fd: int, how: int) -> None:
        monkeypatch.undo()
        subprocess.run(["rm", "-r", f"{bpffs}/pcache-key"], check=True)
        flock(fd, how)

    monkeypatch.setattr(pinned.fcntl, "flock", remove_and_lock)
    pinned.obtain("key", loader, bpffs).close()
    assert loader.count == 2
    pinned.obtain("key", loader, bpffs).close()
    pinned.obtain("key", loader, bpffs).close()
    assert loader.count == 3


def test_what_others_may_have_pinned_is_not_used(bpffs: str) -> None:
    loader = Loader()
    pinned.obtain("key", loader, bpffs).close()
    os.chmod(f"{bpffs}/pcache-key", 0o777)
    pinned.obtain("key", loader, bpffs).close()
    assert loader.count == 2


def test_without_bpf_file_system(tmp_path: Path) -> None:
    loader = Loader()
    pinned.obtain("key", loader, str(tmp_path / "nowhere")).close()
    assert loader.count == 1


def test_failure_to_load_frees_the_lock(bpffs: str) -> None:
    def fail() -> Loaded:
        raise PermissionError

    with pytest.raises(PermissionError):
        pinned.obtain("key", fail, bpffs)
    loader = Loader()
    pinned.obtain("key", loader, bpffs).close()
    assert loader.count == 1


def test_key_covers_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is pinned holds the table of system calls too."""
    from pcache.recorder import image as kept

    before = image_key()
    monkeypatch.setattr(kept, "_SOURCES", kept._SOURCES[:-1])
    assert image_key() != before


def test_key_covers_every_file_of_the_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pcache.recorder import image as kept

    copy = tmp_path / "bpf"
    shutil.copytree(kept.bpf_dir(), copy)
    monkeypatch.setattr(kept, "bpf_dir", lambda: str(copy))
    files = [path for path in copy.rglob("*") if path.is_file()]
    assert len(files) > 10
    keys = {image_key()}
    for path in files:
        path.write_bytes(path.read_bytes() + b"\n")
        keys.add(image_key())
    assert len(keys) == len(files) + 1


def test_a_killed_session_leaves_nothing_to_the_next(bpffs: str) -> None:
    """Neither processes that it followed, nor the ring it wrote to."""
    loader = Loader()
    gate, opener = os.pipe()
    pid = os.fork()
    if pid == 0:
        recorder = Recorder(pinned.obtain("key", loader, bpffs), 4096, os.getuid())
        recorder.attach(select.epoll())
        syscalls.set_name(recorder.name)
        begun, beginning = os.pipe()
        if os.fork():  # both of them are followed, and one goes on
            os.close(beginning)
            os.read(begun, 1)
            os._exit(0)
        os.close(opener)
        os.dup2(gate, 0)
        os.execv("/bin/cat", ["cat"])
    os.close(gate)
    os.waitpid(pid, 0)
    loaded = pinned.obtain("key", loader, bpffs)
    slot, kept = loaded.maps["rings"], loaded.maps["ring"]
    in_use = int.from_bytes(bpf.map_lookup(slot, bytes(4), 4), "little")
    assert in_use != bpf.map_id(kept)
    assert bpf.map_first_key(loaded.maps["processes"], 4) is not None
    os.close(opener)
    recorder = Recorder(loaded, rings.KEPT_BYTES * 2, os.getuid())
    assert bpf.map_first_key(loaded.maps["processes"], 4) is None
    recorder.attach(select.epoll())
    recorder.close()
    loaded.close()
    loaded = pinned.obtain("key", loader, bpffs)
    in_use = int.from_bytes(bpf.map_lookup(loaded.maps["rings"], bytes(4), 4), "little")
    assert in_use == bpf.map_id(loaded.maps["ring"])
    loaded.close()
    assert loader.count == 0


def test_counts_are_those_of_the_session(bpffs: str) -> None:
    for _ in range(2):
        loaded = pinned.obtain("key", Loader(), bpffs)
        recorder = Recorder(loaded, rings.KEPT_BYTES * 2, os.getuid())
        recorder.attach(select.epoll())
        pid = os.fork()
        if pid == 0:
            syscalls.set_name(recorder.name)
            os.stat("/")
            os._exit(0)
        os.waitpid(pid, 0)
        recorder.detach()
        events = protocol.TOTALS.unpack(recorder.counts())[0]
        assert 0 < events < 1000
        recorder.close()
        loaded.close()


@pytest.mark.parametrize("need", ["nothing", "time", "much"])
def test_a_large_ring_is_made_for_whom_it_may_serve(
    bpffs: str, monkeypatch: pytest.MonkeyPatch, need: str
) -> None:
    """By a session that lasts, or by one that tells much at once; it takes the kernel long."""
    loaded = pinned.obtain("key", Loader(), bpffs)
    slot, kept = loaded.maps["rings"], bpf.map_id(loaded.maps["ring"])
    monkeypatch.setattr(session, "_GROW_AFTER_S", 0 if need == "time" else 3600)
    monkeypatch.setattr(session, "_GROW_AT", 1 if need == "much" else 1 << 30)
    recorder = Recorder(loaded, rings.KEPT_BYTES * 2, os.getuid())
    recorder.attach(select.epoll())
    pid = os.fork()
    if pid == 0:
        syscalls.set_name(recorder.name)
        os.execv("/bin/true", ["true"])
    os.waitpid(pid, 0)
    assert recorder.relay() > 0
    recorder.detach()
    while not recorder.drained:
        recorder.relay(last=True)
    end = time.monotonic() + 10
    while need != "nothing" and int.from_bytes(bpf.map_lookup(slot, bytes(4), 4), "little") == kept:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert need != "nothing" or bpf.map_lookup(slot, bytes(4), 4) == kept.to_bytes(4, "little")
    recorder.close()
    assert bpf.map_lookup(slot, bytes(4), 4) == kept.to_bytes(4, "little")
    loaded.close()
