"""Where the C library sets up thread storage, so that this second call of every start can pass.

`Entry` stops an image at brk(0) or arch_prctl(ARCH_SET_FS), whichever comes first, because no
single call is the first of all run-time libraries.  A dynamically linked program of the system's
C library makes both, from code of its loader; a filter cannot remember that it has stopped an image
before, but it sees the address of the calling instruction, whose offset in its page no
randomisation changes.  Letting that one pass saves every execution a second stop.

Another loader with its call at the same offset would run its programs uncached, nothing worse.
"""

from __future__ import annotations

import os
import select

import xxhash

from pcache.enforce import filter, signals, spawn
from pcache.enforce.syscalls import SYS_ARCH_PRCTL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.filter import Rule

_LOADER = b"/lib64/ld-linux-x86-64.so.2"
_PROBE = b"/bin/true"
_PAGE_MASK = 0xFFF
_PATIENCE_MS = 5000
_UNKNOWN = b"-"


def learn(directory: bytes, rules: tuple[Rule, ...]) -> tuple[tuple[int, int], ...]:
    """(system call number, offset in the page after the instruction) that may pass: none or one.

    Found by watching one program start, and kept in `directory` for as long as the loader is the
    same file.  Any failure means none.
    """
    try:
        st = os.stat(_LOADER)
        stamp = (rules, st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns)
        path = directory + b"/habits-" + xxhash.xxh3_64_hexdigest(repr(stamp).encode()).encode()
        try:
            with open(path, "rb", buffering=0) as file:
                known = file.readall()
        except OSError:
            known = b""
        if not known:
            offset = _watch(filter.load(rules, directory))
            known = _UNKNOWN if offset is None else b"%d" % offset
            filter.keep(path, known)
        return ((SYS_ARCH_PRCTL, int(known)),) if known.isdigit() else ()
    except (OSError, spawn.FilterRefused):
        return ()


def _watch(program: bytes) -> int | None:
    """Start a program under the filter; where it sets up thread storage, if not at first."""
    spawned = spawn.spawn(spawn.Command(_PROBE, (_PROBE,), ()), program)
    signals.set_mask(spawned.mask)
    poll = select.poll()
    poll.register(spawned.listener.fd, select.POLLIN)
    found = None
    stops = 0
    while ready := poll.poll(_PATIENCE_MS):
        if not ready[0][1] & select.POLLIN:
            break
        notification = spawned.listener.receive()
        if notification is not None:
            if notification.nr == SYS_ARCH_PRCTL and stops:
                found = notification.ip & _PAGE_MASK
            stops += 1
            spawned.listener.proceed(notification.id)
    spawned.guardian.close()
    spawned.listener.close()
    os.waitpid(spawned.pid, 0)
    return found
