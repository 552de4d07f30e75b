"""The rules of one session: what is configured, under the circumstances it runs in."""

from __future__ import annotations

from pcache.linux import limits
from pcache.settings import config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.sandbox import Sandbox
    from pcache.linux.user import User
    from pcache.settings.rules import Policy

_ADDR_NO_RANDOMIZE = 0x40000
"""Where things are in memory is not an input."""


def session_policy(
    user: User, cwd: bytes, sandbox: Sandbox | None = None
) -> tuple[Policy, Sandbox | None]:
    """The policy for commands that this process starts in `cwd`, for a user, and their sandbox:
    the one that was asked for, where nothing was asked the configured one, None for the default.

    Limits, groups and the like become part of every call.  Inside the session all programs have the
    same: what the command changes of them makes uncacheable (observe/accesses/inherited.py), and
    prevents hits (enforce/inherited.py).  Raises ConfigError, and UsageError for a sandbox that
    makes no sense.
    """
    tag = limits.tag(_personality() & ~_ADDR_NO_RANDOMIZE, (user.gid, *user.groups))
    policy = config.load(user, cwd).within(tag)
    if policy.allow or policy.deny:
        from pcache.enforce.sandbox import DEFAULT

        sandbox = (sandbox or DEFAULT).configured(policy)
    return (policy, None) if sandbox is None else (policy.within(sandbox.tag), sandbox)


def _personality() -> int:
    """See personality(2)."""
    try:
        with open(b"/proc/self/personality", "rb") as file:
            return int(file.read(), 16)
    except OSError:  # who gave up root's ids may not, and there may be no /proc; ctypes is slow
        from pcache.enforce import syscalls

        return syscalls.personality()
