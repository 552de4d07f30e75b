"""The rules of one session: what is configured, under the circumstances it runs in."""

from __future__ import annotations

from pcache import config, limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.sandbox import Sandbox
    from pcache.rules import Policy
    from pcache.user import User

_ADDR_NO_RANDOMIZE = 0x40000
"""Where things are in memory is not an input."""


def session_policy(user: User, cwd: bytes, sandbox: Sandbox | None = None) -> Policy:
    """The policy for commands that this process starts in `cwd`, for a user and under a sandbox.

    Limits and the like become part of every call.  Inside the session all programs have the same:
    what the command changes of them makes uncacheable (observe/accesses/heirlooms.py), and prevents
    hits (enforce/heirlooms.py).  Raises ConfigError.
    """
    tag = limits.tag(_personality() & ~_ADDR_NO_RANDOMIZE)
    policy = config.load(user, cwd).within(tag)
    return policy if sandbox is None else policy.within(sandbox.tag)


def _personality() -> int:
    """See personality(2)."""
    try:
        with open(b"/proc/self/personality", "rb") as file:
            return int(file.read(), 16)
    except PermissionError:  # root that acts as somebody else; ctypes takes long to load
        from pcache.enforce import syscalls

        return syscalls.personality()
