"""One round of everything a hit needs, with our own child before it becomes the command.

Containers, Yama and filters of others can forbid any of it.  Found out here, the command is run
without us and nothing has happened; found out at the first hit, its output would be there already
and then the program would print it again.
"""

from __future__ import annotations

import os
import select

from pcache.enforce import syscalls, tracee
from pcache.enforce.notify import Listener, Notification
from pcache.enforce.task_descriptors import TaskFds


class Forbidden(Exception):
    """Something of it is not permitted.  `str()` says what."""

    def __init__(self, what: str, error: OSError) -> None:
        super().__init__(f"{what}: {error.strerror}")


def check_permitted(listener: Listener, fd: int, killable: bool, decides: bool) -> int:
    """Answer the handshake of a child that has `fd` open; the id of its notification.

    `decides`: try as well what is done to the processes of executions.  Raises Forbidden, or
    tracee.Gone if the child dies.
    """
    notification = _receive(listener)
    if decides:
        _try(listener, notification, fd, killable)
        notification = _receive(listener)  # released from its stop, it asks again
    listener.answer(notification.id, syscalls.HANDSHAKE)
    return notification.id


def _receive(listener: Listener) -> Notification:
    poll = select.poll()
    poll.register(listener.fd, select.POLLIN)
    while poll.poll()[0][1] & select.POLLIN:
        notification = listener.receive()
        if notification is not None:
            return notification
    raise tracee.Gone


def _try(listener: Listener, notification: Notification, fd: int, killable: bool) -> None:
    tid = notification.tid
    what = "/proc"
    fds = TaskFds(tid, tid)
    try:
        os.readlink(b"/proc/%d/exe" % tid)
        what = "process_vm_readv"
        syscalls.read_memory(tid, notification.ip, 1)
        what = "pidfd_getfd"
        fds.get(fd)
        what = "kcmp"
        syscalls.same_file(tid, fd, fd)
        what = "ptrace"
        tracee.stop(listener, notification.id, tid, killable)
        tracee.release(tid)
    except OSError as error:
        raise Forbidden(what, error) from error
    finally:
        fds.close()
