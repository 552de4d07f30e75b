"""The command that a user named, as the kernel will see it: the call that lookups start from."""

from __future__ import annotations

import errno
import os

from pcache.errors import CommandNotExecutable, CommandNotFound
from pcache.linux import image
from pcache.linux.descriptors import OwnFds
from pcache.linux.signal_sets import ignored_by_caller, unusual_here
from pcache.model import Call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce import spawn
    from pcache.enforce.sandbox import Sandbox
    from pcache.linux.user import User

_ENVIRONMENT = b"/proc/self/environ"


class Command:
    """A name or path and its arguments, resolved as execvp(3) does in this process.

    Raises CommandNotFound or CommandNotExecutable.
    """

    def __init__(
        self, words: list[bytes], user: User | None = None, sandbox: Sandbox | None = None
    ) -> None:
        """`user` is on whose behalf it will run; None: we as we are.  `sandbox` may change the
        environment and umask it is given."""
        try:
            self.cwd = os.getcwdb()
        except OSError:
            self.cwd = b""  # it was removed; relative names still mean something to the kernel
        if user is None:
            # Not os.environ: Python drops duplicates, and adds LC_CTYPE in the C locale (PEP 538).
            self.env = _own_environment()
        else:
            self.env = tuple(name + b"=" + value for name, value in user.env.items())
        if sandbox is not None:
            self.env = sandbox.environment(self.env)
        self.path = self._find(words[0])
        """What is given to execve(2)."""
        self.argv = tuple(words)
        self.fds = OwnFds(self.env)
        self.call: Call | None = None
        """None where only the kernel can judge (unreadable, set-user-ID, another architecture),
        and where its result is not that of the call alone."""
        self.script: tuple[bytes, tuple[bytes, ...]] | None = None
        """What to execute instead where the kernel knows no format for the file."""
        try:
            executable, argv = self._image()
        except OSError:
            return
        try:
            if not self.cwd or unusual_here():
                return
            umask = os.umask(0o077)
            os.umask(umask)
        except OSError:
            return
        if user is not None and user.umask is not None:
            umask = user.umask
        if sandbox is not None:
            umask = sandbox.umask(umask)
        self.call = Call(
            executable,
            argv,
            self.env,
            self.cwd,
            umask,
            os.geteuid() if user is None else user.uid,
            os.getegid() if user is None else user.gid,
            self.fds.kinds(),
            ignored_by_caller(),
            self.path if self.script is None else self.script[0],
        )

    def to_execute(self) -> spawn.Command:
        """What is passed on to execve(2)."""
        from pcache.enforce import spawn

        return spawn.Command(self.path, self.argv, self.env, self.script)

    def _image(self) -> tuple[bytes, tuple[bytes, ...]]:
        """Raises OSError where only the kernel can judge, or where it will refuse."""
        try:
            return image.resolve_image(self.path, self.argv, self.cwd)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            self.script = image.as_script(self.path, self.argv, self.cwd)
            if self.script is None or image.foreign_formats():
                raise
            return image.resolve_image(*self.script, self.cwd)

    def _find(self, name: bytes) -> bytes:
        path = next((entry[5:] for entry in self.env if entry.startswith(b"PATH=")), None)
        try:
            return image.which(name, path, self.cwd)
        except FileNotFoundError:
            raise CommandNotFound(f"{os.fsdecode(name)}: no such command") from None
        except OSError as error:
            raise CommandNotExecutable(
                f"{os.fsdecode(name)}: cannot be executed: {error.strerror}",
                "check its permissions: ls -l shows them" if error.errno == errno.EACCES else "",
            ) from None


def _own_environment() -> tuple[bytes, ...]:
    try:
        with open(_ENVIRONMENT, "rb", buffering=0) as file:
            return tuple(file.readall().split(b"\0")[:-1])
    except OSError:  # there is no /proc
        return tuple(name + b"=" + value for name, value in os.environb.items())
