"""The store, and directories where there can be none."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pcache.doctor.store import store
from pcache.linux.user import User

Say = Callable[..., User]


@pytest.fixture
def person(tmp_path: Path) -> Say:
    """Makes a User with our ids and the given home directory."""

    def make(home: str | Path = tmp_path, **ids: int) -> User:
        uid, gid = ids.get("uid", os.geteuid()), ids.get("gid", os.getegid())
        return User(uid, gid, (gid,), "someone", os.fsencode(home), {})

    return make


def test_store(person: Say, tmp_path: Path) -> None:
    result = store(person())
    assert result.status == "ok"
    assert result.reason.startswith(f"{tmp_path}/.cache/pcache, 0 B used, ")
    objects = tmp_path / ".cache/pcache/objects"
    objects.mkdir(parents=True)
    (objects / "blob").write_bytes(os.urandom(3 << 20))
    assert "3.0 MiB used" in store(person()).reason


def test_store_below_a_file(person: Say, tmp_path: Path) -> None:
    (tmp_path / ".cache").write_text("")
    result = store(person())
    assert (result.status, result.reason) == ("fail", f"{tmp_path}/.cache is not a directory")


@pytest.mark.root
def test_store_of_somebody_else(person: Say, ordinary_user: pwd.struct_passwd) -> None:
    result = store(person("/usr", uid=ordinary_user.pw_uid, gid=ordinary_user.pw_gid))
    assert result.status == "fail"
    assert result.reason == "someone cannot write /usr: Permission denied"
    assert result.remedy == "point XDG_CACHE_HOME to a directory of your own"


@pytest.mark.root
def test_store_on_a_full_or_read_only_file_system(person: Say, tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", mount], check=True)
    try:
        result = store(person(mount))
        assert (result.status, "free space" in result.remedy) == ("warn", True)
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        result = store(person(mount))
        assert (result.status, result.reason) == ("fail", f"{mount} is read-only")
        assert "XDG_CACHE_HOME" in result.remedy
    finally:
        subprocess.run(["umount", mount], check=True)


def test_store_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "nonsense")
    monkeypatch.delenv("SUDO_UID", raising=False)
    result = store()
    assert (result.status, result.remedy) == ("fail", "set HOME or XDG_CACHE_HOME")
