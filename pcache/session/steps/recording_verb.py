"""What the verbs that record a command, `trace` and `run`, begin with and fall back to."""

from __future__ import annotations

import os

from pcache.counters import Counters
from pcache.errors import PcacheError, StoreError
from pcache.session.steps.command import Command
from pcache.session.steps.notes import Notes
from pcache.session.steps.policy import session_policy
from pcache.session.steps.reporting import NOT_RUN, say, say_held, write_json
from pcache.store.database import DamagedIndex, OutdatedIndex
from pcache.store.index import Store
from pcache.timing import Timing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce import spawn
    from pcache.linux.user import User
    from pcache.memo.decide import Decider, Elsewhere
    from pcache.session.steps.load_probes import Probes
    from pcache.session.steps.options import Options
    from pcache.session.steps.recording import Recording
    from pcache.settings.rules import Policy


class RecordingVerb:
    """Whose command it is and which, by which rules it is recorded, and where.

    Raises CommandNotFound, CommandNotExecutable.
    """

    name = ""
    """Of the verb."""
    stores = True
    """Whether the store is for records; else it is only read, and left as it is."""

    def __init__(self, words: list[bytes], options: Options, user: User, probes: Probes) -> None:
        """`probes` may be on their way."""
        self._options = options
        self._probes = probes
        self._counters = Counters(Timing(options.timing))
        self._timing = self._counters.timing
        since = self._timing.now()
        self._user = user
        self._shared: Elsewhere | None = None
        self._sandbox = options.sandbox
        self._command = Command(words, self._user, self._sandbox)
        self._notes = Notes(self.name, self._command)
        self._timing.spent("command", since)

    def _open_store(self) -> tuple[Store, Policy]:
        """The store, and the rules it goes by.  Raises ConfigError, UsageError or StoreError."""
        since = self._timing.now()
        policy, self._sandbox = session_policy(self._user, self._command.cwd, self._sandbox)
        directory = self._user.store_dir
        try:
            store = Store.open(directory, counters=self._counters, policy=policy)
        except DamagedIndex:
            if not self.stores:
                raise
            self._set_index_aside()
            store = Store.open(directory, counters=self._counters, policy=policy)
        except OutdatedIndex:
            if not self.stores:
                raise
            from pcache.store.setup import remove_outdated

            remove_outdated(directory)
            say("pcache: the store was written by an earlier version: a new one begins")
            store = Store.open(directory, counters=self._counters, policy=policy)
        self._timing.spent("store", since)
        return store, policy

    def _elsewhere(self, store: Store) -> Elsewhere | None:
        """The shared store, if settings name one."""
        if not store.policy.remote:
            return None
        from pcache.session.steps import sharing

        self._shared = sharing.Elsewhere(store, self._user, self._command.cwd, self._counters)
        return self._shared

    def _share(self, store: Store) -> None:
        """What was recorded is for others too, if settings say so.  Nobody is asked any more."""
        if self._shared is not None:
            self._shared.close()
        if store.policy.remote and self.stores:
            from pcache.session.steps.sharing import share

            call, quiet = self._command.call, self._options.quiet
            share(self._user, store.policy, call, store.met, quiet)

    def _finish(self, recording: Recording, decider: Decider | None = None) -> None:
        """Ends the recording; a damaged index that recorder or decider met is set aside."""
        recording.finish()
        if self.stores and (recording.damaged_index or (decider and decider.damaged_index)):
            try:
                self._set_index_aside()
            except StoreError as error:
                say(error.report())

    def _set_index_aside(self) -> None:
        """If it is damaged, as it seemed; whoever opens the store next begins a new one.

        Raises StoreError.
        """
        from pcache.store.setup import set_damaged_aside

        kept = set_damaged_aside(self._user.store_dir)
        if kept:
            name = os.fsdecode(kept)
            say(f"pcache: the index of the store was damaged: it is {name}, a new one begins")

    def _unrecorded(self, consequence: str) -> int:
        """The command where recording cannot start, if it is wanted then."""
        if not self._options.must_record:
            return self._plainly(consequence)
        self._probes.close()
        say_held()
        say(NOT_RUN)
        write_json(self._options.json, None, self._counters)
        return PcacheError.status

    def _plainly(self, consequence: str) -> int:
        """Becomes the command; returns an exit status if that fails.  Raises PcacheError."""
        self._probes.close()
        say_held()
        if consequence:
            say(f"pcache: {consequence}")
        write_json(self._options.json, None, self._counters)
        return self._become_command(self._command.to_execute())

    def _become_command(self, command: spawn.Command) -> int:
        """Without a supervisor; an exit status if that fails.  Raises PcacheError."""
        from pcache.enforce import spawn

        if self._sandbox is not None:
            spawn.confine(self._sandbox, self._user.store_dir)
        return spawn.execute_or_tell(command)
