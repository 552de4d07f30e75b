"""From what stat(2) says of many files to a strong fingerprint, without a look at each value.

The values of files that are settled (`DigestCache.settled`) depend on their identities alone.  So
what the fingerprint was for all of these identities, it is again: one digest over them is looked up
in place of one for each file.  What cannot be told by identities (directories, links, descriptors)
is evaluated each time, and its values are part of that digest.
"""

from __future__ import annotations

from errno import ENOENT
from stat import S_IFREG

from xxhash import xxh3_128_digest

from pcache.codec import join
from pcache.linux.looks import IDENTITY, file_of, identity, states
from pcache.model import Kind
from pcache.values import ABSENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from pcache.memo.facts import Facts
    from pcache.model import Digest, Key, PathSet
    from pcache.store.digests import DigestCache

_FORMAT = b"pcache shortcut 1"
_CONTENTS = (Kind.CONTENT, Kind.LCONTENT)
_MADE_UP = (b"/proc/", b"/sys/")
"""Where nothing is ever settled."""
_WORDS = IDENTITY.size // 8
_MODE, _DEVICE, _INODE, _CHANGED_NS = 0, 1, 2, 7
_NOTHING = IDENTITY.pack(0, 0, ENOENT, 0, 0, 0, 0, 0)


class Shortcut:
    """The way to one strong fingerprint: of a call and a path set, with the files as they are."""

    def __init__(
        self,
        digests: DigestCache,
        facts: Facts,
        weak: Digest,
        paths: PathSet,
        known: dict[Key, bytes],
    ) -> None:
        """Looks at everything, and adds to `known` what had to be evaluated.  Raises OSError where
        something cannot be known."""
        self._table = digests.table
        self._values = digests.values
        keys = paths.keys
        contents = [key for kind in _CONTENTS for key in keys if key[0] == kind]
        others = [key for key in keys if key[0] not in _CONTENTS and key[0] != Kind.ONE]
        found = bytearray(states(keys, Kind.CONTENT, True) + states(keys, Kind.LCONTENT, False))
        words = memoryview(found).cast("Q")
        modes, devices, inodes, fractions = (
            words[at::_WORDS].tolist() for at in (_MODE, _DEVICE, _INODE, _CHANGED_NS)
        )
        words.release()
        self._told = []
        for at, key in enumerate(contents):
            if modes[at]:
                # Times without fractions are those of one mount alone.
                is_told = modes[at] & 0o170000 == S_IFREG and fractions[at]
            else:
                is_told = inodes[at] == ENOENT
            if is_told and not key[1].startswith(_MADE_UP):
                self._told.append(key)
            else:
                others.append(key)
                found[at * IDENTITY.size : (at + 1) * IDENTITY.size] = bytes(IDENTITY.size)
        self._found = bytes(found)
        """Identities of what they are enough to tell of, zeros in place of the others."""
        self._zeros = len(contents) - len(self._told)
        kinds = b" ".join([b"%d" % digests.kind(device) for device in sorted(set(devices))])
        values = facts.values(others, known)
        # Which of the files are one depends on their inodes too.
        files = [facts.file(path) for _, path in others]
        first = (_FORMAT, weak, paths.digest, kinds, *values, *files)
        self._name = xxh3_128_digest(join((*first, self._found)))

    def strong(self) -> Digest | None:
        """The fingerprint that is known for this."""
        return self._table.shortcut(self._name)

    def may_be(self, files: Iterable[os.stat_result]) -> bool:
        """Whether one of those files may be among what identities were enough for."""
        return any(file_of(identity(st)) in self._found for st in files)

    def keep(self, facts: Facts, known: dict[Key, bytes], strong: Digest) -> None:
        """Keeps what the fingerprint turned out to be, when all of `known` was known by `facts`: if
        the files were these, and are settled."""
        seen = []
        for key in self._told:
            one, value = facts.identity(*key), known[key]
            if one is None and value == ABSENT:
                seen.append(_NOTHING)
            elif one is not None and self._values.get(one) == value:
                seen.append(one)
            else:
                return
        if b"".join(seen) == self._without_zeros():
            self._table.put_shortcut(self._name, strong)

    def _without_zeros(self) -> bytes:
        if not self._zeros:
            return self._found
        size = IDENTITY.size
        parts = [self._found[at : at + size] for at in range(0, len(self._found), size)]
        return b"".join([part for part in parts if part != bytes(size)])
