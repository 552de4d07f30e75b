"""pcache/linux/looks.py, and the same in C."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

from pcache.linux import looks

SOURCE = Path(looks.__file__).with_name("looks.c")
Keys = list[tuple[bytes, bytes]]


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    target = tmp_path_factory.mktemp("native") / "_looks.so"
    include = sysconfig.get_path("include", vars={"installed_base": "/usr", "base": "/usr"})
    subprocess.run(
        ["cc", "-shared", "-fPIC", f"-I{include}", "-o", target, SOURCE, "-Wall", "-Werror"],
        check=True,
    )
    spec = importlib.util.spec_from_file_location("pcache.linux._looks", target)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Paths of many sorts, under two kinds each."""
    (tmp_path / "file").write_text("content")
    (tmp_path / "empty").touch()
    os.utime(tmp_path / "empty", ns=(0, -1_500_000_000))
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "circle").symlink_to("circle")
    os.link(tmp_path / "file", tmp_path / "again")
    os.mkfifo(tmp_path / "fifo")
    names = (
        "file empty link dangling circle again fifo file/below absent absent/below . " + "n" * 300
    )
    paths = [os.fsencode(tmp_path / name) for name in names.split()]
    return [
        (kind, path) for kind in (b"c", b"l") for path in [*paths, b"/dev/null", b"/proc/1/exe"]
    ]


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("kind", [b"c", b"l", b"x"])
def test_both_see_the_same(native: ModuleType, keys: Keys, kind: bytes, follow: bool) -> None:
    assert native.states(keys, kind, follow) == looks.states(keys, kind, follow)
    remembered = {looks.identity(os.stat(path)): path for _, path in keys if path[-4:] == b"file"}
    seen = []
    for look in (native.look, looks.look):
        known = {keys[1]: b"known before"}
        identities: dict[bytes, bytes] = {}
        found = look(keys, kind, follow, remembered, b"-", known, identities)
        seen.append((found, known, identities))
    assert seen[0] == seen[1]


def test_what_is_found(keys: Keys, tmp_path: Path) -> None:
    file, link = (os.fsencode(tmp_path / name) for name in ("file", "link"))
    remembered = {looks.identity(os.stat(file)): b"value"}
    known: dict[tuple[bytes, bytes], bytes] = {}
    identities: dict[bytes, bytes] = {}
    assert looks.look(keys, b"c", True, remembered, b"-", known, identities) == 3
    again, absent = (os.fsencode(tmp_path / name) for name in ("again", "absent"))
    assert known[b"c", file] == known[b"c", link] == known[b"c", again] == b"value"
    assert known[b"c", absent] == b"-"
    assert identities[file] == identities[link] != identities[b"/dev/null"]
    assert looks.file_of(identities[file]) == looks.file_of(identities[again])
    assert all(key[0] == b"c" for key in known)


def test_an_identity_tells_of_every_change(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a")
    before = looks.identity(path.stat())
    assert looks.ctime_ns_of(b"X" + before) == path.stat().st_ctime_ns
    path.chmod(0o600)
    changed = looks.identity(path.stat())
    os.utime(path, ns=(0, 2**63))  # later than any number of nanoseconds that has 64 bits
    late = looks.identity(path.stat())
    assert len({before, changed, late}) == 3


def test_no_key_is_refused(native: ModuleType) -> None:
    for wrong in ([b"c"], [(b"c", "text")], [(1, b"path")], [()], 7):
        with pytest.raises(TypeError):
            native.look(wrong, b"c", True, {}, b"-", {}, {})
        with pytest.raises(TypeError):
            native.states(wrong, b"c", True)
