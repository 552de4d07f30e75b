"""What reaches beyond files and streams: sockets, signals, namespaces, shared memory, tracing."""

from __future__ import annotations

import struct

from pcache.model import Kind, Reason
from pcache.observe.accesses.context import Context
from pcache.observe.accesses.event import Event, Handler
from pcache.observe.changes import CREATED
from pcache.observe.errnos import LOOK, PERMISSION, REASON, cause
from pcache.observe.evidence import text
from pcache.observe.executions import Execution
from pcache.probes.syscall_table import NAMES as SYSCALL_NAMES
from pcache.values import ABSENT

_AF_UNIX, _AF_UNSPEC = 1, 0
_SOCK_DGRAM, _SOCK_TYPE = 2, 0xF
_FAMILIES = {2: "inet", 10: "inet6", 16: "netlink", 17: "packet", 38: "alg", 40: "vsock"}
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
    Reason.FOREIGN_INPUT: "syslog statmount listmount inotify_add_watch ioprio_get",
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
_UNAME = tuple(b"/proc/sys/kernel/" + name for name in (b"hostname", b"osrelease", b"version"))
"""Where the answer of uname(2) can be seen again."""


class External:
    def __init__(self, context: Context) -> None:
        self.context = context
        self._private_ipc: set[tuple[str, int]] = set()
        """(shm, sem or msg; identifier) of what the tree made for itself."""
        self._datagrams: set[Execution] = set()
        """Those that have made unix sockets for datagrams."""

    def handlers(self) -> list[tuple[Handler, str]]:
        return [
            (self._message, "sendmsg recvmsg"),
            (self._socket, "socket"),
            (self._address, "connect bind"),
            (
                self._kill,
                "kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal",
            ),
            (self._make_ipc, _IPC_MAKING),
            (self._use_ipc, _IPC_USING),
            (self._accept, "accept accept4"),
            (self._uname, "uname"),
            (self._breaker, " ".join(_REASON)),
        ]

    def _message(self, event: Event) -> None:
        event.execution.problem_throughout(Reason.DESCRIPTOR_PASSING, SYSCALL_NAMES[event.body.nr])

    def _socket(self, event: Event) -> None:
        family = event.body.args[0]
        if family == _AF_UNIX and event.body.args[1] & _SOCK_TYPE == _SOCK_DGRAM:
            self._datagrams.add(event.execution)
        if not event.body.err and family not in (_AF_UNIX, _AF_UNSPEC):
            event.execution.problem_throughout(
                Reason.NETWORK, f"socket of family {_FAMILIES.get(family, family)}"
            )

    def _address(self, event: Event) -> None:
        """connect and bind of unix sockets; others were noted when made."""
        body = event.body
        address = body.out
        if len(address) < 2 or struct.unpack_from("<H", address)[0] != _AF_UNIX:
            return
        path = address[2:].split(b"\0")[0]
        if not path.startswith(b"/"):
            where = f"unix socket {text(address[2:])!r}"
            event.execution.problem_throughout(Reason.NETWORK, where)
            return
        name = self.context.names.canonical(path, follow=True)
        if SYSCALL_NAMES[body.nr] == "bind":
            if not body.err:
                if event.execution in self._datagrams:
                    where = f"unix socket {text(path)}, to which anybody can send"
                    event.execution.problem_throughout(Reason.NETWORK, where)
                self.context.observe(event, Kind.LEXISTS, path, name, value=ABSENT)
                self.context.change(event, name, CREATED)
            else:
                self.context.failed(event, path, follow=False)
        elif cause(SYSCALL_NAMES[body.nr], body.err) in (LOOK, PERMISSION):
            self.context.failed(event, path, follow=True)
        else:
            self.context.connections += 1
            for execution in event.execution.chain():
                if name not in execution.changes:
                    execution.problem(Reason.NETWORK, f"unix socket {text(path)}")

    def _accept(self, event: Event) -> None:
        """Who connects may be an outsider: `Context.has_served_strangers` tells at the end."""
        body = event.body
        if body.err or body.handle is None:
            return
        if any(body.handle.file in at.descriptors for at in event.execution.chain()):
            event.execution.problem_throughout(Reason.NETWORK, "accept of a socket handed in")
        self.context.accepted.append(event.execution)

    def _kill(self, event: Event) -> None:
        body = event.body
        pid = struct.unpack("<i", struct.pack("<I", body.args[0] & 0xFFFFFFFF))[0]
        call = SYSCALL_NAMES[body.nr]
        number = body.args[2] if call in ("tgkill", "rt_tgsigqueueinfo") else body.args[1]
        if body.err:
            known = abs(pid) in self.context.pids or pid > _PID_MAX_LIMIT
            if not known and cause(call, body.err) == REASON:
                # Whether such a process runs is no business of the tree, but it has asked.
                event.execution.problem_throughout(Reason.SIGNAL_OUTSIDE, f"look for process {pid}")
            return
        target = (
            self.context.processes.get(pid) if pid > 0 and call != "pidfd_send_signal" else None
        )
        if target is not None:
            target.senders.setdefault(number, []).append(event.execution)
        for execution in event.execution.chain():
            if target is None or not execution.contains(target.execution):
                execution.problem(Reason.SIGNAL_OUTSIDE, f"{call} of {pid} with signal {number}")

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
