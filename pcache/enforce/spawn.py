"""Starting a command under the filter, and starting it plainly."""

from __future__ import annotations

import _socket
import errno
import marshal
import os
from struct import Struct

from pcache.enforce import filter, signals, syscalls
from pcache.enforce.guardian import Guardian
from pcache.enforce.notify import Listener
from pcache.enforce.preflight import Forbidden, check_permitted
from pcache.enforce.sandbox import DEFAULT, Sandbox
from pcache.enforce.tracee import Gone
from pcache.errors import EnvironmentProblem, Nested, Refused
from pcache.linux.pids import check_waiting
from pcache.linux.signal_sets import HIDDEN_BY_PYTHON, ignored_by_caller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_FD_BYTES = 4
_LENGTH = Struct("=I")
_MOST_AT_ONCE = 1 << 20


class Spawned:
    """A command under the filter, with its listener and guardian."""

    def __init__(
        self,
        pid: int,
        listener: Listener,
        guardian: Guardian,
        killable: bool,
        mask: set[int],
        sandbox: Sandbox,
    ) -> None:
        self.pid = pid
        self.listener = listener
        self.guardian = guardian
        self.killable = killable
        """Whether the filter has WAIT_KILLABLE_RECV (Linux 5.19)."""
        self.mask = mask
        """Signals that were blocked before; now those in `signals.FORWARDED` are too."""
        self.sandbox = sandbox

    def leave(self) -> int:
        """Let the command run on without us, and wait for it; its wait status.

        For when supervision fails.  As we are in the foreground with it, what the terminal sends
        is for the command to take or not.
        """
        self.guardian.close()
        signals.ignore((signals.INT, signals.QUIT))
        signals.set_mask(self.mask)
        return os.waitpid(self.pid, 0)[1]


class Command:
    """What to execute: passed on to execve as it stands."""

    __slots__ = ("argv", "env", "path", "script")

    def __init__(
        self,
        path: bytes,
        argv: tuple[bytes, ...],
        env: tuple[bytes, ...],
        script: tuple[bytes, tuple[bytes, ...]] | None = None,
    ) -> None:
        self.path = path
        self.argv = argv
        self.env = env
        self.script = script
        """(path, argv) to execute where that ends with ENOEXEC, as execvp(3) does."""


def execute(command: Command) -> None:
    """Become the command.  Returns only by raising OSError."""
    ignored = ignored_by_caller()
    signals.restore(number for number in HIDDEN_BY_PYTHON if not ignored >> (number - 1) & 1)
    try:
        syscalls.execve(command.path, command.argv, command.env)
    except OSError as error:
        if error.errno != errno.ENOEXEC or command.script is None:
            raise
        path, argv = command.script
    syscalls.execve(path, argv, command.env)


def execute_or_tell(command: Command) -> int:
    """Become the command; else say why not, and give the exit status that a shell would."""
    try:
        execute(command)
    except OSError as error:
        name = os.fsdecode(command.argv[0])
        why = error.strerror
        if error.errno == errno.ENOENT and os.path.exists(command.path):
            why = "the interpreter that it names is missing"
        os.write(2, f"pcache: cannot execute {name}: {why}\n".encode(errors="surrogateescape"))
        return 127 if error.errno == errno.ENOENT else 126
    return 126


def spawn(
    command: Command,
    program: bytes,
    killable: bool = True,
    fork: Callable[[bytes, bytes, int], int] | None = None,
    gate: Callable[[int], bytes] | None = None,
    sandbox: Sandbox = DEFAULT,
    refusals: bytes = b"",
    decides: bool = True,
) -> Spawned:
    """Fork a child that puts the filter `program` on itself, and let it execute the command.

    `killable`: ask for WAIT_KILLABLE_RECV, and do without where the kernel lacks it.
    `fork` forks the child instead, given `program`, `refusals` and the socket that it has to send
    the listener over and then give to `await_command`; its pid.
    `gate` is given the child's pid while it waits to execute, and gives what it must call itself;
    nothing of ours forks after it.
    `sandbox` is what `program` was made for; `refusals` a filter to put on before it, or empty.
    `decides`: executions will be decided, and what that needs has to work.

    Call it while this process has one thread.  Raises Refused or Nested, or whatever `fork` or
    `gate` raise or we run out of; the command has not run then.
    """
    check_waiting()
    ours, theirs = _socket.socketpair()
    # From here on they are the supervisor's to pass on: none may kill us in between.
    mask = signals.block(signals.handled(signals.FORWARDED))
    try:
        pid = os.fork() if fork is None else fork(program, refusals, theirs.fileno())
    except BaseException:
        signals.set_mask(mask)
        raise
    if pid == 0:
        status = 126
        try:
            ours.close()
            signals.set_mask(mask)
            _hand_over(theirs, program, killable, refusals)
            status = await_command(theirs)
        finally:
            os._exit(status)
    theirs.close()
    guardian = None
    try:
        listener, killable, number = _take_over(ours)
        id = check_permitted(listener, number, killable, decides)
        guardian = Guardian(listener, sandbox.errors)
        guardian.handling(id)
        # Only now: without a guardian, our death would have left the command with a dead filter.
        name = gate(pid) if gate is not None else b""
        if signals.came_early():
            raise _refusal("a signal came first")
        _send_command(ours, command, sandbox, name)
    except BaseException as error:
        ours.close()
        _withdraw(pid, guardian)
        signals.set_mask(mask)
        if isinstance(error, Forbidden):
            raise _refusal(str(error)) from error
        if isinstance(error, Gone):
            raise _refusal("its system calls are refused before they come to us") from error
        raise
    finally:
        ours.close()
    return Spawned(pid, listener, guardian, killable, mask, sandbox)


def _take_over(socket: _socket.socket) -> tuple[Listener, bool, int]:
    """The listener that the child sends, whether it has WAIT_KILLABLE_RECV, and the number of a
    descriptor that the child has open."""
    message, ancillary, _, _ = socket.recvmsg(
        16, _socket.CMSG_SPACE(_FD_BYTES), _socket.MSG_CMSG_CLOEXEC
    )
    if not ancillary:
        number = int(message[1:] or b"%d" % errno.EPIPE)
        raise _refusal(f"seccomp: {os.strerror(number)}")
    listener = Listener(int.from_bytes(ancillary[0][2][:_FD_BYTES], "little"))
    return listener, message[:1] == b"k", int(message[1:])


def _refusal(what: str) -> Refused:
    kind = Nested if syscalls.handshake() else Refused
    return kind(f"cannot supervise the command: {what}", "`pcache doctor` tells what mends it")


def _withdraw(pid: int, guardian: Guardian | None) -> None:
    """The child is not to become the command."""
    try:
        os.kill(pid, signals.KILL)
    except (ProcessLookupError, PermissionError):
        pass  # root's still, it ends as its socket is closed
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # it died by itself, and its end has been collected
    if guardian is not None:
        guardian.close()


def confine(sandbox: Sandbox, directory: bytes) -> None:
    """Put a sandbox on this process for good, whose denials nobody counts.

    For commands that run without a supervisor.  Raises EnvironmentProblem: a command that was to be
    kept from something does not run without that.
    """
    program = filter.load_refusals(sandbox, directory, native=True)
    try:
        if program:
            _permitted(program, 0)
    except OSError as error:
        raise EnvironmentProblem(
            f"the sandbox cannot be put on the command: seccomp: {error.strerror}",
            "it does not run; without --deny, --no-network and --deterministic it would",
        ) from None
    sandbox.enter()


def _hand_over(socket: _socket.socket, program: bytes, killable: bool, refusals: bytes) -> None:
    """Install the filter and send its listener; on failure send the errno and exit."""
    try:
        if refusals:
            _permitted(refusals, 0)
        fd, killable = _install(program, killable)
    except OSError as error:
        socket.send(b"e%d" % (error.errno or errno.EPERM))
        os._exit(126)
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fd.to_bytes(_FD_BYTES, "little"))
    socket.sendmsg([b"%c%d" % (b"-k"[killable], socket.fileno())], [rights])
    os.close(fd)


def _install(program: bytes, killable: bool) -> tuple[int, bool]:
    flags = syscalls.FILTER_NEW_LISTENER
    wanted = flags | syscalls.FILTER_WAIT_KILLABLE_RECV if killable else flags
    try:
        return _permitted(program, wanted), killable
    except OSError as error:
        if error.errno != errno.EINVAL or wanted == flags:
            raise
    return _permitted(program, flags), False


def _permitted(program: bytes, flags: int) -> int:
    # CAP_SYS_ADMIN can do it without giving up what setuid programs are for.  Whoever is not root
    # never does: their programs come from a file that they can write (`filter.recall`).
    if os.geteuid() == 0:
        try:
            return syscalls.install_filter(program, flags)
        except OSError as error:
            if error.errno != errno.EACCES:
                raise
    syscalls.set_no_new_privs()
    return syscalls.install_filter(program, flags)


def _send_command(socket: _socket.socket, command: Command, sandbox: Sandbox, name: bytes) -> None:
    """To the child, for `await_command`."""
    words = (command.path, command.argv, command.env, command.script)
    data = marshal.dumps((*words, sandbox.deterministic, name))
    socket.sendall(_LENGTH.pack(len(data)) + data)


def await_command(socket: _socket.socket) -> int:
    """Under the filter, whose listener was sent over `socket`: become the command that comes from
    there; an exit status if that fails."""
    if not syscalls.handshake():
        return 125  # another filter keeps our calls from our parent, who sees that we have gone
    try:
        data = b""
        while len(data) < _LENGTH.size or len(data) < _LENGTH.size + _LENGTH.unpack_from(data)[0]:
            more = socket.recv(_MOST_AT_ONCE)
            if not more:
                return 125  # our parent died before anything happened
            data += more
        socket.close()
        path, argv, env, script, deterministic, name = marshal.loads(data[_LENGTH.size :])
        syscalls.take_name(name)
        Sandbox(deterministic=deterministic).enter()
        return execute_or_tell(Command(path, argv, env, script))
    except EnvironmentProblem as error:
        os.write(2, error.report().encode() + b"\n")
    except Exception as error:
        os.write(2, f"pcache: internal error, the command does not run: {error!r}\n".encode())
    return 125
