"""Passwords and keys stay where they are: not in messages, and not in lists of processes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pcache.linux.user import User
from pcache.remote import frames
from pcache.remote.credentials import without_passwords
from pcache.remote.errors import RemoteError
from pcache.remote.link import Link
from pcache.remote.objects import ObjectShelf
from pcache.settings.remote import Remote
from tests.lib.servers import free_port

SECRET = "not-for-logs"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET http://me:pw@host/x in 1 ms", "GET http://...@host/x in 1 ms"),
        ("https://me:p/w@w@host, s3://b/p", "https://...@host, s3://b/p"),
        ("s3://bucket/x", "s3://bucket/x"),
    ],
)
def test_without_passwords(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


def dead(scheme: str) -> tuple[Remote, dict[bytes, bytes]]:
    """A store where nobody listens, and all that lets one in."""
    place = f"me:{SECRET}@127.0.0.1:{free_port()}"
    env = {
        b"AWS_ACCESS_KEY_ID": b"id",
        b"AWS_SECRET_ACCESS_KEY": SECRET.encode(),
        b"AWS_SESSION_TOKEN": SECRET.encode(),
        b"AZURE_STORAGE_ACCOUNT_NAME": b"account",
        b"AZURE_STORAGE_SAS_TOKEN": f"sv=2021-08-06&sig={SECRET}".encode(),
    }
    if scheme == "http":
        return Remote(f"http://{place}/p".encode()), env
    return Remote(f"{scheme}://box/p".encode(), endpoint=f"http://{place}".encode()), env


@pytest.mark.parametrize("scheme", ["http", "s3", "az"])
def test_of_a_server_that_is_not_there(scheme: str) -> None:
    shelf = ObjectShelf(*dead(scheme))
    for ask in (shelf.path_sets, shelf.outcome, shelf.manifests):
        with pytest.raises(RemoteError) as caught:
            ask(b"n" * 32)
        assert SECRET not in str(caught.value)


def test_of_the_process_that_asks(tmp_path: Path) -> None:
    """Its arguments are everybody's to read."""
    remote, env = dead("http")
    user = User.current()
    user.env = {**user.env, **env}
    link = Link(bytes(tmp_path), remote, user, lambda: None)
    number = link.ask(frames.OUTCOME, b"n" * 32)
    arguments = agents(tmp_path)
    assert arguments
    for line in arguments:
        assert SECRET.encode() not in line
        assert SECRET.encode().hex().encode() not in line
    with pytest.raises(RemoteError) as caught:
        link.answer(number, 20_000_000_000)
    assert "127.0.0.1" in str(caught.value)
    assert SECRET not in str(caught.value)
    link.close()


def agents(directory: Path) -> list[bytes]:
    """The command lines of those of a directory, of which there is one in a moment."""
    until = time.monotonic() + 20
    found: list[bytes] = []
    while not found and time.monotonic() < until:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if b"pcache.remote.agent" in line and bytes(directory) in line:
                found.append(line)
    return found
