"""A directory as a value: saved, put back with its times, and compared."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple


class Node(NamedTuple):
    """What a path is: `content` is a digest, a link's target or a device number."""

    kind: str
    mode: int
    owner: tuple[int, int]
    content: str
    links: tuple[str, ...]
    """All names of the same file inside the directory, if there are several."""
    mtime: int | str
    """In nanoseconds if it was there before or set explicitly; else which run gave it."""
    attributes: tuple[tuple[str, bytes], ...]
    """Extended ones, access control lists among them."""
    blocks: int
    """Of a regular file, in 512 bytes."""


_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


class Snapshot:
    """Every path below a directory, with what a command could have done to it."""

    def __init__(self, nodes: dict[str, Node]) -> None:
        self.nodes = nodes

    @classmethod
    def take(
        cls,
        directory: Path,
        start_ns: int,
        began_ns: int,
        masks: Mapping[str, str] = MappingProxyType({}),
        *,
        closely: bool = False,
        told: Set[int] = frozenset(),
    ) -> Snapshot:
        """The present state, after a run that began at `began_ns` (realtime).

        Of what runs since `start_ns` changed, the exact time is left to chance.  A directory's
        own time is left out: it tells of temporary files, not of results.  masks: pattern of the
        lines to leave out, by file name, for what differs with every plain run.  closely: with
        extended attributes and the space that files take.  told: times that were set, which are
        exact wherever they are found.
        """
        found = [(path, os.lstat(path)) for path in _walk(directory)]
        names: dict[tuple[int, int], list[str]] = {}
        for path, status in found:
            if not stat.S_ISDIR(status.st_mode):
                name = os.path.relpath(path, directory)
                names.setdefault((status.st_dev, status.st_ino), []).append(name)
        nodes = {}
        for path, status in found:
            form = stat.S_IFMT(status.st_mode)
            same = sorted(names.get((status.st_dev, status.st_ino), ()))
            mtime: int | str = status.st_mtime_ns
            if mtime in told:
                pass
            elif form == stat.S_IFDIR or status.st_mtime_ns >= began_ns:
                mtime = "fresh"
            elif status.st_mtime_ns >= start_ns:
                mtime = "of an earlier run"
            name = os.path.relpath(path, directory)
            nodes[name] = Node(
                _KINDS[form],
                stat.S_IMODE(status.st_mode),
                (status.st_uid, status.st_gid),
                _content(path, form, status, masks.get(name)),
                tuple(same) if len(same) > 1 else (),
                mtime,
                _attributes(path) if closely else (),
                status.st_blocks if closely and form == stat.S_IFREG else 0,
            )
        return cls(nodes)

    def difference(self, other: Snapshot) -> list[str]:
        """How `other` deviates from this, one line a path."""
        lines = []
        for name in sorted(self.nodes.keys() | other.nodes.keys()):
            mine, theirs = self.nodes.get(name), other.nodes.get(name)
            if mine is None or theirs is None:
                lines.append(f"{name}: {'missing' if theirs is None else 'too much'}")
                continue
            lines += [
                f"{name}: {field} is {got!r}, not {want!r}"
                for field, want, got in zip(Node._fields, mine, theirs, strict=True)
                if want != got
            ]
        return lines


def _walk(directory: Path) -> Iterator[str]:
    for top, directories, files in os.walk(directory):
        for name in (*directories, *files):
            yield os.path.join(top, name)


def _content(path: str, form: int, status: os.stat_result, mask: str | None) -> str:
    if form == stat.S_IFREG:
        content = Path(path).read_bytes()
        if mask is not None:
            content = re.sub(rb"(?m)^(?:%b).*\n" % mask.encode(), b"", content)
        return f"{len(content)}:{hashlib.sha256(content).hexdigest()[:16]}"
    if form == stat.S_IFLNK:
        return os.readlink(path)
    return str(status.st_rdev)


def _attributes(path: str) -> tuple[tuple[str, bytes], ...]:
    names = sorted(os.listxattr(path, follow_symlinks=False))
    return tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)


class States:
    """Saved states of one directory, each a full copy with times, owners and hard links."""

    def __init__(self, directory: Path, storage: Path) -> None:
        self._directory = directory
        self._storage = storage
        self._count = 0

    def save(self) -> Path:
        """A handle for `restore`."""
        self._count += 1
        saved = self._storage / str(self._count)
        saved.mkdir()
        self._copy(self._directory, saved)
        return saved

    def restore(self, saved: Path) -> None:
        """Make the directory what it was: same names, contents, modes, modification times."""
        subprocess.run(["find", str(self._directory), "-mindepth", "1", "-delete"], check=True)
        self._copy(saved, self._directory)

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        subprocess.run(["cp", "-a", "--reflink=auto", f"{source}/.", str(target)], check=True)
