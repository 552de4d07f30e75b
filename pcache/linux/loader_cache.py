"""The cache of the dynamic loader, /etc/ld.so.cache: what it says of the libraries looked up in it.

A library that the loader found there it then opened, by the path that the cache gives; one that it
did not find there it looked for in its own directories, under the same name (_dl_map_object of
glibc, elf/dl-load.c).  So the last names of all that a program opened, or failed to open, hold all
that were looked up, for all entries whose names are the last ones of their paths.  Those others
that may be are in every answer.

The form is `struct cache_file_new` of glibc, sysdeps/generic/dl-cache.h: a header, 24 bytes for
each entry, strings.
"""

from __future__ import annotations

import struct

from xxhash import xxh3_128_digest

from pcache.codec import join
from pcache.sha256 import SIZE, sha256_digest

PATH = b"/etc/ld.so.cache"
IN_NAMES = b".so"
"""What names of libraries in the cache contain: ldconfig takes no others."""
_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = struct.Struct("<20sIIB3xI12x")
"""Magic, number of entries, size of the strings, flags, offset of extensions."""
_ENTRY = struct.Struct("<iIIIQ")
"""Flags, offset of the name, of the path, version of the system, hardware capabilities."""
_WORDS = _ENTRY.size // 4
_EXTENSIONS, _EXTENSION = struct.Struct("<II"), struct.Struct("<IIII")
_EXTENSION_MAGIC, _HWCAPS = 0xEAA42174, 1
_HWCAPS_NAMED = 1 << 62
"""An entry's capabilities are then the number of a name in the extension."""


class LoaderCache:
    """The content of a cache.  Raises ValueError if it has another form."""

    def __init__(self, data: bytes) -> None:
        self._answers: dict[bytes, bytes] = {}
        at = data.find(_MAGIC)
        try:
            _, count, _, _, extensions = _HEADER.unpack_from(data, at if at >= 0 else len(data))
            self._data = data = data[at:]
            start = _HEADER.size
            self._strings = start + count * _ENTRY.size
            words = memoryview(data)[start : self._strings].cast("I")
            self._names, paths = words[1::_WORDS].tolist(), words[2::_WORDS].tolist()
            if len(paths) != count:
                raise ValueError("cut short")
            self._capabilities = self._named_capabilities(extensions)
            self._others = [
                number
                for number, (name, path) in enumerate(zip(self._names, paths, strict=True))
                if not self._is_last_of(name, path)
            ]
        except (struct.error, IndexError, TypeError) as error:
            raise ValueError("no cache of the loader") from error

    def _is_last_of(self, name: int, path: int) -> bool:
        """Whether an entry's name is the end of its path, after a slash, and that of a library."""
        data = self._data
        end = data.index(b"\0", path)
        if path < name < end:
            known = data[name - 1] == ord("/")
        else:
            known = data[path:end].endswith(b"/" + self._string(name))
        return known and IN_NAMES in data[end - len(self._string(name)) : end]

    def _string(self, offset: int) -> bytes:
        return self._data[offset : self._data.index(b"\0", offset)]

    def _named_capabilities(self, offset: int) -> list[bytes]:
        if not offset:
            return []
        magic, count = _EXTENSIONS.unpack_from(self._data, offset)
        if magic != _EXTENSION_MAGIC:
            raise ValueError("extensions of another form")
        for number in range(count):
            at = offset + _EXTENSIONS.size + number * _EXTENSION.size
            tag, _, place, size = _EXTENSION.unpack_from(self._data, at)
            if tag == _HWCAPS:
                names = struct.unpack_from(f"<{size // 4}I", self._data, place)
                return [self._string(name) for name in names]
        return []

    @property
    def directories(self) -> frozenset[bytes]:
        """Of all entries."""
        strings = self._data[self._strings :].split(b"\0")
        return frozenset([text.rpartition(b"/")[0] for text in strings if text[:1] == b"/"])

    def value(self, names: bytes) -> bytes:
        """Value of LOADER: what it says of libraries of these names, with slashes between them."""
        answer = self._answers.get(names)
        if answer is None:
            wanted = set(self._others)
            for name in names.split(b"/"):
                wanted.update(self._entries_of(name))
            entries = [self._entry(number) for number in sorted(wanted)]
            answer = self._answers[names] = b"C" + sha256_digest(join(entries))
        return answer

    def _entries_of(self, name: bytes) -> list[int]:
        found, sought = [], name + b"\0"
        at = self._data.find(sought, self._strings)
        while at >= 0:
            if self._data[at - 1] in b"/\0":
                found += [number for number, offset in enumerate(self._names) if offset == at]
            at = self._data.find(sought, at + 1)
        return found

    def _entry(self, number: int) -> bytes:
        at = _HEADER.size + number * _ENTRY.size
        flags, name, path, version, capabilities = _ENTRY.unpack_from(self._data, at)
        if capabilities & _HWCAPS_NAMED:
            named = self._capabilities[capabilities & 0xFFFFFFFF]
        else:
            named = b"%d" % capabilities
        return b"%d %d %b %b %b" % (flags, version, named, self._string(name), self._string(path))


_known: dict[bytes, LoaderCache] = {}
"""The caches read last, by digest of their content."""
_KNOWN = 4


def loader_cache(path: bytes, digest: bytes) -> LoaderCache:
    """The cache at a path, whose content has that digest.  Raises OSError, and ValueError if it has
    another content or form."""
    cache = _known.get(digest)
    if cache is None:
        with open(path, "rb") as file:
            data = file.read()
        hashed = sha256_digest(data) if len(digest) == SIZE else xxh3_128_digest(data)
        if hashed != digest:
            raise ValueError("another content")
        cache = LoaderCache(data)
        if len(_known) >= _KNOWN:
            _known.clear()
        _known[digest] = cache
    return cache
