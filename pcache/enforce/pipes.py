"""What a blocked task is going to read from a pipe, looked at without taking it away.

Only pipes that the tree has made itself: what happens at the ends of others nobody here can know.
Once the last writer is gone all that will ever come is there; and where no other process can read
it, it comes to the task.  So nothing is changed by looking, and whatever is decided then, the
program finds its input as it was.  Where others can, a hit takes it out of the pipe, as its program
would have, and puts it into one that is the task's alone.

More than a pipe holds can be known if who writes is a hit: what it has left to write is at hand.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
from stat import S_ISFIFO
from time import monotonic_ns

from pcache.enforce import syscalls
from pcache.enforce.task_memory import status_field
from pcache.linux.descriptors import StillOpen
from pcache.values import PIPED, error_value, pipe_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    class Feeder(Protocol):
        """`pcache.enforce.job.Job` as far as it is used here."""

        @property
        def tgid(self) -> int: ...

        def rest(self, pipe: int) -> list[memoryview] | None: ...


_FIONREAD = 0x541B
_PIPE_BUF = 4096
_JUST_NOW_NS = 1_000_000_000
_LOOKS = 3
"""How often the tree is searched again, as processes end meanwhile."""


class Tree:
    """The processes that the command has become."""

    _helpers: frozenset[int] = frozenset()
    """Children of ours that belong to pcache."""
    _given: frozenset[str] | None = None
    """What the command was handed, as links in /proc name it; None: nobody knows."""

    @classmethod
    def learn(cls, command: int) -> None:
        """To be told the command, which is about to begin."""
        try:
            cls._helpers = frozenset(_children(os.getpid())) - {command}
            place = f"/proc/{command}/fd/"
            cls._given = frozenset([os.readlink(place + fd) for fd in os.listdir(place)])
        except OSError:
            cls._given = None

    @classmethod
    def ignore(cls, pid: int) -> None:
        """A process of ours has been started."""
        cls._helpers |= {pid}

    @classmethod
    def has_made(cls, pipe: os.stat_result) -> bool:
        """Whether a fifo of this status is a pipe that the command was not handed."""
        return (
            cls._given is not None
            and pipe.st_dev == _device()
            and _name(pipe.st_ino) not in cls._given
        )

    @classmethod
    def others_have(cls, inode: int, tgid: int, *, writing: bool) -> bool:
        """Whether any process but one has the end of a pipe that is written to, or read from; also
        if that cannot be told."""
        found = cls.who_has(inode, writing=writing)
        return found is None or not found <= {tgid}

    @classmethod
    def who_has(cls, inode: int, *, writing: bool) -> set[int] | None:
        """The processes that have an end of a pipe; None if that cannot be told."""
        name = _name(inode)
        for _ in range(_LOOKS):
            try:
                return cls._who_has(name, os.O_RDONLY if writing else os.O_WRONLY)
            except (FileNotFoundError, ProcessLookupError):
                continue  # whose children are somebody else's now
            except OSError:
                return None
        return None

    @classmethod
    def _who_has(cls, name: str, other: int) -> set[int]:
        # Of each its descriptors first: what it starts after that does not have more than it has.
        found = set()
        left = [pid for pid in _children(os.getpid()) if pid not in cls._helpers]
        while left:
            pid = left.pop()
            if _has(pid, name, other):
                found.add(pid)
            left += _children(pid)
        return found


feeders: dict[int, Feeder] = {}
"""Hits that wait until a pipe takes more of what they write, by the pipe's inode."""
in_hand: dict[int, int] = {}
"""Processes whose programs are held or being brought back (0), or were, and when (CLOCK_MONOTONIC
ns)."""
_devices: list[int] = []


def _device() -> int:
    """Where all anonymous pipes are."""
    if not _devices:
        ends = os.pipe()
        _devices.append(os.fstat(ends[0]).st_dev)
        for end in ends:
            os.close(end)
    return _devices[0]


def _name(inode: int) -> str:
    return f"pipe:[{inode}]"


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
            found += map(int, file.readall().split())
    return found


def _has(pid: int, name: str, other: int) -> bool:
    """Whether a process has a descriptor of that name, but for those of the `other` mode."""
    place = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(place)
    except PermissionError:
        if _has_ended(pid):
            return False
        raise
    for number in numbers:
        try:
            if os.readlink(f"{place}/{number}") != name:
                continue
            with open(f"{place}info/{number}", "rb", buffering=0) as file:
                flags = int(status_field(b"\n" + file.readall(), b"\nflags:\t"), 8)
        except FileNotFoundError:
            if not os.path.exists(place):
                raise
            continue  # closed meanwhile
        if flags & os.O_ACCMODE != other:
            return True
    return False


def _has_ended(pid: int) -> bool:
    """Whether a process is a zombie: what it had open is closed."""
    with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        text = file.readall()
    return text[text.rindex(b")") + 2 :][:1] in (b"Z", b"X")


def value(pipe: int, tgid: int, fd: int, fed: dict[int, Feeder], shared: dict[int, bytes]) -> bytes:
    """Value of PIPE for the pipe behind descriptor `fd` of a task, of which `pipe` is our copy.

    By the pipe's inode, `fed` is told the hit that has still to write what is in the value, and
    `shared` the value if others can read from the pipe.  Raises StillOpen or OSError."""
    status = os.fstat(pipe)
    inode = status.st_ino
    if not S_ISFIFO(status.st_mode) or not Tree.has_made(status):
        return error_value(errno.ESPIPE)
    fed.pop(inode, None)
    shared.pop(inode, None)
    rest: Iterable[memoryview] = ()
    if not is_complete(pipe):
        feeder = feeders.get(inode)
        if feeder is None or Tree.others_have(inode, feeder.tgid, writing=True):
            raise StillOpen(fd)
        left = feeder.rest(inode)
        if left is None or sum(map(len, left)) > PIPED:
            raise StillOpen(fd)
        rest = left
        fed[inode] = feeder
    found = pipe_value((content(pipe), *rest))
    if Tree.others_have(inode, tgid, writing=False):
        if fed:
            return error_value(errno.EBUSY)
        shared[inode] = found
    return found


def came_from_hits(inode: int) -> bool:
    """Whether nobody writes to a pipe but programs that are held, or brought back just now."""
    who = Tree.who_has(inode, writing=True)
    if who is None:
        return False
    since = monotonic_ns() - _JUST_NOW_NS
    ended = [in_hand.get(pid) for pid in who]
    return all(at is not None and (not at or at > since) for at in ended)


def is_empty(pipe: int) -> bool:
    return not _waiting(pipe)


def is_full(pipe: int) -> bool:
    """Whether who writes to it may have to wait."""
    return _waiting(pipe) + _PIPE_BUF > fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)


def is_complete(pipe: int) -> bool:
    """Whether nobody can write to it any more."""
    poll = select.poll()
    poll.register(pipe, 0)
    return [events & select.POLLHUP for _, events in poll.poll(0)] == [select.POLLHUP]


def _waiting(pipe: int) -> int:
    """How many bytes are in it."""
    count = bytearray(4)
    fcntl.ioctl(pipe, _FIONREAD, count)
    return int.from_bytes(count, "little")


def content(pipe: int) -> bytes:
    """What is in it, and stays there.  Raises OSError."""
    size = _waiting(pipe)
    if not size:
        return b""
    end, into = os.pipe()
    try:
        fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ))
        copied = syscalls.tee(pipe, into, size)
        data = os.read(end, copied) if copied else b""
    finally:
        os.close(end)
        os.close(into)
    if len(data) != size:
        raise OSError(errno.EAGAIN, "a pipe that cannot be looked into")
    return data
