"""`pcache pull`: bring what others recorded of a command, for when it is needed."""

from __future__ import annotations

import os
from collections.abc import Callable

from pcache.errors import PcacheError
from pcache.linux.user import User
from pcache.remote.errors import RemoteError, Untrusted
from pcache.remote.fetching import Fetcher
from pcache.remote.forms import Manifest, decode_manifest, decode_outcome
from pcache.remote.known import Known
from pcache.remote.names import Name, command_name, state_name
from pcache.remote.places import Places
from pcache.remote.pulled import keep
from pcache.remote.trust import MANIFEST, Trust, find_signer
from pcache.session.steps.command import Command
from pcache.session.steps.policy import session_policy
from pcache.session.verbs.push import settings, shared_store
from pcache.store.index import Store


class Pulled:
    """What came of it."""

    def __init__(self) -> None:
        self.records = 0
        self.contents = 0
        self.bytes = 0
        """Of all contents that the records need."""
        self.received = 0
        """Bytes that had to be fetched."""


class Pull:
    """Of one command.  Raises RemoteError, StoreError."""

    def __init__(self, command: Command, user: User) -> None:
        if command.call is None:
            raise RemoteError("the kernel alone can tell what this command starts")
        self._user = user
        self._policy, _ = session_policy(user, command.cwd)
        self._remote = settings(self._policy)
        self._name = command_name(command.call, Places(self._policy, user, self._remote.map))
        self._shelf = shared_store(self._remote, user)
        self._trust = Trust(self._remote.trust)
        signer = find_signer(self._remote.key, user.env)
        if signer is not None:
            self._trust.add(signer.public)

    def run(self, dry_run: bool, tell: Callable[[str], None]) -> Pulled:
        """Fetches the contents of the newest manifest that is believed.  Raises Untrusted if none
        is, RemoteError if there is none."""
        manifest, signed = self._manifest()
        report = Pulled()
        sizes: dict[Name, int] = {}
        for entry in manifest.entries:
            state = state_name(entry.call, entry.path_set, entry.values)
            sizes.update(decode_outcome(state, entry.outcome).sizes)
        report.records = len(manifest.entries)
        report.contents = len(sizes)
        report.bytes = sum(sizes.values())
        if not dry_run:
            with Store.open(self._user.store_dir, policy=self._policy) as store:
                report.received = self._fetch(store, sizes, tell)
                try:
                    keep(store.directory, self._name, signed)
                except OSError as error:
                    raise RemoteError(f"the manifest cannot be kept: {error.strerror}") from error
        return report

    def manifest(self) -> Manifest:
        """The newest that is believed."""
        return self._manifest()[0]

    def _manifest(self) -> tuple[Manifest, bytes]:
        doubt: Untrusted | None = None
        for signed in self._shelf.manifests(self._name):
            try:
                data = self._trust.opened(MANIFEST, signed)
                return decode_manifest(self._name, data), signed
            except Untrusted as error:
                doubt = doubt or error
        raise doubt or RemoteError(
            "nobody has pushed this command", "where it is recorded: pcache push"
        )

    def _fetch(self, store: Store, sizes: dict[Name, int], tell: Callable[[str], None]) -> int:
        """Bytes that were not here."""
        bell = os.eventfd(0, os.EFD_CLOEXEC)
        known = Known(store.directory, self._remote.url)
        fetcher = Fetcher(
            self._shelf,
            store.blobs,
            known,
            store.directory + b"/tmp",
            lambda: os.eventfd_write(bell, 1),
        )
        for name, size in sizes.items():
            fetcher.want(name, size, urgent=False)
        here = {name for name in sizes if fetcher.state(name) is not None}
        while waited := [name for name in sizes if fetcher.state(name) is None]:
            tell(f"{len(sizes) - len(waited)} of {len(sizes)} contents")
            os.read(bell, 8)
            fetcher.take()
        known.close()
        os.close(bell)
        for name in sizes:
            state = fetcher.state(name)
            if isinstance(state, PcacheError):
                raise state
        return sum(size for name, size in sizes.items() if name not in here)
