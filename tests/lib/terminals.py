"""Commands at a terminal of their own."""

from __future__ import annotations

import os
import pty
from collections.abc import Mapping, Sequence


def printed_at_one(command: Sequence[str], env: Mapping[str, str]) -> bytes:
    """What a command that succeeds prints there; the first word is the path of its program."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, env)
    printed = b""
    try:
        while data := os.read(terminal, 65536):
            printed += data
    except OSError:
        pass  # EIO: the other end is closed
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0
    return printed
