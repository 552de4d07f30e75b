"""What a blocked task has in memory, and what its files under /proc say."""

from __future__ import annotations

from pcache.enforce import syscalls

PAGE = 4096
LONGEST_FILENAME = PAGE
"""PATH_MAX of linux/limits.h, in bytes."""
_READ_AHEAD = 4 * PAGE
_LONGEST_STRING = 32 * PAGE
"""MAX_ARG_STRLEN: longer ones make execve fail with E2BIG."""
_MOST_POINTERS = 1 << 20


class Unreadable(Exception):
    """The task is not one that we may decide about: it runs as if pcache were not there."""


class Memory:
    """Strings and arrays in a task's memory, read in page-aligned pieces and remembered."""

    def __init__(self, tid: int) -> None:
        self._tid = tid
        self._pages: dict[int, bytes] = {}

    def string(self, address: int) -> bytes:
        parts: list[bytes] = []
        length = 0
        while length <= _LONGEST_STRING:
            piece, zero, _ = self._from(address).partition(b"\0")
            parts.append(piece)
            if zero:
                return b"".join(parts)
            length += len(piece)
            address += len(piece)
        raise Unreadable("string too long")

    def strings(self, array_at: int) -> tuple[bytes, ...]:
        """The strings of a NULL-terminated array of pointers; none for a null array."""
        found: list[bytes] = []
        while array_at and len(found) < _MOST_POINTERS:
            pointer = int.from_bytes(self._from(array_at)[:8], "little")
            if not pointer:
                break
            found.append(self.string(pointer))
            array_at += 8
        return tuple(found)

    def _from(self, address: int) -> bytes:
        """The bytes from an address to the end of its page."""
        start = address & -PAGE
        page = self._pages.get(start)
        if page is None:
            data = syscalls.read_memory(self._tid, start, _READ_AHEAD)
            for offset in range(0, len(data), PAGE):
                self._pages[start + offset] = data[offset : offset + PAGE]
            page = self._pages[start]
        return page[address - start :]


def status_field(text: bytes, name: bytes) -> bytes:
    """The value of a line of /proc/PID/status.

    `name` starts with a newline and ends with a tab.  Raises Unreadable.
    """
    start = text.find(name)
    if start < 0:
        raise Unreadable("no such field")
    start += len(name)
    return text[start : text.index(b"\n", start)]
