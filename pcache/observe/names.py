"""Canonical names of paths, as they were when an access happened.

Opens come with the canonical path the kernel found.  For calls that give no file (stat, unlink,
rename, failed look-ups) the directory part is resolved here, after the fact: links the tree itself
makes or removes are told to `link` and `forget` as their events are met, all others are read from
the file system once.
"""

from __future__ import annotations

import contextlib
import os
import posixpath

from pcache.observe.pseudo import is_magic

_MAX_LINKS = 40  # MAXSYMLINKS, include/linux/namei.h
_UNKNOWN = b"?"  # the object itself stands for what may have been a link


class Names:
    """Resolves absolute paths.  `..` and links are followed as the kernel would."""

    def __init__(self) -> None:
        self.generation = 0
        """Changes whenever the answer for some path may."""
        self.made: set[bytes] = set()
        """Links that the tree has made."""
        self._links: dict[bytes, bytes | None] = {}
        self._former: dict[bytes, list[tuple[int, bytes | None]]] = {}
        """What was at names until a time, where that was another link, or may have been."""
        self._directories: dict[bytes, bytes] = {}
        self._asked: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
        """Answers of `canonical_again`, without and with `follow`."""
        self._asked_in = 0
        """The generation that they are of."""

    def canonical(self, path: bytes, *, follow: bool) -> bytes:
        """The canonical form; with `follow`, a final link is followed too."""
        directory, leaf = posixpath.split(path.rstrip(b"/") or b"/")
        if leaf in (b".", b"..", b""):
            return self._resolve(path)
        parent = self._directories.get(directory)
        if parent is None:
            parent = self._directories[directory] = self._resolve(directory)
        name = _child(parent, leaf)
        if follow and self._target(name) is not None:
            return self._resolve(name)
        return name

    def canonical_again(self, path: bytes, *, follow: bool) -> bytes:
        """The same, remembered: for what is asked of the same paths again and again."""
        if self._asked_in != self.generation:
            self._asked, self._asked_in = ({}, {}), self.generation
        asked = self._asked[follow]
        name = asked.get(path)
        if name is None:
            name = asked[path] = self.canonical(path, follow=follow)
        return name

    def link(self, name: bytes, target: bytes, ts: int) -> None:
        """A link was made at a canonical name, at the time `ts`; `forget` was told before."""
        self._former.setdefault(name, []).append((ts, None))
        self._links[name] = target
        self.made.add(name)
        self._directories.clear()
        self.generation += 1

    def look_for_link(self, name: bytes, ts: int) -> None:
        """What came to a canonical name may be a symbolic link."""
        with contextlib.suppress(OSError):
            self.link(name, os.readlink(name), ts)

    def forget(self, name: bytes, ts: int, *, free: bool) -> None:
        """Whatever was at a canonical name is gone or replaced by something that is no link, at the
        time `ts`; `free`: nothing was there."""
        known = self._links.get(name, None if free else _UNKNOWN)
        if known is not None:
            self._former.setdefault(name, []).append((ts, known))
        if known is not None and known is not _UNKNOWN:
            self._directories.clear()
            self.generation += 1
        self._links[name] = None

    def way(self, path: bytes, ts: int, end: bytes) -> list[tuple[bytes, bytes | None]]:
        """Canonical names of all that lay on the way along a path at the time `ts`, links and what
        they led to, with the links' targets.  Raises LookupError if that is not known.

        `end`: the canonical name that it led to, in which, thus, no link is."""
        passed: list[tuple[bytes, bytes | None]] = []
        self._resolve(path, passed, ts, end)
        return passed

    def _target_at(self, name: bytes, ts: int) -> bytes | None:
        for until, target in self._former.get(name, ()):
            if ts <= until:
                if target is _UNKNOWN:
                    raise LookupError(name)
                return target
        return self._target(name)

    def _target(self, name: bytes) -> bytes | None:
        if is_magic(name):
            return None  # leads elsewhere in each process, and we are not the one that asked
        if name not in self._links:
            try:
                self._links[name] = os.readlink(name)
            except OSError:
                self._links[name] = None
        return self._links[name]

    def _resolve(
        self,
        path: bytes,
        passed: list[tuple[bytes, bytes | None]] | None = None,
        ts: int = 0,
        end: bytes = b"",
    ) -> bytes:
        todo = path.split(b"/")
        todo.reverse()
        at, links = b"/", 0
        while todo:
            part = todo.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                at = posixpath.dirname(at)
                continue
            name = _child(at, part)
            if passed is None:
                target = self._target(name)
            else:
                canonical = name == end or end.startswith(name + b"/")
                target = None if canonical else self._target_at(name, ts)
                passed.append((name, target))
            if target is None or links >= _MAX_LINKS:
                at = name
                continue
            links += 1
            if target.startswith(b"/"):
                at = b"/"
            todo.extend(reversed(target.split(b"/")))
        return at


def _child(directory: bytes, leaf: bytes) -> bytes:
    return b"/" + leaf if directory == b"/" else directory + b"/" + leaf
