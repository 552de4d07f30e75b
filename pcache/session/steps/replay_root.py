"""The command itself, looked up before anything is forked: a hit skips everything."""

from __future__ import annotations

import errno
import os
import select
from _signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal
from stat import S_ISREG

from pcache.errors import PcacheError, refused, why_not
from pcache.linux.coredump import would_dump
from pcache.linux.descriptors import offset_and_size, restore_end
from pcache.session.steps.reporting import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.memo.decide import Decider
    from pcache.memo.restore import Plan
    from pcache.model import Call
    from pcache.session.steps.command import Command
    from pcache.session.steps.notes import Notes
    from pcache.timing import Timing


def replay_root(
    command: Command, decider: Decider, explain: bool, timing: Timing, notes: Notes
) -> int | None:
    """Applies the recorded outcome of the command; its wait status, or None if it has to run.

    `explain`: say which, and why; else finding out why is saved.
    """
    call = command.call
    if call is None:
        return None
    try:
        decider.sweep()
        plan = decider.decide(call, command.fds)
    except OSError as error:
        say(f"pcache: {refused(error)}; the command itself is not looked up")
        return None
    except Exception as error:
        say(f"pcache: internal error, the command itself is not looked up: {error!r}")
        return None
    if plan is None:
        notes.root_missed(decider, call)
        if explain:  # the reason costs a look into the store
            _tell("miss", call, decider.explained_miss)
        return None
    # What is put in place from here on has to be taken away again.
    to_python = getsignal(SIGINT) is SIG_DFL
    if to_python:
        signal(SIGINT, default_int_handler)
    try:
        why = _apply(plan, timing)
    finally:
        if to_python:
            signal(SIGINT, SIG_DFL)
    if why is not None:
        decider.unused(plan.wall_ns)
        notes.root_not_applied(why)
        if explain:
            _tell("run", call, why)
        return None
    notes.root_hit(plan)
    if explain:
        _tell("hit", call, "")
    return plan.status


def _apply(plan: Plan, timing: Timing) -> str | None:
    """Puts everything in place; if that cannot be, as it was before, and why."""
    written: dict[int, tuple[int, int]] = {}
    committed = False
    try:
        if any(_broken(fd) for fd, size in plan.sizes() if size):
            # Let the command meet its broken pipe itself.
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        if would_dump(plan.status, 0):
            raise OSError(errno.ENOTSUP, "it would dump core")
        plan.commit()
        committed = True
        since = timing.now()
        files = {fd for fd, size in plan.sizes() if size and S_ISREG(os.fstat(fd).st_mode)}
        for fd, data in plan.writes(files):
            if fd in files and fd not in written:
                written[fd] = offset_and_size(fd)
            _write(fd, data)
        timing.spent("streams", since)
    except (OSError, PcacheError) as error:
        if committed:
            committed = False
            _take_back(plan, written)
        return why_not(error)
    finally:
        if committed:
            plan.conclude()
        else:
            plan.abandon()
    return None


def _tell(verdict: str, call: Call, why: str) -> None:
    from pcache.session.steps.decision_log import tell

    tell(verdict, call, why)


def _take_back(plan: Plan, written: dict[int, tuple[int, int]]) -> None:
    """Leaves everything to the command, as it was."""
    for fd, before in written.items():
        try:
            restore_end(fd, before)
        except OSError:
            continue
    plan.take_back()


def _broken(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return any(events & (select.POLLERR | select.POLLNVAL) for _, events in poll.poll(0))


def _write(fd: int, data: memoryview) -> None:
    """Write all, waiting where the caller made the descriptor non-blocking."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()
