"""The system's dynamic loader, seen from outside: how a new image's call is found in memory.

/proc makes the files of a process when they are first looked at, and takes them away when it ends,
which costs as much as a tenth of starting it.  For most programs of a first build nothing is on
record, and their arguments are enough to tell.  The loader, which makes the first system call of
every dynamically linked program, has by then noted where the stack began (`__libc_stack_end`), and
there the kernel has put argc, argv, the environment and what it tells the loader (System V ABI,
"Initial Process Stack").
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

from pcache.enforce.syscalls import read_memory
from pcache.enforce.task_memory import LONGEST_FILENAME

_PAGE_MASK = 0xFFF
_WORD = Struct("=Q")
_PAIR = Struct("=QQ")
_AT_NULL, _AT_BASE, _AT_RANDOM, _AT_EXECFN = 0, 7, 25, 31
_RANDOM_BYTES = 16
_AHEAD = 1 << 14
"""Bytes read from where the stack began: nearly always all that the image was given."""
_LONGEST = 1 << 17
"""Bytes of arguments and environment beyond which a call is looked at in the ordinary way."""


class Start:
    """An image at its first system call: what the kernel has put on its stack."""

    __slots__ = ("_base", "_tid", "_vectors", "argv", "stack")

    def __init__(self, tid: int, base: int, stack: int, vectors: bytes, argv: tuple[bytes, ...]):
        self._tid = tid
        self._base = base
        self._vectors = vectors
        self.stack = stack
        """Where the stack began, as in /proc/PID/stat."""
        self.argv = argv

    def rest(self) -> tuple[tuple[bytes, ...], bytes, bytes]:
        """The environment, the file name, and 16 random bytes that the image was given and no
        other.

        Raises OSError; ValueError if this does not look like the start of an image.
        """
        vectors = self._vectors
        at = (len(self.argv) + 2) * _WORD.size
        (start,) = _WORD.unpack_from(vectors, at)
        # No pointer has so many zeros; the highest bytes of the last one may be zeros too.
        at = (vectors.index(bytes(_WORD.size), at) + 7 & -8) + _WORD.size
        told = {}
        for kind, value in _PAIR.iter_unpack(vectors[at : at + (len(vectors) - at & -16)]):
            if kind == _AT_NULL:
                break
            told[kind] = value
        random = told.get(_AT_RANDOM, 0) - self.stack
        # The strings lie one after another: arguments, environment, path of the image.
        length = told.get(_AT_EXECFN, 0) - start
        if (
            told.get(_AT_BASE) != self._base
            or not 0 < length <= _LONGEST
            or not 0 < random <= len(vectors) - _RANDOM_BYTES
        ):
            raise ValueError("no start of an image")
        if len(vectors) < _AHEAD and self.stack <= start:
            block = vectors[start - self.stack :]
        else:
            block = read_memory(self._tid, start, length + LONGEST_FILENAME)
        filename, zero, _ = block[length:].partition(b"\0")
        if not zero:
            raise ValueError("no environment")
        env = tuple(block[:length].split(b"\0")[:-1])
        return env, filename, vectors[random : random + _RANDOM_BYTES]


class Loader:
    """Where one build of the loader stops, and where its `__libc_stack_end` is."""

    def __init__(self, stop: int, variable: int) -> None:
        """Both as offsets from its load address: the instruction after its first system call that
        the filter stops, and the variable."""
        self.stop = stop
        self.variable = variable

    def start(self, tid: int, ip: int) -> Start | None:
        """The start of the image of a task that is stopped at `ip`.

        None if that is not in this loader, or cannot be read for another reason.
        """
        base = ip - self.stop
        if base & _PAGE_MASK:
            return None
        try:
            (stack,) = _WORD.unpack(read_memory(tid, base + self.variable, _WORD.size))
            vectors = read_memory(tid, stack, _AHEAD)
            count, first = _PAIR.unpack_from(vectors)
            # After the arguments and a null comes the environment, whose strings follow theirs.
            (end,) = _WORD.unpack_from(vectors, (count + 2) * _WORD.size)
            if not 0 < end - first <= _LONGEST:
                return None
            argv = _strings(tid, stack, vectors, first, end).split(b"\0")
        except (OSError, OverflowError, struct_error):
            return None
        if len(argv) != count + 1 or argv.pop():
            return None
        return Start(tid, base, stack, vectors, tuple(argv))


def _strings(tid: int, stack: int, ahead: bytes, start: int, end: int) -> bytes:
    """What is in memory from `start` to `end`, where `ahead` has been read from `stack` on."""
    if stack <= start and end - stack <= len(ahead):
        return ahead[start - stack : end - stack]
    return read_memory(tid, start, end - start)


def load_address(auxv: bytes) -> int:
    """Where the loader of a process is, given its /proc/PID/auxv; 0 for none."""
    pairs: dict[int, int] = dict(_PAIR.iter_unpack(auxv))
    return pairs.get(_AT_BASE, 0)
