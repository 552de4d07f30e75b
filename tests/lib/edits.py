"""What can happen to a directory between two runs.  Each function makes an edit: a callable."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Edit = Callable[[Path], None]
"""Changes the directory it is given."""


def write(path: str, content: str | bytes, mode: int | None = None) -> Edit:
    """A new or overwritten file."""

    def edit(root: Path) -> None:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        if mode is not None:
            target.chmod(mode)

    return edit


def append(path: str, content: str) -> Edit:
    def edit(root: Path) -> None:
        with open(root / path, "a") as file:
            file.write(content)

    return edit


def replace(path: str, old: str, new: str) -> Edit:
    """Other words in a file.  The old ones must be there."""

    def edit(root: Path) -> None:
        text = (root / path).read_text()
        assert old in text
        (root / path).write_text(text.replace(old, new))

    return edit


def touch(path: str) -> Edit:
    """A new modification time, nothing else."""
    return lambda root: os.utime(root / path)


def delete(path: str) -> Edit:
    """A file or link, or a directory with all that is in it."""

    def edit(root: Path) -> None:
        target = root / path
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink()

    return edit


def mkdir(path: str) -> Edit:
    return lambda root: (root / path).mkdir(parents=True)


def rename(old: str, new: str) -> Edit:
    return lambda root: os.rename(root / old, root / new)


def chmod(path: str, mode: int) -> Edit:
    return lambda root: (root / path).chmod(mode)


def chgrp(path: str, group: str) -> Edit:
    """Another group, where that is permitted."""

    def edit(root: Path) -> None:
        with suppress(PermissionError):
            shutil.chown(root / path, group=group)

    return edit


def hard_link(path: str, target: str) -> Edit:
    """Another name of a regular file, in place of what is there."""

    def edit(root: Path) -> None:
        if not (root / target).is_symlink() and (root / target).is_file() and path != target:
            (root / path).unlink(missing_ok=True)
            os.link(root / target, root / path)

    return edit


def truncate(path: str, size: int) -> Edit:
    """Another size, with a hole at the end where it grows."""

    def edit(root: Path) -> None:
        with open(root / path, "r+b") as file:
            file.truncate(size)

    return edit


def age(path: str, seconds: int) -> Edit:
    """An earlier modification time."""

    def edit(root: Path) -> None:
        status = os.stat(root / path)
        times = status.st_atime_ns, status.st_mtime_ns - seconds * 1_000_000_000
        os.utime(root / path, ns=times)

    return edit


def acl(user: int) -> bytes:
    """An access control list in the kernel's form (linux/posix_acl_xattr.h): rw for the owner, r
    for this user, the group and everybody."""
    entries = ((0x01, 6, -1), (0x02, 4, user), (0x04, 4, -1), (0x10, 4, -1), (0x20, 4, -1))
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHi", tag, permissions, who) for tag, permissions, who in entries
    )


def link(path: str, target: str) -> Edit:
    """A symbolic link, in place of one that may be there."""

    def edit(root: Path) -> None:
        (root / path).unlink(missing_ok=True)
        (root / path).symlink_to(target)

    return edit


def copy(path: str, source: str) -> Edit:
    """A copy of a file from outside of the directory, e.g. a program."""

    def edit(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, root / path)

    return edit


def run(*command: str) -> Edit:
    """Whatever a command does in there."""
    return lambda root: void(subprocess.run(command, cwd=root, check=True, capture_output=True))


def void(_: object) -> None:
    """For calls whose result does not matter."""
