"""What reaches beyond files and streams: sockets, signals, namespaces, shared memory, tracing."""

from __future__ import annotations

import struct

from ...facts import ABSENT
from ...model import Kind, Reason
from ..executions import CREATED
from ..syscall_table import NAMES as SYSCALL_NAMES
from .context import LOOKUP_FAILED, Context, Event, Handler, text

_AF_UNIX, _AF_UNSPEC = 1, 0
_FAMILIES = {2: "inet", 10: "inet6", 16: "netlink", 17: "packet", 38: "alg", 40: "vsock"}
_NAMESPACES = 0x7E020080  # CLONE_NEW*, sched.h

_BREAKERS = {
    "io_uring_setup": Reason.UNOBSERVABLE_WRITE,
    "ptrace": Reason.PTRACE,
    "process_vm_readv": Reason.SHARED_MEMORY,
    "process_vm_writev": Reason.SHARED_MEMORY,
    "shmget": Reason.SHARED_MEMORY,
    "semget": Reason.SHARED_MEMORY,
    "msgget": Reason.SHARED_MEMORY,
    "mq_open": Reason.SHARED_MEMORY,
    "userfaultfd": Reason.SHARED_MEMORY,
    "unshare": Reason.NAMESPACE,
    "setns": Reason.NAMESPACE,
    "chroot": Reason.NAMESPACE,
    "pivot_root": Reason.NAMESPACE,
    "mount": Reason.NAMESPACE,
    "umount2": Reason.NAMESPACE,
    "fsopen": Reason.NAMESPACE,
    "open_tree": Reason.NAMESPACE,
    "move_mount": Reason.NAMESPACE,
    "open_by_handle_at": Reason.UNSUPPORTED,
    "fanotify_init": Reason.UNSUPPORTED,
    "bpf": Reason.UNSUPPORTED,
    "perf_event_open": Reason.UNSUPPORTED,
}


class Surroundings:
    def __init__(self, context: Context) -> None:
        self.context = context

    def handlers(self) -> list[tuple[Handler, str]]:
        return [
            (self._message, "sendmsg recvmsg pidfd_getfd"),
            (self._socket, "socket"),
            (self._address, "connect bind"),
            (self._kill, "kill tkill tgkill rt_sigqueueinfo pidfd_send_signal"),
            (self._breaker, " ".join(_BREAKERS)),
        ]

    def _message(self, event: Event) -> None:
        if not event.body.err:
            event.execution.problem_throughout(
                Reason.DESCRIPTOR_PASSING, SYSCALL_NAMES[event.body.nr]
            )

    def _socket(self, event: Event) -> None:
        family = event.body.args[0]
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
                self.context.observe(event, Kind.LEXISTS, path, name, value=ABSENT)
                self.context.change(event, name, CREATED)
        elif body.err in LOOKUP_FAILED:
            self.context.observe(event, Kind.CONTENT, path, name, value=ABSENT)
        else:
            for execution in event.execution.chain():
                if name not in execution.changes:
                    execution.problem(Reason.NETWORK, f"unix socket {text(path)}")

    def _kill(self, event: Event) -> None:
        body = event.body
        pid = struct.unpack("<i", struct.pack("<I", body.args[0] & 0xFFFFFFFF))[0]
        call = SYSCALL_NAMES[body.nr]
        if body.err:
            return
        target = (
            self.context.processes.get(pid) if pid > 0 and call != "pidfd_send_signal" else None
        )
        number = body.args[2] if call == "tgkill" else body.args[1]
        if target is not None:
            target.senders.setdefault(number, []).append(event.execution)
        for execution in event.execution.chain():
            if target is None or not execution.contains(target.execution):
                execution.problem(Reason.SIGNAL_OUTSIDE, f"{call} of {pid} with signal {number}")

    def _breaker(self, event: Event) -> None:
        body = event.body
        if body.err:
            return
        call = SYSCALL_NAMES[body.nr]
        if call == "unshare" and not body.args[0] & _NAMESPACES:
            return
        if call in ("shmget", "semget", "msgget") and body.args[0] == 0:
            return  # IPC_PRIVATE
        event.execution.problem_throughout(_BREAKERS[call], call)
