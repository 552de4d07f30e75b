"""Whose permissions count: root's, or those of the user on whose behalf the command runs.

Only the effective ids change in this process, so that root's come back where they are needed.
"""

from __future__ import annotations

import os

from pcache.linux.user import User


def act_as(user: User) -> None:
    """From now on the permissions of `user` count; `act_as_root` takes it back.

    Does nothing where we are not root.
    """
    if os.getuid() != 0:
        return
    act_as_root()
    os.setgroups(user.groups)
    os.setegid(user.gid)
    os.seteuid(user.uid)


def act_as_root() -> None:
    """Takes root's permissions back."""
    if os.getuid() == 0:
        os.seteuid(0)
        os.setegid(0)


def become(user: User) -> None:
    """In a forked child: turns into the user for good.  Raises PrivilegeError."""
    act_as_root()
    user.become()
