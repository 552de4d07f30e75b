"""The system's dynamic loader, seen from outside: how a new image's arguments are found in memory.

/proc makes the files of a process when they are first looked at, and takes them away when it ends,
which costs as much as a tenth of starting it.  For most programs of a first build nothing is on
record, and their arguments are enough to tell.  The loader, which makes the first system call of
every dynamically linked program, has by then noted where the stack began (`__libc_stack_end`), and
there the kernel has put argc, argv and the environment (System V ABI, "Initial Process Stack").

What is found this way serves to let a program run, never to replace it: a program that only looks
as if it had this loader runs uncached, nothing worse.
"""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error

from pcache.enforce.syscalls import read_memory

_PAGE_MASK = 0xFFF
_WORD = Struct("=Q")
_ENTRY = Struct("=QQ")
_AT_BASE = 7
_POINTERS = 1024
"""Bytes read from where the stack began: argc, the pointers to some hundred arguments, and more."""
_LONGEST = 1 << 16
"""Bytes of arguments beyond which their call is looked at in the ordinary way."""


class Loader:
    """Where one build of the loader stops, and where its `__libc_stack_end` is."""

    def __init__(self, stop: int, variable: int) -> None:
        """Both as offsets from its load address: the instruction after its first system call that
        the filter stops, and the variable."""
        self.stop = stop
        self.variable = variable

    def arguments(self, tid: int, ip: int) -> tuple[int, tuple[bytes, ...]] | None:
        """Where the stack of a task began that is stopped at `ip`, and its arguments.

        None if that is not in this loader, or cannot be read for another reason.
        """
        base = ip - self.stop
        if base & _PAGE_MASK:
            return None
        try:
            (stack,) = _WORD.unpack(read_memory(tid, base + self.variable, _WORD.size))
            head = memoryview(read_memory(tid, stack, _POINTERS))
            words = head[: len(head) & -_WORD.size].cast("Q")
            count = words[0]
            start, end = words[1], words[count + 2]  # after the arguments and a null comes envp
            if not 0 < end - start <= _LONGEST:
                return None
            argv = read_memory(tid, start, end - start).split(b"\0")
        except (OSError, IndexError, struct_error):
            return None
        return (stack, tuple(argv[:-1])) if len(argv) == count + 1 and not argv[-1] else None


def load_address(auxv: bytes) -> int:
    """Where the loader of a process is, given its /proc/PID/auxv; 0 for none."""
    pairs: dict[int, int] = dict(_ENTRY.iter_unpack(auxv))
    return pairs.get(_AT_BASE, 0)
