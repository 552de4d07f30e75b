"""What is in the place of a file of pcache's is never waited for."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from pcache.linux.files import NoFile, make_private_file, open_file, open_private_file

FLAGS = (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY | os.O_APPEND | os.O_CREAT, os.O_RDWR)


def put(kind: str, path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/dev/null")
    else:
        with closing(socket.socket(socket.AF_UNIX)) as made:
            made.bind(str(path))


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("kind", ["pipe", "directory", "link", "socket"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str, flags: int) -> None:
    path = tmp_path / "x"
    put(kind, path)
    for function in (open_file, open_private_file):
        with pytest.raises(NoFile, match="not a regular file"):
            function(os.fsencode(path), flags)
    with pytest.raises(NoFile):
        make_private_file(os.fsencode(path))


def test_a_device_at_the_end_of_a_link_is_none(tmp_path: Path) -> None:
    with pytest.raises(NoFile):
        open_file(b"/dev/null", follow=True)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.close(open_file(os.fsencode(tmp_path / "link"), follow=True))


def test_a_file_is_made_private(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "x")
    before = os.umask(0o777)
    try:
        fd = open_private_file(path, os.O_RDWR)
    finally:
        os.umask(before)
    os.close(fd)
    assert os.stat(path).st_mode & 0o7777 == 0o600
