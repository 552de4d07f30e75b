"""Ending a new image without a tracer: what follows its first system call becomes its end.

An image that is stopped at its first system call has an address space of its own, in which nothing
but its start-up code has run.  `exit_group(code)` written behind that system call is what it
executes when the call is answered: one write and one answer, where ptrace(2) takes eight requests
and has to wait for the task to stop.

The code is private to the image, and once written it can only end: whoever answers the call, the
supervisor or after its death the guardian, all effects of the hit are there by then.  A signal that
is fatal to a program without handlers still counts, as it would just before a real program's end.
"""

from __future__ import annotations

import os
from struct import Struct

from pcache.enforce.notify import Listener
from pcache.enforce.tracee import Gone

_PAGE = 4096
_EXIT = Struct("<BIBIHH")
# mov edi, code; mov eax, exit_group; syscall; ud2
_MOV_EDI, _MOV_EAX, _SYS_EXIT_GROUP, _SYSCALL, _UD2 = 0xBF, 0xB8, 231, 0x050F, 0x0B0F


def can_end(ip: int, status: int) -> bool:
    """Whether `end` can give this wait status: no death by signal, and no code across two pages,
    of which only one might be written."""
    return not status & 0x7F and ip % _PAGE + _EXIT.size <= _PAGE


def end(listener: Listener, id: int, tid: int, ip: int, status: int) -> None:
    """End the image whose first system call returns to `ip`.

    Raises Gone, or OSError with the task untouched: kernels can be set up to refuse the write.
    """
    code = _EXIT.pack(_MOV_EDI, status >> 8, _MOV_EAX, _SYS_EXIT_GROUP, _SYSCALL, _UD2)
    memory = os.open(b"/proc/%d/mem" % tid, os.O_WRONLY | os.O_CLOEXEC)
    try:
        # The open file stays with the address space, whatever becomes of the number.
        if not listener.valid(id):
            raise Gone
        if os.pwrite(memory, code, ip) != len(code):
            raise Gone  # its address space has been taken down
    finally:
        os.close(memory)
    if not listener.answer(id, 0):
        raise Gone
