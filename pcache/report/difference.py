"""`pcache diff`: two sessions, or two executions, beside each other."""

from __future__ import annotations

from pcache.history.entries import HIT
from pcache.history.log import UNKNOWN
from pcache.history.sessions import Session
from pcache.report import words
from pcache.session.steps.calls import call_differences
from pcache.session.steps.closing import seconds
from pcache.session.steps.describe import value_text
from pcache.wording import fact_name, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pcache.history.entries import Entry
    from pcache.history.sessions import Parts
    from pcache.report.style import Style


class Change:
    """One thing that differs: what it is, and how it was and is."""

    def __init__(self, what: str, name: str, old: str, new: str) -> None:
        self.what = what
        """`call`, `input`, `output`, `stream`, `status`, `verdict` or `execution`."""
        self.name = name
        self.old = old
        self.new = new


def executions(old: Parts | None, new: Parts | None) -> list[Change]:
    """How two records differ; nothing if one is missing."""
    if old is None or new is None:
        return []
    found = []
    for line in call_differences(old[0], new[0]):
        name, _, rest = line.partition(": ")
        before, _, after = rest.partition(" -> ")
        found.append(Change("call", name, before, after))
    before_facts = {(at.kind, at.path): at.value for at in old[1]}
    after_facts = {(at.kind, at.path): at.value for at in new[1]}
    for key in sorted(before_facts.keys() | after_facts.keys()):
        was, now = before_facts.get(key), after_facts.get(key)
        if was != now:
            told = ["not an input" if at is None else value_text(key[0], at) for at in (was, now)]
            found.append(Change("input", fact_name(*key), *told))
    before_outputs = {at.path: at for at in old[2].outputs}
    after_outputs = {at.path: at for at in new[2].outputs}
    for path in sorted(before_outputs.keys() | after_outputs.keys()):
        one, other = before_outputs.get(path), after_outputs.get(path)
        if one != other:
            told = ["no output" if at is None else _output(at) for at in (one, other)]
            if told[0] != told[1]:
                found.append(Change("output", text(path), *told))
    if old[2].data != new[2].data or old[2].chunks != new[2].chunks:
        found.append(Change("stream", "what it printed", _printed(old), _printed(new)))
    if old[2].status != new[2].status:
        told = [words.status(at[2].status) for at in (old, new)]
        found.append(Change("status", "its end", *told))
    return found


def _output(output: object) -> str:
    from pcache.model import Output

    assert isinstance(output, Output)
    digest = f", content {output.content.hex()[:8]}" if output.kind in (b"f", b"w") else ""
    return words.output(output) + digest


def _printed(parts: Parts) -> str:
    outcome = parts[2]
    return f"{sum(length for _, length in outcome.chunks)} bytes, content {outcome.data.hex()[:8]}"


def sessions(old: Session, new: Session) -> list[Change]:
    """How two sessions differ: executions that only one has, and what became of the others."""
    found: list[Change] = []
    before, after = _named(old, new), _named(new, old)
    for name in [*after, *(name for name in before if name not in after)]:
        was, now = before.get(name), after.get(name)
        label = words.command(name[1])
        if was is None or now is None:
            told = ["not started" if at is None else _told(at) for at in (was, now)]
            found.append(Change("execution", label, *told))
        elif (was.verdict == HIT) != (now.verdict == HIT) or was.reasons != now.reasons:
            found.append(Change("verdict", label, _told(was), _told(now)))
        if was is not None and now is not None and was.strong != now.strong:
            for change in executions(old.parts(was), new.parts(now)):
                change.name = f"{label}: {change.name}"
                found.append(change)
    return found


def _named(session: Session, other: Session) -> dict[tuple[bytes, tuple[bytes, ...], int], Entry]:
    """By directory, arguments, and which of several with the same ones; without what was done
    within executions that were brought back in the other session."""
    back = {(entry.cwd, entry.argv) for entry in other.entries if entry.verdict == HIT}
    inside: set[int] = set()
    found: dict[tuple[bytes, tuple[bytes, ...], int], Entry] = {}
    seen: dict[tuple[bytes, tuple[bytes, ...]], int] = {}
    for number, entry in enumerate(session.entries):
        if entry.parent != UNKNOWN:
            caller = session.entries[entry.parent]
            if entry.parent in inside or (
                HIT not in (entry.verdict, caller.verdict) and (caller.cwd, caller.argv) in back
            ):
                inside.add(number)
        if number in inside or words.is_part(entry):
            continue
        name = entry.cwd, entry.argv
        seen[name] = seen.get(name, 0) + 1
        found[(*name, seen[name])] = entry
    return found


def _told(entry: Entry) -> str:
    if entry.verdict == HIT:
        return f"brought back, in place of {seconds(entry.saved_ns)}"
    why = words.why(entry, entry.cwd)
    took = f" in {seconds(entry.wall_ns)}" if entry.wall_ns else ""
    return f"ran{took}" + (f" ({why})" if why else "")


def lines(changes: list[Change], style: Style) -> Iterator[str]:
    """The differences for people."""
    if not changes:
        yield "nothing differs that is known"
    for change in changes:
        yield f"{style('bold', change.what)}  {change.name}"
        yield f"    {change.old} -> {change.new}"
