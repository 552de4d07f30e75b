"""The directory that a workload runs in: laid out once, put back into its first state cheaply."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

_SETTLE = 0.05
"""Seconds between the last change and the next run.  A file changed within one tick (4 ms) of
being read cannot be told from one that changes again: every careful tool treats it specially."""

Signature = tuple[int, ...]
Snapshot = dict[str, tuple[str, str]]
"""Path: type with mode, and digest of the content or target of the link."""


def _walk(base: Path) -> Iterator[os.DirEntry[str]]:
    """Everything below `base`, parents first."""
    with os.scandir(base) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))


def _signature(entry: os.DirEntry[str]) -> Signature:
    """What changes when somebody changes the file; of a directory only its kind and mode."""
    st = entry.stat(follow_symlinks=False)
    if stat.S_ISDIR(st.st_mode):
        return (st.st_mode,)
    return (st.st_mode, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns)


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


@dataclass(frozen=True)
class Comparison:
    """What a snapshot leaves out."""

    ignore: tuple[str, ...]
    mask: re.Pattern[bytes] | None

    @classmethod
    def of(cls, ignore: list[str], mask: list[str]) -> Comparison:
        """From the patterns of a bench.toml."""
        joined = b"|".join(b"(?:" + text.encode() + b")" for text in mask)
        return cls(tuple(ignore), re.compile(joined, re.MULTILINE) if mask else None)

    def ignores(self, path: str) -> bool:
        """Whether the file is left out."""
        return any(fnmatchcase(path, pattern) for pattern in self.ignore)

    def masked(self, data: bytes) -> bytes:
        """`data` without what may differ."""
        return self.mask.sub(b"", data) if self.mask else data


class Tree:
    """A copy of a pristine directory at a path that stays the same."""

    def __init__(self, pristine: Path, path: Path) -> None:
        self.path = path
        self._pristine = pristine
        self._signatures: dict[str, Signature] = {}

    def lay(self) -> None:
        """Make the copy anew."""
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(self._pristine, self.path, symlinks=True)
        self._signatures = {self._name(entry): _signature(entry) for entry in _walk(self.path)}
        self.settle()

    def reset(self) -> None:
        """Delete what was made since `lay` and restore what was changed, touching nothing else."""
        now = {self._name(entry): entry for entry in _walk(self.path)}
        for name in reversed(list(now)):
            if name not in self._signatures:
                self._delete(name)
        for name, signature in self._signatures.items():
            entry = now.get(name)
            if entry is None or _signature(entry) != signature:
                self._restore(name)
        self._signatures = {self._name(entry): _signature(entry) for entry in _walk(self.path)}
        self.settle()

    def append(self, name: str, text: str) -> None:
        """Edit a file as an editor does: a new file takes its place."""
        path = self.path / name
        new = path.with_name(path.name + ".edited")
        shutil.copy2(path, new)
        with new.open("a") as file:
            file.write(text)
        os.utime(new)
        new.rename(path)

    def snapshot(self, comparison: Comparison) -> Snapshot:
        """What is there now."""
        found: Snapshot = {}
        for entry in _walk(self.path):
            name = self._name(entry)
            if comparison.ignores(name):
                continue
            mode = entry.stat(follow_symlinks=False).st_mode
            content = ""
            if stat.S_ISREG(mode):
                data = comparison.masked(Path(entry.path).read_bytes())
                content = hashlib.sha256(data).hexdigest()
            elif stat.S_ISLNK(mode):
                content = os.readlink(entry.path)
            found[name] = (stat.filemode(mode), content)
        return found

    @staticmethod
    def settle() -> None:
        """Wait until changes made before and after can be told apart."""
        time.sleep(_SETTLE)

    def _name(self, entry: os.DirEntry[str]) -> str:
        return os.path.relpath(entry.path, self.path)

    def _delete(self, name: str) -> None:
        path = self.path / name
        if _is_directory(path):
            path.rmdir()
        else:
            path.unlink()

    def _restore(self, name: str) -> None:
        source, path = self._pristine / name, self.path / name
        is_directory = _is_directory(source)
        if os.path.lexists(path) and not (is_directory and _is_directory(path)):
            self._delete(name)
        if is_directory:
            path.mkdir(exist_ok=True)
            shutil.copystat(source, path)
        else:
            shutil.copy2(source, path, follow_symlinks=False)
