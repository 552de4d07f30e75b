"""What two users on two machines have in common, and what not."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcache.linux.user import User
from pcache.model import Call, Kind
from pcache.remote.machine import Machine
from pcache.remote.names import call_name, command_name
from pcache.remote.places import Places
from pcache.remote.secrets import has_secret, secret_names, secret_values
from pcache.settings.remote import HOME, HOST, USER
from pcache.settings.rules import Policy

ALL = (HOME, USER, HOST)


def user(name: str, uid: int) -> User:
    return User(uid, uid, (), name, f"/home/{name}".encode(), {})


def policy(name: str, groups: str) -> Policy:
    base = f"/home/{name}/project".encode()
    return Policy(digest=f"rules limits 1 2 groups {groups}".encode(), base_dir=base)


def call(name: str, uid: int, *more: bytes) -> Call:
    home = f"/home/{name}".encode()
    env = (b"HOME=" + home, b"USER=" + name.encode(), b"P=" + home + b"/project/bin", *more)
    argv = (b"cc", b"-I" + home + b"/include", home + b"/project/a.c")
    fds = (b"null", b"pipe", b"pipe")
    return Call(b"/usr/bin/cc", argv, env, home + b"/project", 0o22, uid, uid, fds)


def name_of(name: str, uid: int, mapped: tuple[bytes, ...], *more: bytes) -> bytes:
    rules = policy(name, f"27 {uid}")
    places = Places(rules, user(name, uid), mapped)
    return call_name(call(name, uid, *more), rules, places, Machine(), ())


def test_the_same_when_mapped() -> None:
    assert name_of("alice", 1001, ALL) == name_of("robert", 1002, ALL)
    for missing in (HOME, USER):
        mapped = tuple(what for what in ALL if what != missing)
        assert name_of("alice", 1001, mapped) != name_of("robert", 1002, mapped)


def test_what_differs_still_does() -> None:
    assert name_of("alice", 1001, ALL) != name_of("alice", 1001, ALL, b"X=1")
    assert name_of("alice", 1001, ALL) != name_of("root", 0, ALL)


def test_root_is_nobody_else() -> None:
    places = Places(policy("root", "0"), user("root", 0), ALL)
    assert USER not in places.needles()
    assert places.ids(0, 0) == b"0 0"


def test_command_is_found_in_other_environments() -> None:
    one = Places(policy("alice", "1001"), user("alice", 1001), ALL)
    other = Places(policy("robert", "1002"), user("robert", 1002), ALL)
    assert command_name(call("alice", 1001, b"CI=1"), one) == command_name(
        call("robert", 1002), other
    )


@pytest.mark.parametrize("portable", [(b"cc",), (b"/usr/bin/*",)])
def test_processor(portable: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    machine, other = Machine(), Machine()
    other.processor += b"\nflags: more"
    executable = b"/usr/bin/cc"
    assert machine.identity((), executable) != other.identity((), executable)
    assert machine.identity(portable, executable) == other.identity(portable, executable)
    assert machine.identity((b"ld",), executable) != other.identity((b"ld",), executable)


@given(st.sampled_from([b"", b"/project", b"/x"]), st.sampled_from([b"", b"/a", b"x"]))
def test_paths_come_back(first: bytes, second: bytes) -> None:
    places = Places(policy("alice", "1001"), user("alice", 1001), ALL)
    path = b"/home/alice" + first + second
    hidden = places.hide_path(path)
    assert places.show_path(hidden) == path
    assert (hidden[:1] == b"/") == (not path.startswith(b"/home/alice/") and path != b"/home/alice")


def test_places_that_are_not_here() -> None:
    places = Places(Policy(), user("alice", 1001), ())
    for stored in (b"./x", b"~/x"):
        with pytest.raises(ValueError, match="here"):
            places.show_path(stored)


def test_owners_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="build-host"))
    places = Places(policy("alice", "1001"), user("alice", 1001), ALL)
    exists = (Kind.EXISTS, b"/home/alice/project")
    assert places.hide_value(exists, b"d755:1001:1001") == b"d755:u:g"
    assert places.hide_value(exists, b"d755:0:1001") == b"d755:0:g"
    assert places.hide_value((Kind.RESOLVES, b"x"), b"d755:1001:5>/home/alice") == b"d755:u:5>~"
    content = b"f644:1001:1001" + b"x" * 18
    assert places.hide_value((Kind.CONTENT, b"/x"), content) == content
    assert places.hide_value((Kind.CONTENT, b"/proc/sys/kernel/hostname"), content) == b"host"
    assert places.identity(HOST) == b"build-host"


def test_secrets() -> None:
    env = (
        b"A=1",
        b"GITHUB_TOKEN=x",
        b"my_api_key=y",
        b"KEYBOARD=z",
        b"TOKENIZER=t",
        b"DB_PASSWORD=",
    )
    assert list(secret_names(env, ())) == [b"GITHUB_TOKEN", b"my_api_key", b"TOKENIZER"]
    names = (b"A", b"!TOKENIZER*", b"!GITHUB_*", b"*HUB_TOKEN")
    assert list(secret_names(env, names)) == [b"A", b"GITHUB_TOKEN", b"my_api_key"]
    mine = {b"X_SECRET": b"long-enough", b"Y_SECRET": b"short", b"Z": b"not-a-secret"}
    values = secret_values(mine, ())
    assert secret_values(mine, (b"!X_*", b"Z")) == {b"not-a-secret"}
    assert values == {b"long-enough"}
    for name in (b"DB_PASS", b"SENTRY_DSN", b"AZURE_STORAGE_ACCOUNT_KEY", b"accesskey"):
        assert secret_values({name: b"long-enough"}, ()) == values
    address = {b"DATABASE_URL": b"postgres://me:long-enough@host"}
    assert secret_values(address, ()) == values | set(address.values())
    assert has_secret(b"..long-enough..", values)
    assert not has_secret(b"harmless AKIA text, npm_ too", values)
    for text in (
        b"-----BEGIN RSA PRIVATE KEY-----",
        b" AKIAIOSFODNN7EXAMPLE ",
        b"ghp_" + b"a" * 36,
    ):
        assert has_secret(b"x\n" + text + b"\n", ())
