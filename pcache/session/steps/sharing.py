"""What a session has to do with a shared store, if settings name one."""

from __future__ import annotations

import os

from pcache.errors import PcacheError
from pcache.session.steps.reporting import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pcache.counters import Counters
    from pcache.linux.descriptors import FdView
    from pcache.linux.user import User
    from pcache.model import Call, Digest
    from pcache.remote import lookup
    from pcache.settings.rules import Policy
    from pcache.store.index import Store

_LINGER_S = 10
"""How long a command's end waits for what it recorded to be pushed; then that goes on alone."""
_OFF = (b"", b"0", b"false", b"no")
_INSTALL = "pip install 'pcache[remote]'"


class Elsewhere:
    """The shared store that settings name, which is not loaded before it is asked: most commands
    need nobody.  If it cannot be used, that is told."""

    def __init__(self, store: Store, user: User, cwd: bytes, counters: Counters) -> None:
        self._arguments = store, user, cwd, counters
        self._loaded: lookup.Elsewhere | None = None
        self._broken = False

    @property
    def usable(self) -> bool:
        """Whether there is any use in asking."""
        return not self._broken and (self._loaded is None or self._loaded.usable)

    def bring(self, call: Call, fds: FdView) -> bool:
        """As `pcache.remote.lookup.Elsewhere.bring`."""
        if self._loaded is None and not self._broken:
            from pcache.remote import lookup

            store, user, cwd, counters = self._arguments
            try:
                self._loaded = lookup.Elsewhere(store, user, cwd, counters, user.become, say)
            except (PcacheError, ValueError, OSError) as error:
                self._broken = True
                say(f"pcache: remote: {error}")
        return self._loaded is not None and self._loaded.bring(call, fds)

    def close(self) -> None:
        """Nobody is asked any more."""
        if self._loaded is not None:
            self._loaded.close()


def share(
    user: User, policy: Policy, call: Call | None, records: Iterable[Digest], quiet: bool
) -> None:
    """After a recording: notes which records belong to the command, and pushes them where settings
    say so.  The store must be closed.  Nothing that goes wrong is a failure of the command."""
    if call is None:
        return
    from pcache.remote import sessions
    from pcache.settings.remote import NEVER, unpacked
    from pcache.store.fingerprint import weak_fingerprint

    directory, strongs = user.store_dir, list(records)
    try:
        weak = weak_fingerprint(call, policy)
        sessions.note(directory, weak, strongs)
        remote = unpacked(policy.remote)
        if remote.push == NEVER or not strongs or not _pushes(remote.push, user):
            return
        _push_aside(user, policy, weak, strongs, quiet)
    except (PcacheError, OSError) as error:
        say(f"pcache: remote: {error}")


def _pushes(push: bytes, user: User) -> bool:
    from pcache.settings.remote import CI

    return push != CI or user.env.get(b"CI", b"").lower() not in _OFF


def _push_aside(
    user: User, policy: Policy, weak: Digest, strongs: list[Digest], quiet: bool
) -> None:
    """Pushes in a process that has the user's rights alone, and waits for it, but not for long."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reading)
            null = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(null, number)
            user.become()
            os.setsid()
            os.write(writing, _push(user, policy, weak, strongs).encode(errors="replace"))
            status = 0
        except BrokenPipeError:
            status = 0  # nobody waits any more
        finally:
            os._exit(status)
    os.close(writing)
    import select

    poll = select.poll()
    poll.register(reading, select.POLLIN)
    message = "what was recorded is pushed in the background"
    if poll.poll(_LINGER_S * 1000):
        message = os.read(reading, 1 << 16).decode(errors="replace") or "pushing has failed"
        os.waitpid(pid, 0)
    os.close(reading)
    if not quiet or not message.startswith("pushed"):
        say(f"pcache: remote: {message}")


def _push(user: User, policy: Policy, weak: Digest, strongs: list[Digest]) -> str:
    try:
        from pcache.session.verbs.push import Push
    except ImportError as error:
        return f"{error}: {_INSTALL}"
    try:
        return Push(user, policy).session(weak, strongs)
    except (PcacheError, OSError) as error:
        return str(error)
