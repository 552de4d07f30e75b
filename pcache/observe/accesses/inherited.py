"""What a process hands down to the programs it starts although no call tells of it.

Limits, system call filters, capabilities, the personality: a program behaves otherwise with them,
but its call is the same.  So what the tree itself changed of them makes uncacheable, on its own,
every program started from then on by that process and its children.  The process that changed them
depends on nothing by it: its own record begins before.
"""

from __future__ import annotations

import os
import struct

from pcache.linux import limits
from pcache.model import Reason
from pcache.observe.accesses import prctl
from pcache.observe.accesses.context import Context
from pcache.observe.accesses.event import Event, Handler
from pcache.observe.accesses.procfs import depend_on_handed
from pcache.observe.accesses.start import observe_trait
from pcache.observe.errnos import REASON, cause
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES

_INFINITY = (1 << 64) - 1
_ADDR_NO_RANDOMIZE = 0x40000
_PERSONALITY_QUERY = 0xFFFFFFFF
_SECCOMP_GET = frozenset({2, 3})  # SECCOMP_GET_ACTION_AVAIL, SECCOMP_GET_NOTIF_SIZES
_KEEP = 0xFFFFFFFF
_PRIO_PROCESS = 0
_MEMORY_POLICY, _IO_PRIORITY = b"memory policy", b"I/O priority"
_IOPRIO_WHO_PROCESS = 1  # linux/ioprio.h
_IOPRIO = frozenset({"ioprio_set", "ioprio_get"})
_ITIMER_REAL = 0  # linux/time.h
_IT_VALUE = 16  # struct itimerval


class Inherited:
    def __init__(self, context: Context) -> None:
        self.context = context

    def handlers(self) -> list[tuple[Handler, str]]:
        return [
            (self._limit, "getrlimit setrlimit prlimit64"),
            (self._identity, " ".join(_USER_CALLS)),
            (self._groups, "setgroups"),
            (self._personality, "personality"),
            (self._restriction, "seccomp landlock_restrict_self capset"),
            (self._prctl, "prctl"),
            (self._ask_memory_policy, "get_mempolicy"),
            (self._set_traits, " ".join(_SETTING)),
            (self._ask_traits, " ".join(_ASKING)),
            (self._set_timer, "alarm setitimer"),
        ]

    @staticmethod
    def _hand_down(event: Event, evidence: str) -> None:
        event.process.handed_down.append((Reason.UNSUPPORTED, evidence))

    @staticmethod
    def _refused(event: Event) -> None:
        """Hard limits and other processes, which no fact holds, decided."""
        call, number = SYSCALL_NAMES[event.body.nr], event.body.err
        if cause(call, number) == REASON:
            evidence = f"{call}: {os.strerror(number)}"
            event.execution.problem_throughout(Reason.UNSUPPORTED, evidence)

    def _limit(self, event: Event) -> None:
        body = event.body
        if body.err:
            self._refused(event)
            return
        number = body.args[-1] & 0xFFFFFFFF
        own = len(body.args) == 1 or body.args[0] & 0xFFFFFFFF in _own(event)
        if len(body.out) == 16:
            if not own:
                event.execution.problem_throughout(Reason.UNSUPPORTED, "limits of another process")
            self._set_limit(event, number, struct.unpack("<QQ", body.out))
        elif not own:
            event.execution.problem_throughout(Reason.FOREIGN_INPUT, "limits of another process")
        else:
            depend_on_handed(event, limits.trait(number))

    def _set_limit(self, event: Event, number: int, wanted: tuple[int, int]) -> None:
        trait = limits.trait(number)
        soft, hard = (limits.NONE if value == _INFINITY else value for value in wanted)
        if limits.given()[number] == (soft, hard):
            event.process.set_by.pop(trait, None)  # as it was: so does Go before it starts programs
        else:
            event.process.set_by[trait] = event.execution, limits.limit_value((soft, hard))
        if soft < limits.AMPLE.get(number, limits.NONE):
            self._hand_down(event, f"limit {number} set to {soft} by its caller")

    def _identity(self, event: Event) -> None:
        """setuid and its like, unless they set what already is."""
        body = event.body
        name = SYSCALL_NAMES[body.nr]
        execution = event.execution
        mine = execution.gid if "gid" in name else execution.uid
        failed = body.err and not name.startswith("setfs")  # these return the old id
        if failed or all(argument & _KEEP in (_KEEP, mine) for argument in body.args):
            return
        execution.problem_throughout(Reason.UNSUPPORTED, f"change of identity by {name}")
        self._hand_down(event, f"change of identity by {name} of its caller")

    def _groups(self, event: Event) -> None:
        if not event.body.err:
            event.process.set_by[b"groups"] = event.execution, None
            event.execution.problem_throughout(Reason.UNSUPPORTED, "change of groups")
            self._hand_down(event, "change of groups by its caller")

    def _set_traits(self, event: Event) -> None:
        body = event.body
        if body.err:
            self._refused(event)
            return
        call = SYSCALL_NAMES[body.nr]
        concerned = [event.process]
        if not _about_itself(event):
            event.execution.problem_throughout(Reason.UNSUPPORTED, f"{call} for other processes")
            concerned = [*self.context.processes.values()]
        for process in concerned:
            process.set_by.update(dict.fromkeys(_SETTING[call], (event.execution, None)))

    def _ask_traits(self, event: Event) -> None:
        """What it was handed down is an input of those that were handed it."""
        if event.body.err:
            self._refused(event)
            return
        call = SYSCALL_NAMES[event.body.nr]
        if not _about_itself(event):
            event.execution.problem_throughout(Reason.FOREIGN_INPUT, f"{call} of other processes")
            return
        for trait in _ASKING[call]:
            if trait == _IO_PRIORITY:
                self._ask_untold(event, trait)
            else:
                depend_on_handed(event, trait)

    @staticmethod
    def _set_timer(event: Event) -> None:
        """Which runs on when the process executes another program."""
        body, timers = event.body, event.process.timers
        if SYSCALL_NAMES[body.nr] == "alarm":
            timer, is_set = _ITIMER_REAL, bool(body.args[0] & 0xFFFFFFFF)
        else:
            timer, is_set = body.args[0], any(body.out[_IT_VALUE:])
        if is_set and not body.err:
            timers.add(timer)
        elif not body.err:
            timers.discard(timer)

    def _personality(self, event: Event) -> None:
        wanted = event.body.args[0] & 0xFFFFFFFF
        if not event.body.err and wanted not in (_PERSONALITY_QUERY, event.ret & 0xFFFFFFFF):
            if wanted & ~_ADDR_NO_RANDOMIZE == event.ret & ~_ADDR_NO_RANDOMIZE & 0xFFFFFFFF:
                return
            self._hand_down(event, f"personality {wanted:#x} set by its caller")

    def _restriction(self, event: Event) -> None:
        body = event.body
        name = SYSCALL_NAMES[body.nr]
        harmless = name == "seccomp" and body.args[0] in _SECCOMP_GET
        if not body.err and not harmless:
            self._hand_down(event, f"{name} by its caller")

    def _prctl(self, event: Event) -> None:
        if event.body.err:
            return
        option = event.body.args[0] & 0xFFFFFFFF
        evidence = f"prctl({option})"
        if option in prctl.RESTRICTING:
            self._hand_down(event, f"{evidence} by its caller")
        if option in prctl.SETTING:
            event.process.set_by[prctl.SETTING[option]] = event.execution, None
        elif option in prctl.ASKING:
            self._ask_untold(event, prctl.ASKING[option])
        elif option not in prctl.HARMLESS | prctl.RESTRICTING:
            event.execution.problem_throughout(Reason.UNSUPPORTED, evidence)

    def _ask_memory_policy(self, event: Event) -> None:
        """Unless it only asked whether there is such a call, as libnuma does."""
        if not event.body.err and any(event.body.args):
            self._ask_untold(event, _MEMORY_POLICY)

    @staticmethod
    def _ask_untold(event: Event, trait: bytes) -> None:
        """Of what cannot be seen of another process it must have been set by who asks."""
        setter, _ = event.process.set_by.get(trait, (None, None))
        observe_trait(event.execution, event.ts, trait, None, setter)


def _about_itself(event: Event) -> bool:
    """Whether a call like getpriority or sched_getaffinity means who makes it."""
    if not event.body.args or SYSCALL_NAMES[event.body.nr] == "getgroups":
        return True
    *which, who = event.body.args
    itself = _IOPRIO_WHO_PROCESS if SYSCALL_NAMES[event.body.nr] in _IOPRIO else _PRIO_PROCESS
    return which in ([], [itself]) and who & 0xFFFFFFFF in _own(event)


def _own(event: Event) -> tuple[int, int, int]:
    """Numbers that mean the calling process or thread."""
    return 0, event.process.tgid, event.tid


_SETTING = {
    "sched_setaffinity": (b"affinity",),
    "setpriority": (b"priority",),
    "sched_setscheduler": (b"policy",),
    "sched_setparam": (b"policy",),
    "sched_setattr": (b"policy", b"priority"),
    "ioprio_set": (_IO_PRIORITY,),
    "set_mempolicy": (_MEMORY_POLICY,),
}
_ASKING = {
    "sched_getaffinity": (b"affinity",),
    "getpriority": (b"priority",),
    "getgroups": (b"groups",),
    "sched_getscheduler": (b"policy",),
    "sched_getparam": (b"policy",),
    "sched_rr_get_interval": (b"policy", b"priority"),
    "sched_getattr": (b"policy", b"priority"),
    "ioprio_get": (_IO_PRIORITY,),
}
"""Call -> the traits that it changes or tells."""
_USER_CALLS = (
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid",
)  # fmt: skip
