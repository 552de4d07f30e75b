"""What is judged when all events are known: whether anything changed between use and our look."""

from __future__ import annotations

from pcache.linux.stamps import is_coarse, latest_ns
from pcache.model import Reason, Uncacheable
from pcache.observe.accesses.context import Context
from pcache.observe.captured import Snapshot
from pcache.observe.conditions.clock import GRAIN_NS, Clock
from pcache.observe.conditions.versions import Versions
from pcache.observe.executions import Execution
from pcache.wording import text


class Settling:
    """Looks through the checks that an execution's conditions left for the end."""

    def __init__(self, versions: Versions, context: Context, clock: Clock) -> None:
        self._versions = versions
        self._context = context
        self._history = context.history
        self._clock = clock

    def refusal(self, execution: Execution) -> Uncacheable | None:
        """Why what was captured of an execution that has ended cannot be vouched for, or None."""
        name = self._changed_input(execution)
        if name is not None:
            return Uncacheable(Reason.INPUT_CHANGED, text(name))
        name = self._changed_output(execution)
        if name is not None:
            return Uncacheable(Reason.OUTPUT_OVERWRITTEN, text(name))
        return None

    def _changed_input(self, execution: Execution) -> bytes | None:
        for magic, name in execution.made_up.items():
            if magic in self._context.made_up_written:
                return name
        changed = self._history.first_changed(execution.input_checks)
        if changed is not None:
            return changed
        changed = self._history.first_written(execution.version_checks)
        if changed is not None:
            return changed
        for name, after, until in execution.append_checks:
            if not self._history.only_appended(name, after, until):
                return name
        for name, ts in execution.touched_checks:
            if not self._history.only_attributes_since(name, ts):
                return name
        for place, name, after, until in execution.moved_checks:
            there = self._history.is_at(place, name, after, until)
            if not there or self._history.touched_on_way(name, after, until):
                return name
        for prefix, after, until in execution.prefix_checks:
            if self._history.changed_below(prefix, after, until):
                return prefix
        for seen in execution.opened_inputs:
            if seen.stamp is not None and not self._versions.is_still(seen.name, seen.stamp):
                return seen.name
        for snapshot, name, ts in execution.captured_inputs:
            if not self._was_input(snapshot, name, ts):
                return name
        return None

    def _changed_output(self, execution: Execution) -> bytes | None:
        for name, after, until in execution.output_checks:
            if self._history.touched(name, after, until):
                return name
        for snapshot, name, ts in execution.captured_outputs:
            assert execution.end is not None  # else it was not captured
            if not self._was_output(snapshot, name, ts, execution.end):
                return name
        return None

    def _was_input(self, snapshot: Snapshot, name: bytes, ts: int) -> bool:
        """Whether a captured file was still what had this name at the time `ts`."""
        return (
            snapshot.is_of(self._history, name, ts)
            and not self._history.changed_on_way(name, ts, snapshot.taken)
            and (
                self._unchanged(snapshot, ts)
                or self._departed(snapshot, snapshot.departures(self._history, name, ts))
            )
        )

    def _was_output(self, snapshot: Snapshot, name: bytes, ts: int, end: int) -> bool:
        """The same for what was last changed at the time `ts` by an execution that ended later.

        Somebody outside may have changed its mode before it was moved or removed, which hides that:
        either it is as it was made, or there was no time to.
        """
        history = self._history
        if not snapshot.is_of(history, name, ts) or history.touched_on_way(
            name, ts, snapshot.taken
        ):
            return False
        if self._unchanged(snapshot, end):
            return True
        left = snapshot.departures(history, name, ts)
        as_made = snapshot.status.st_mode & 0o7777 == snapshot.file.mode
        at_once = bool(left) and left[0] <= end + GRAIN_NS
        return (as_made or at_once) and self._departed(snapshot, left)

    def _unchanged(self, snapshot: Snapshot, seen: int) -> bool:
        """Whether nothing has been done to a file since it was seen, going by its ctime."""
        return not self._clock.is_after(latest_ns(snapshot.status.st_ctime_ns), seen)

    def _departed(self, snapshot: Snapshot, left: list[int]) -> bool:
        """Whether the last thing done to a file was to move or to remove it, at one of these
        times."""
        ctime = snapshot.status.st_ctime_ns
        return not is_coarse(ctime) and any(self._clock.is_at(ctime, at) for at in left)
