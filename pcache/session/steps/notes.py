"""What is noted of a session for `pcache log` and its like, and for the closing line.

This half is on the path of a root hit, which costs it one write(2): the other one
(`pcache.session.steps.noting`, `causes`) is loaded when the command runs.
"""

from __future__ import annotations

import os
import time

from pcache.history.log import KEPT_NS, LONG, Summary, append, trim
from pcache.session.steps.reporting import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.history.entries import Entry
    from pcache.memo.decide import Decider, Seen
    from pcache.memo.restore import Plan
    from pcache.model import Call, Key
    from pcache.session.steps.command import Command
    from pcache.store.index import Store


class Notes:
    """The notes of one session, from its beginning on."""

    def __init__(self, verb: str, command: Command) -> None:
        self.began_ns = time.monotonic_ns()
        self.summary = Summary(verb, command.argv, command.cwd, b"")
        self.summary.began_ns = time.time_ns()
        self.summary.name = b"%x-%x" % (self.summary.began_ns, os.getpid())
        self.entries: list[Entry] = []
        """The executions, when they are known; none of what came back as a whole."""
        self.root_miss = "not looked up: the kernel alone can tell what the command starts"
        self.root_changed: list[Key] = []
        self.failed = False
        """Whether the store took no records: then one message about it is enough."""
        self._root_seen: Seen | None = None
        self._root_call: Call | None = None
        self._directory = b""
        self._keep_ns = KEPT_NS

    def open(self, store: Store) -> None:
        """Which store the session is of."""
        self._directory = store.directory
        self.summary.base_dir = store.policy.base_dir
        if store.policy.history is not None:
            self._keep_ns = store.policy.history * 10**9

    # ---- the command itself

    def root_hit(self, plan: Plan) -> None:
        """It was brought back."""
        summary = self.summary
        summary.programs = summary.hits = 1
        summary.saved_ns, summary.strong = plan.wall_ns, plan.strong

    def root_not_applied(self, why: str) -> None:
        """It could have been, but for a failure."""
        self.root_miss = why

    def root_missed(self, decider: Decider, call: Call) -> None:
        """Nothing is stored that holds.  What has changed is looked for when the command has ended:
        comparing many thousand inputs takes time."""
        self._root_seen, self._root_call = decider.seen, call
        self.root_miss = "input changed" if decider.seen is not None else decider.last_miss

    def find_cause(self, store: Store) -> None:
        """Why the command itself had to run; to be called before its new record is stored."""
        from pcache.session.steps.causes import cause_of, why

        if self._root_call is not None:
            self.root_miss, self.root_changed = cause_of(
                store, self._root_call, self._root_seen, self.root_miss
            )
        self.summary.why = why(self.root_miss, self.root_changed, self.summary.cwd)
        self._root_seen = None

    # ---- the end

    def finish(self, status: int) -> None:
        """The session has ended with a wait status.  Failing to keep the notes costs only them."""
        summary = self.summary
        summary.status = status
        summary.elapsed_ns = time.monotonic_ns() - self.began_ns
        if self.entries:
            from pcache.session.steps.causes import summarize

            summarize(summary, self.entries)
            self.entries[0].status = status
        if not self._keep_ns or not self._directory:
            return
        try:
            if self.entries:
                from pcache.history.entries import write

                write(self._directory, summary.name, self.entries)
            if append(self._directory, summary) > LONG or self.entries:
                trim(self._directory, summary.began_ns - self._keep_ns)
        except OSError as error:
            if not self.failed:
                what = f"{os.fsdecode(error.filename)}: " if error.filename else ""
                say(f"pcache: this session cannot be noted: {what}{error.strerror}")

    def reported(self) -> dict[str, object]:
        """For `--json`: by which name the session can be asked about."""
        kept = self._keep_ns and self._directory
        return {"session": self.summary.name.decode() if kept else None}

    def closing_line(self) -> str:
        """What was saved, in one line."""
        from pcache.session.steps.closing import closing_line

        return closing_line(self.summary, self.entries)
