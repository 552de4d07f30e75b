"""`pcache push`: give what is recorded to a shared store."""

from __future__ import annotations

import time
from collections.abc import Callable

from pcache.history.sessions import sessions as kept_sessions
from pcache.linux.user import User
from pcache.model import Digest
from pcache.remote import sessions
from pcache.remote.errors import RemoteError
from pcache.remote.known import Known
from pcache.remote.push import Pusher, Report
from pcache.remote.translate import Translator
from pcache.remote.trust import Signer, find_signer
from pcache.settings.remote import Remote, unpacked
from pcache.settings.rules import Policy
from pcache.settings.units import size_text
from pcache.store.index import Store
from pcache.store.inspect import record, stored
from pcache.wording import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.remote.shelf import Shelf

_RETRIES = 3


def shared_store(remote: Remote, user: User) -> Shelf:
    """The shared store for who has time.  Raises RemoteError."""
    try:
        from pcache.remote.objects import ObjectShelf
    except ImportError as error:
        raise RemoteError(
            f"the shared store cannot be used: {error}", "pip install 'pcache[remote]'"
        ) from error
    return ObjectShelf(remote, user.env, _RETRIES)


def settings(policy: Policy) -> Remote:
    """Raises RemoteError where no shared store is configured."""
    if not policy.remote:
        raise RemoteError(
            "no shared store is configured", "a table [remote] with a url: pcache help config"
        )
    return unpacked(policy.remote)


class Push:
    """For one user and one set of rules.  Raises RemoteError, StoreError."""

    def __init__(self, user: User, policy: Policy) -> None:
        self._user = user
        self._policy = policy
        self._remote = settings(policy)

    def everything(
        self, since_ns: int, dry_run: bool, tell: Callable[[str], None]
    ) -> tuple[Report, float]:
        """Pushes all records made or used since; what came of it, and the seconds it took."""
        began = time.monotonic()
        signer = self._signer(dry_run)
        shelf = None if dry_run else shared_store(self._remote, self._user)
        with Store.open(self._user.store_dir, create=False, policy=self._policy) as store:
            known = Known(store.directory, self._remote.url)
            translator = Translator(store, self._remote, self._user, known)
            pusher = Pusher(store, translator, known, shelf, signer, tell)
            pusher.records(stored(store, since_ns))
            noted = dict(sessions.noted(store.directory))
            for weak, strongs in {**_from_history(store), **noted}.items():
                pusher.command(weak, strongs)
            translator.close()
            known.close()
        return pusher.report, time.monotonic() - began

    def session(self, weak: Digest, strongs: list[Digest]) -> str:
        """Pushes the records of one session of one command; what came of it, for people."""
        signer = self._signer(False)
        shelf = shared_store(self._remote, self._user)
        with Store.open(self._user.store_dir, create=False, policy=self._policy) as store:
            known = Known(store.directory, self._remote.url)
            translator = Translator(store, self._remote, self._user, known)
            pusher = Pusher(store, translator, known, shelf, signer, lambda _: None)
            found = [one for strong in strongs if (one := record(store, strong)) is not None]
            pusher.records(found)
            pusher.command(weak, strongs)
            translator.close()
            known.close()
        return summary(pusher.report)

    def _signer(self, dry_run: bool) -> Signer | None:
        signer = find_signer(self._remote.key, self._user.env)
        if signer is None and not dry_run:
            raise RemoteError(
                "nothing is pushed: there is no signing key",
                "pcache key new FILE, and `key` in [remote]",
            )
        return signer


def _from_history(store: Store) -> dict[Digest, list[Digest]]:
    """The records of the last session of each command that has one itself: of when no shared store
    was configured yet."""
    found: dict[Digest, list[Digest]] = {}
    for session in kept_sessions(store):
        root = record(store, session.summary.strong) if session.summary.strong else None
        strongs = [entry.strong for entry in session.entries if entry.strong]
        # What came back as a whole tells nothing of its parts.
        if root is not None and (len(strongs) > 1 or root.weak not in found):
            found[root.weak] = strongs
    return found


def summary(report: Report, would: bool = False) -> str:
    """One line."""
    verb = "would push" if would else "pushed"
    return (
        f"{verb} {counted(report.records, 'record')}, {counted(report.contents, 'content')}"
        f" ({size_text(report.bytes)}) and {counted(report.manifests, 'manifest')};"
        f" pushed before: {report.known}, staying here: {len(report.kept)}"
    )
