"""ioctl(2): what is asked of a descriptor, mostly whether it is a terminal, or done to it."""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Callable

from pcache.linux.descriptors import trait_name
from pcache.model import Kind, Reason
from pcache.observe.accesses.descriptors import Descriptors
from pcache.observe.accesses.event import Event, Handler
from pcache.observe.accesses.interfaces import depend_on_interfaces
from pcache.observe.accesses.numbers import (
    depend_on_fd,
    depend_on_no_terminal,
    depend_on_trait,
    inheritors,
    number_of,
)
from pcache.observe.accesses.sockets import INTERFACE_IOCTLS
from pcache.observe.errnos import REASON, cause
from pcache.observe.executions import Execution
from pcache.settings.defaults import COMPILERS
from pcache.wording import text

# asm-generic/ioctls.h
_ANSWERS = {0x5401: b"modes", 0x802C542A: b"modes2", 0x5413: b"winsize"}
"""TCGETS, TCGETS2, TIOCGWINSZ -> trait."""
_SETTINGS = {
    **{0x5402: b"modes", 0x5403: b"modes", 0x5414: b"winsize"},
    **{0x402C542B: b"modes2", 0x402C542C: b"modes2"},
}
"""TCSETS, TCSETSW, TIOCSWINSZ, TCSETS2, TCSETSW2 -> the same."""
# asm-generic/ioctls.h: TCGETS, TIOCGPGRP, TIOCGWINSZ, FIONCLEX, FIOCLEX, TCGETS2.
_HARMLESS = frozenset({0x5401, 0x540F, 0x5413, 0x5450, 0x5451, 0x802C542A})
# Of files of its own: FIONREAD, FIONBIO; FICLONE, FICLONERANGE, FIDEDUPERANGE and FIEMAP of
# linux/fs.h, whose files were opened to be read and written.
_FIONBIO = 0x5421
_OF_ITS_OWN = frozenset({0x541B, _FIONBIO, 0x40049409, 0x4020940D, 0xC0189436, 0xC020660B})
_COMPILERS = frozenset(COMPILERS)


class Terminals:
    def handlers(self) -> list[tuple[Handler, str]]:
        return [(self._control, "ioctl")]

    def _control(self, event: Event) -> None:
        body = event.body
        request = body.args[0] & 0xFFFFFFFF
        asked = inheritors(event, body.handle, body.stamp2, writing=False)
        if request in INTERFACE_IOCTLS:
            depend_on_interfaces(event.ts, event.execution)
        elif cause("ioctl", body.err) == REASON:
            what = f"ioctl {request:#x}: {os.strerror(body.err)}"
            event.execution.problem_throughout(Reason.TRANSIENT, what)
        elif not asked and request not in _HARMLESS | _OF_ITS_OWN:
            event.execution.problem_throughout(
                Reason.UNSUPPORTED, f"ioctl {request:#x} of {text(body.file or b'?')}"
            )
        if asked and request in _ANSWERS and _asks_for_messages(event.execution):
            event.execution.asked_for_messages.append(_answer(event, asked))
            return
        for execution, fd in asked:
            _depend_on_answer(event, execution, fd)
            if request == _FIONBIO and not body.err:
                Descriptors.set_flags(event, execution, fd)
            elif (
                not body.err
                and request not in _HARMLESS
                and not _sets_what_it_was(event, execution, fd, request)
            ):
                execution.problem(Reason.UNSUPPORTED, f"ioctl {request:#x} of descriptor {fd}")


def settle_messages(execution: Execution) -> None:
    """An execution has ended: what it asked for its messages' sake mattered if it wrote any."""
    if execution.chunks:
        for depend in execution.asked_for_messages:
            depend()
    execution.asked_for_messages.clear()


def _answer(event: Event, asked: list[tuple[Execution, int]]) -> Callable[[], None]:
    def depend() -> None:
        for execution, fd in asked:
            _depend_on_answer(event, execution, fd)

    return depend


def _asks_for_messages(execution: Execution) -> bool:
    """Whether it is one of COMPILERS, itself: a script of such a name is none."""
    name = posixpath.basename(execution.executable)
    unversioned = name.rstrip(b"0123456789.-")
    spellings = (name, unversioned, unversioned.rpartition(b"-")[2])
    return any(spelling in _COMPILERS for spelling in spellings)


def _depend_on_answer(event: Event, execution: Execution, fd: int) -> None:
    body = event.body
    request = body.args[0] & 0xFFFFFFFF
    if body.err == errno.ENOTTY and request in _HARMLESS:
        depend_on_no_terminal(event, execution, fd)
        return
    depend_on_fd(event, execution, fd)
    what = _ANSWERS.get(request)
    if what is not None and not body.err:
        number = number_of(event, execution, fd)
        depend_on_trait(event.ts, execution, what, number, body.out)


def _sets_what_it_was(event: Event, execution: Execution, fd: int, request: int) -> bool:
    """Whether a terminal was given what it has told before: readline and libuv do so."""
    what = _SETTINGS.get(request)
    if what is None:
        return False
    keys = [(Kind.TRAIT, trait_name(what, one.fd)) for one in execution.same(fd)]
    told = [execution.inputs[key].value for key in keys if key in execution.inputs]
    return event.body.out in told
