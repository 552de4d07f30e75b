"""What the system's C library does at every start, so that one stop is enough.

`Entry` stops an image at brk(0) or arch_prctl(ARCH_SET_FS), whichever comes first, because no
single call is the first of all run-time libraries.  A dynamically linked program of the system's
C library makes both, from code of its loader, and brk(0) once more when it first allocates memory;
a filter cannot remember that it has stopped an image before, but it sees the address of the calling
instruction, whose offset in its page no randomisation changes.  Letting the later ones pass saves
every execution one or two more stops.  Should both brk(0) be at the same offset, they differ in a
register that brk(2) does not use: how much malloc(3) wants is still in it.

Another library with such a call at the same offset would run its programs uncached, nothing worse.
"""

from __future__ import annotations

import os
import select

import xxhash

from pcache.enforce import filter, signals, spawn, syscalls
from pcache.enforce.loader import Loader, load_address
from pcache.enforce.task import STAT_START_STACK, Process
from pcache.enforce.task_memory import Unreadable
from pcache.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.filter import Passing
    from pcache.enforce.filter_rules import Rule
    from pcache.enforce.notify import Notification

_FORMAT = 2
_LOADER = b"/lib64/ld-linux-x86-64.so.2"
_PROBE = spawn.Command(b"/bin/sh", (b"/bin/sh", b"-c", b":"), (b"LC_ALL=C",))
"""A program that allocates memory."""
_PAGE_MASK = 0xFFF
_LOWER_HALF = 0xFFFFFFFF
_PATIENCE_MS = 5000
_MOST = 8
_FIELDS = 4


class Startup:
    """What was learnt."""

    def __init__(self, passing: tuple[Passing, ...] = (), loader: Loader | None = None) -> None:
        self.passing = passing
        """What need not stop."""
        self.loader = loader
        """None where it is of another kind than we know."""

    def encode(self) -> bytes:
        """In one line, for `decode`."""
        numbers = [number for exception in self.passing for number in exception]
        if self.loader is not None:
            numbers = [self.loader.stop, self.loader.variable, *numbers]
        return b" ".join([b"-" if self.loader is None else b"+", *map(b"%d".__mod__, numbers)])

    @classmethod
    def decode(cls, text: bytes) -> Startup:
        """Raises ValueError."""
        kind, *words = text.split(b" ")
        if kind not in (b"+", b"-"):
            raise ValueError("not what `encode` writes")
        numbers = [int(word) for word in words]
        loader = None
        if kind == b"+":
            stop, variable, *numbers = numbers
            loader = Loader(stop, variable)
        parts = [numbers[part::_FIELDS] for part in range(_FIELDS)]
        return cls(tuple(zip(*parts, strict=True)), loader)


def learn(directory: bytes, rules: tuple[Rule, ...]) -> Startup:
    """Found by watching one program start, and kept (see `filter.keep`) for as long as the loader
    is the same file.  After any failure nothing is known."""
    try:
        st = os.stat(_LOADER)
        stamp = (_FORMAT, rules, st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns)
        name = b"startup-" + xxhash.xxh3_64_hexdigest(repr(stamp).encode()).encode()
        try:
            return Startup.decode(filter.recall(directory, name))
        except ValueError:
            found = _watch(filter.load(rules, directory))
        filter.keep(directory, name, found.encode())
        return found
    except (OSError, Refused):
        return Startup()


def _watch(program: bytes) -> Startup:
    """Start a program under the filter."""
    spawned = spawn.spawn(_PROBE, program)
    signals.set_mask(spawned.mask)
    poll = select.poll()
    poll.register(spawned.listener.fd, select.POLLIN)
    stops: list[Notification] = []
    loader = None
    while ready := poll.poll(_PATIENCE_MS):
        if not ready[0][1] & select.POLLIN:
            break
        notification = spawned.listener.receive()
        if notification is not None:
            if not stops:
                loader = _loader(notification)
            stops.append(notification)
            spawned.listener.proceed(notification.id)
    spawned.guardian.close()
    spawned.listener.close()
    os.waitpid(spawned.pid, 0)
    passing = [found for stop in stops[1:_MOST] if (found := _later(stops[0], stop)) is not None]
    return Startup(tuple(passing), loader)


def _later(first: Notification, later: Notification) -> Passing | None:
    """How to tell a later stop from the first one of an image; None if nothing does."""
    offset = later.ip & _PAGE_MASK
    if (later.nr, offset) != (first.nr, first.ip & _PAGE_MASK):
        return later.nr, offset, 0, later.args[0]
    for argument in range(1, len(later.args)):
        value = later.args[argument]
        is_size = 0 < value <= _LOWER_HALF and not value & _PAGE_MASK
        if is_size and value != first.args[argument] & _LOWER_HALF:
            return later.nr, offset, argument, value
    return None


def _loader(notification: Notification) -> Loader | None:
    """What the probe stopped in, if that is the loader that runs in this process as well."""
    tid, ip = notification.tid, notification.ip
    try:
        variable = syscalls.address_of("__libc_stack_end")
        process = Process(tid)
        loader = Loader(
            ip - load_address(process.auxiliary_vector()),
            variable - load_address(Process(os.getpid()).auxiliary_vector()),
        )
        stack = int(process.stat()[STAT_START_STACK])
        found = loader.start(tid, ip)
        known = found is not None and (found.argv, found.stack, *found.rest()[:2])
    except (OSError, ValueError, Unreadable):
        return None
    return loader if known == (_PROBE.argv, stack, _PROBE.env, _PROBE.path) else None
