"""`pcache why`: the first causes of what ran in a session, from the command itself downwards.

An input that an execution of the session itself wrote is a consequence: the cause is why that one
ran.  Who wrote the others is looked for in the sessions before.
"""

from __future__ import annotations

import os
import shlex

from pcache.history.entries import HIT, NONDETERMINISTIC, REFUSED
from pcache.history.sessions import Session
from pcache.model import PREFIXED, Kind, Reason
from pcache.report import words
from pcache.report.cures import CURES, PAGE
from pcache.session.steps.closing import seconds
from pcache.wording import changed_text, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pcache.history.entries import Entry
    from pcache.model import Key
    from pcache.report.style import Style

_BEFORE = 20
"""Sessions that are searched for who wrote an input."""
_HANDED_DOWN = (Kind.FD, Kind.PIPE, Kind.INPUT, Kind.INPUT_TIMES, Kind.TRAIT)
_SHOWN = 10
"""How many of a kind are listed."""


class Cause:
    """One input that had changed and was not written by the session itself."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.reran: list[int] = []
        """Executions that depend on it directly, by number."""
        self.followed: list[int] = []
        """Those that ran because of what the former wrote."""
        self.writer = ""
        """Who wrote it, in words."""

    @property
    def name(self) -> str:
        return changed_text([self.key]).removeprefix("input changed: ")


class Refusal:
    """One reason for which executions are not cacheable, nor is anything that contains them."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.evidence: list[str] = []
        self.programs: list[int] = []
        self.wall_ns = 0
        """What those take that contain no other one of them."""

    @property
    def cure(self) -> str:
        return CURES.get(self.reason, "")

    @property
    def page(self) -> str:
        """Where more is said of it."""
        return f"{PAGE}#{anchor(self.reason)}"


def anchor(reason: str) -> str:
    """Of the heading of a reason, as GitHub makes them."""
    return reason.replace(" ", "-")


class Why:
    """The causes of one session."""

    def __init__(self, session: Session, before: Sequence[Session]) -> None:
        """`before`: earlier sessions, the latest first."""
        self.session = session
        self.unknown: list[int] = []
        """Executions that ran because nothing was known of their call."""
        self.other: dict[str, list[int]] = {}
        """Why executions ran whose inputs had not changed -> which."""
        self.causes = self._find_causes(before)
        self.refusals = refusals(session.entries)

    def _find_causes(self, before: Sequence[Session]) -> list[Cause]:
        entries = self.session.entries
        written = _writers(self.session)
        if entries and self.session.parts(entries[0]) is None:
            # Nothing was recorded: what the command wrote when it last was.
            written = {**_earlier(self.session, before), **written}
        causes: dict[str, Cause] = {}
        """By name: one path may have changed in several ways."""
        because: dict[int, list[Cause]] = {}
        for number, entry in enumerate(entries):
            if entry.verdict == HIT or words.is_part(entry):
                continue
            if not entry.changed:
                if entry.miss == "unknown call":
                    self.unknown.append(number)
                elif entry.miss:
                    self.other.setdefault(entry.miss, []).append(number)
                continue
            mine = because.setdefault(number, [])
            for key in entry.changed:
                writer = written.get(_path(key), number)
                if key[0] in _HANDED_DOWN:
                    writer = max(entry.parent, 0)
                # One that contains it wrote it itself, or had it written by what it started before.
                if writer < number and (followed := because.get(writer)):
                    for cause in followed:
                        if number not in cause.reran + cause.followed:
                            cause.followed.append(number)
                        mine.append(cause)
                    continue
                cause = Cause(key)
                cause = causes.setdefault(cause.name, cause)
                if number not in cause.reran:
                    cause.reran.append(number)
                    mine.append(cause)
        for cause in causes.values():
            cause.writer = _who_wrote(_path(cause.key), before)
        # What made the command itself run comes first.
        return sorted(causes.values(), key=lambda cause: cause.reran[0])


def refusals(entries: Sequence[Entry]) -> list[Refusal]:
    """What cannot be cached, and what it costs: the dearest reason first."""
    found: dict[str, Refusal] = {}
    for number, entry in enumerate(entries):
        if entry.verdict not in (REFUSED, NONDETERMINISTIC) or entry.covered(entries):
            continue
        reasons = entry.reasons or ((Reason.NON_DETERMINISTIC, ""),)
        for reason, evidence in reasons:
            refusal = found.setdefault(reason, Refusal(reason))
            refusal.programs.append(number)
            if evidence and evidence not in refusal.evidence:
                refusal.evidence.append(evidence)
    for refusal in found.values():
        members = set(refusal.programs)
        outer = {entries[number].parent for number in members}
        refusal.wall_ns = sum(entries[number].wall_ns for number in members - outer)
    return sorted(found.values(), key=lambda refusal: -refusal.wall_ns)


def _path(key: Key) -> bytes:
    kind, path = key
    return path.partition(b":")[2] if kind in PREFIXED else path


def _writers(session: Session) -> dict[bytes, int]:
    """Each path that the session wrote -> the innermost execution that did."""
    found: dict[bytes, int] = {}
    for number, entry in enumerate(session.entries):
        parts = session.parts(entry)
        for output in parts[2].outputs if parts else ():
            found[output.path] = number
    return found


def _earlier(session: Session, before: Sequence[Session]) -> dict[bytes, int]:
    """What an earlier session of the same command wrote, all of it as if by the command itself."""
    name = session.summary.argv, session.summary.cwd
    for other in before[:_BEFORE]:
        if (other.summary.argv, other.summary.cwd) == name and other.entries:
            parts = other.parts(other.entries[0])
            if parts is not None:
                return {output.path: 0 for output in parts[2].outputs}
    return {}


def _who_wrote(path: bytes, before: Sequence[Session]) -> str:
    for session in before[:_BEFORE]:
        number = _writers(session).get(path) if _mentions(session, path) else None
        if number is not None:
            entry = session.entries[number]
            return f"written by {session.number}.{number}: {words.command(entry.argv)}"
    try:
        modified = words.when(os.lstat(path).st_mtime_ns)
    except (OSError, ValueError):
        return "it is not there now" if path.startswith(b"/") else ""
    return f"by nobody that pcache saw; last modified {modified}"


def _mentions(session: Session, path: bytes) -> bool:
    """Whether it may have written a path: its command's own record would say so."""
    root = session.entries[0] if session.entries else None
    parts = None if root is None else session.parts(root)
    return parts is None or any(output.path == path for output in parts[2].outputs)


def lines(why: Why, style: Style) -> Iterator[str]:
    """The answer for people."""
    session = why.session
    entries, cwd = session.entries, session.summary.cwd
    ran = sum(entry.verdict != HIT for entry in entries)
    if not ran:
        yield (
            "nothing ran: everything was brought back"
            if entries
            else "nothing is known of what ran"
        )
        return
    for alike in _grouped(why.causes):
        for cause in alike[:_SHOWN]:
            yield style("bold", f"changed: {words.within(cause.name, cwd)}")
        if len(alike) > _SHOWN:
            yield f"  and {len(alike) - _SHOWN} more"
        if cause.writer:
            yield style.prose(cause.writer)
        yield from _list("so these ran:", cause.reran, session, style)
        yield from _list("and then, for what those wrote:", cause.followed, session, style)
    if why.unknown:
        title = "ran that were never recorded with these arguments, environment and directory"
        yield style("bold", f"{len(why.unknown)} {title}")
        yield from _list("", why.unknown, session, style)
        root = shlex.join(map(os.fsdecode, session.summary.argv))
        yield f"  what is different from what was recorded: pcache explain {root}"
    for miss, numbers in why.other.items():
        yield style("bold", f"{len(numbers)} ran: {miss}")
        yield from _list("", numbers, session, style)
    if session.summary.verb == "trace":
        yield "trace runs everything; `pcache run` or `pcache replay` bring back what holds"
    for refusal in why.refusals:
        programs = "program" if len(refusal.programs) == 1 else "programs"
        cost = f"{len(refusal.programs)} {programs}, {seconds(refusal.wall_ns)}"
        yield style("bold", f"not cacheable: {refusal.reason}   {cost}")
        for evidence in refusal.evidence[:_SHOWN]:
            yield style.prose(f"evidence: {evidence}")
        yield from _list("", refusal.programs, session, style)
        if refusal.cure:
            yield style.prose(f"cure: {refusal.cure}")
        yield style("dim", f"  {refusal.page}")


def _grouped(causes: Sequence[Cause]) -> Iterable[list[Cause]]:
    """Those of one writer and with the same consequences, in the order of the first of each."""
    found: dict[tuple[str, tuple[int, ...], tuple[int, ...]], list[Cause]] = {}
    for cause in causes:
        alike = cause.writer, tuple(cause.reran), tuple(cause.followed)
        found.setdefault(alike, []).append(cause)
    return found.values()


def _list(title: str, numbers: list[int], session: Session, style: Style) -> Iterator[str]:
    if not numbers:
        return
    if title:
        yield f"  {title}"
    for number in numbers[:_SHOWN]:
        entry = session.entries[number]
        id = f"{session.number}.{number}"
        yield f"    {id:<8} {style.cut(words.command(entry.argv), 13)}"
    if len(numbers) > _SHOWN:
        yield f"    and {len(numbers) - _SHOWN} more"


def path_text(key: Key) -> str:
    """The path of an input, for data."""
    return text(_path(key))
