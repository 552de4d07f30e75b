"""One process becomes two before it reads anything of the user's: the recorder, which keeps the
rights that probes need, and pcache itself, which is the user from then on, for good."""

from __future__ import annotations

import os

from pcache.errors import PrivilegeError
from pcache.linux.user import User, is_root
from pcache.session.steps.load_probes import Probes


def split(as_root: bool, ring_bytes: int) -> tuple[User, Probes]:
    """Whose command it is, and what records it: where we are not root, the service if it is there.

    Raises PrivilegeError, EnvironmentProblem.
    """
    probes = Probes(ring_bytes)
    if not is_root():
        if as_root:
            raise PrivilegeError("--as-root needs root", "put sudo in front: sudo pcache ...")
        if not probes.connect() and os.geteuid() == 0:
            probes.failure = probes.failure or "root of a user namespace may not load probes"
        return User.current(), probes

    def settle(user: User) -> None:
        probes.fork(user)
        user.become()

    return User.invoking(as_root, settle), probes
