"""How soon numbers of processes can come again, and whether we may wait for those that we start."""

from __future__ import annotations

import os

from pcache.errors import Refused


def check_waiting() -> None:
    """Raises Refused where wait4(2) is: nothing may be started whose end nobody could learn."""
    try:
        os.waitpid(os.getpid(), os.WNOHANG)
    except ChildProcessError:
        return  # nobody is a child of his own
    except OSError as error:
        raise Refused(
            f"cannot supervise the command: wait4: {error.strerror}",
            "`pcache doctor` tells what mends it",
        ) from error


def forks() -> int:
    """Processes and threads that were started since the machine was.  Raises OSError."""
    with open("/proc/stat", "rb") as file:
        for line in file:
            if line.startswith(b"processes "):
                return int(line.split()[1])
    raise OSError("/proc/stat tells of no processes")


def may_come_again(since: int) -> bool:
    """Whether a number that was given when so many had been started may have been given anew.

    Numbers are given in turn up to the largest one (alloc_pid in kernel/pid.c), so that before that
    all that are free must have been given; three in four may be taken.  Raises OSError.
    """
    with open("/proc/sys/kernel/pid_max", "rb") as file:
        largest = int(file.read())
    return forks() - since >= largest // 4
