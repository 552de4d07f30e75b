"""System calls without a wrapper, made by probes that may end badly: in a forked child.

Numbers are those of x86-64.
"""

from __future__ import annotations

import ctypes
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NR_PTRACE, NR_PRCTL, NR_SECCOMP, NR_BPF, NR_GETPPID = 101, 157, 317, 321, 110
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


class StepFailed(Exception):
    """Ends a forked probe: (errno, which step)."""

    def __init__(self, code: int, step: str) -> None:
        super().__init__(code, step)
        self.code = code
        self.step = step


def from_fork(attempt: Callable[[], bytes]) -> bytes:
    """What `attempt` gives in a child, which it may turn into another user's; nothing if it raises
    or is killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, attempt())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


def in_fork(attempt: Callable[[], None]) -> tuple[int, str]:
    """Run `attempt` in a child: (0, "") or (errno, step) of the StepFailed it ended with."""

    def answer() -> bytes:
        try:
            attempt()
        except StepFailed as failure:
            return b"%d %s" % (failure.code, failure.step.encode())
        except BaseException as error:
            return b"%d %s" % (errno.EPROTO, repr(error).encode())
        return b"0 "

    code, _, step = from_fork(answer).decode().partition(" ")
    # Nothing written: the child was killed, as strict seccomp profiles do.
    return (int(code), step) if code else (errno.EPERM, "the attempt was killed")


def call(step: str, number: int, *arguments: object) -> int:
    """The result of a system call.  Raises StepFailed."""
    result: int = libc.syscall(number, *arguments)
    if result < 0:
        raise StepFailed(ctypes.get_errno(), step)
    return result


def first_line(path: str) -> str:
    """Of a file of the kernel's; empty if it cannot be read."""
    try:
        with open(path) as file:
            return file.readline().strip()
    except OSError:
        return ""
