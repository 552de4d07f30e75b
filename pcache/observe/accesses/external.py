"""What reaches beyond files and streams: signals, namespaces, shared memory, tracing."""

from __future__ import annotations

import struct

from pcache.linux import signal_sets, traits
from pcache.linux.pids import forks, may_come_again
from pcache.model import Kind, Reason
from pcache.observe.accesses.context import Context
from pcache.observe.accesses.event import Event, Handler
from pcache.observe.accesses.start import depend_on_start
from pcache.observe.errnos import REASON, cause
from pcache.observe.executions import Execution
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES

_NAMESPACES = 0x7E020080  # CLONE_NEW*, sched.h

_BREAKERS = {
    Reason.UNOBSERVABLE_WRITE: "io_uring_setup io_uring_enter io_setup",
    Reason.PTRACE: "ptrace",
    Reason.SHARED_MEMORY: (
        "mq_open mq_unlink userfaultfd process_vm_readv process_vm_writev process_madvise "
        "keyctl add_key request_key"
    ),
    Reason.NAMESPACE: (
        "unshare setns chroot pivot_root mount umount2 fsopen fsconfig fsmount fspick open_tree "
        "open_tree_attr move_mount mount_setattr"
    ),
    Reason.DESCRIPTOR_PASSING: "pidfd_getfd recvmmsg sendmmsg",
    Reason.FOREIGN_INPUT: "syslog statmount listmount inotify_add_watch",
    Reason.UNSUPPORTED: (
        "open_by_handle_at fanotify_mark bpf perf_event_open quotactl quotactl_fd "
        "acct swapon swapoff reboot sethostname setdomainname iopl ioperm init_module "
        "finit_module delete_module kexec_load kexec_file_load vhangup uselib _sysctl "
        "settimeofday clock_settime clock_adjtime adjtimex lsm_set_self_attr"
    ),
}
_REASON = {name: reason for reason, names in _BREAKERS.items() for name in names.split()}
_INHERITED_BY_PROGRAMS = frozenset({"unshare", "setns", "chroot", "pivot_root"})

_IPC_MAKING = "shmget semget msgget"
_IPC_USING = "shmat shmctl semop semtimedop semctl msgsnd msgrcv msgctl"
_IPC_PRIVATE = 0

_PID_MAX_LIMIT = 1 << 22  # linux/threads.h
_UNAME = tuple(
    b"/proc/sys/kernel/" + name for name in (b"hostname", b"domainname", b"osrelease", b"version")
)
"""Where the answer of uname(2) can be seen again."""


class External:
    def __init__(self, context: Context) -> None:
        self.context = context
        self._groups: dict[int, Execution] = {}
        """Process groups that the tree has made, and who made each."""
        self._forks = forks()
        self._private_ipc: set[tuple[str, int]] = set()
        """(shm, sem or msg; identifier) of what the tree made for itself."""

    def handlers(self) -> list[tuple[Handler, str]]:
        return [
            (
                self._kill,
                "kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal",
            ),
            (self._lead, "setsid setpgid"),
            (self._ask_leader, "getpgrp getpgid getsid"),
            (self._wait, "wait4 waitid"),
            (self._make_ipc, _IPC_MAKING),
            (self._use_ipc, _IPC_USING),
            (self._uname, "uname"),
            (self._breaker, " ".join(_REASON)),
        ]

    def _kill(self, event: Event) -> None:
        body = event.body
        pid = struct.unpack("<i", struct.pack("<I", body.args[0] & 0xFFFFFFFF))[0]
        call = SYSCALL_NAMES[body.nr]
        number = body.args[2] if call in ("tgkill", "rt_tgsigqueueinfo") else body.args[1]
        if event.execution.starts_jvm and number == 0:
            return  # whose file of what it counts may be removed
        if body.err:
            known = abs(pid) in self.context.pids or pid > _PID_MAX_LIMIT
            if not known and cause(call, body.err) == REASON:
                # Whether such a process runs is no business of the tree, but it has asked.
                event.execution.problem_throughout(Reason.SIGNAL_OUTSIDE, f"look for process {pid}")
            return
        owners = self._signalled(event, pid, number) if call != "pidfd_send_signal" else []
        for execution in event.execution.chain():
            if not owners or not all(map(execution.contains, owners)):
                execution.problem(Reason.SIGNAL_OUTSIDE, f"{call} of {pid} with signal {number}")

    def _signalled(self, event: Event, pid: int, number: int) -> list[Execution | None]:
        """To whose processes a signal was sent; empty if some of them may be nobody's of the tree.

        Those that have ended but were not waited for are signalled without effect, and have their
        numbers still.
        """
        context = self.context
        if pid > 0:
            targets = [context.processes[pid]] if pid in context.processes else []
            owners: list[Execution | None] = [target.execution for target in targets]
            if not targets and pid in context.ended and not may_come_again(self._forks):
                owners = [context.ended[pid]]
        else:
            group = event.process.group if pid == 0 else -pid
            if group not in self._groups:
                return []
            targets = [one for one in context.processes.values() if one.group == group]
            owners = [self._groups[group], *(target.execution for target in targets)]
        trait = signal_sets.trait(number) if number else None
        for target in targets:
            target.senders.setdefault(number, []).append(event.execution)
            if trait is not None and target.execution is not None:
                depend_on_start(event.ts, target.execution, trait)
        return owners

    def _lead(self, event: Event) -> None:
        """setsid and setpgid: who is in which process group."""
        body = event.body
        depend_on_start(event.ts, event.execution, traits.LEADER)  # who leads may not do it again
        if body.err:
            return
        pid, group = body.args or (0, 0)
        process = self.context.processes.get(pid & 0xFFFFFFFF) if pid else event.process
        if process is not None:
            process.group = group & 0xFFFFFFFF or process.tgid
            self._groups.setdefault(process.group, event.execution)
            if SYSCALL_NAMES[body.nr] == "setsid":
                process.session = process.tgid

    def _ask_leader(self, event: Event) -> None:
        """Which number leads it tells nothing, but whether it is its own or its parent's does."""
        pid = event.body.args[0] & 0xFFFFFFFF if event.body.args else 0
        process = self.context.processes.get(pid) if pid else event.process
        for execution in event.execution.chain():
            if pid and (process is None or not execution.contains(process.execution)):
                call = SYSCALL_NAMES[event.body.nr]
                execution.problem(Reason.FOREIGN_INPUT, f"{call} of process {pid}")
        depend_on_start(event.ts, event.execution, traits.LEADER)

    @staticmethod
    def _wait(event: Event) -> None:
        """What a program waits for may have been started by the one before it in its process."""
        depend_on_start(event.ts, event.execution, traits.CHILDREN)

    def _make_ipc(self, event: Event) -> None:
        name, body = SYSCALL_NAMES[event.body.nr], event.body
        if body.err and cause(name, body.err) != REASON:
            return
        if body.args[0] == _IPC_PRIVATE:
            self._private_ipc.add((name[:3], event.ret))
        else:
            event.execution.problem_throughout(Reason.SHARED_MEMORY, name)

    def _use_ipc(self, event: Event) -> None:
        """Through an identifier, which need not come from a call of the tree."""
        name, body = SYSCALL_NAMES[event.body.nr], event.body
        if body.err and cause(name, body.err) != REASON:
            return
        if (name[:3], body.args[0] & 0xFFFFFFFF) not in self._private_ipc:
            event.execution.problem_throughout(Reason.SHARED_MEMORY, name)

    def _uname(self, event: Event) -> None:
        if not event.body.err:
            for path in _UNAME:
                self.context.observe(event, Kind.CONTENT, path, path)

    def _breaker(self, event: Event) -> None:
        body = event.body
        if body.err:
            return
        call = SYSCALL_NAMES[body.nr]
        if call == "unshare" and not body.args[0] & _NAMESPACES:
            return
        event.execution.problem_throughout(_REASON[call], call)
        if call in _INHERITED_BY_PROGRAMS:
            event.process.handed_down.append((Reason.NAMESPACE, f"{call} by its caller"))
