"""`pcache log` and `pcache show`: sessions in a table, executions as a tree, one in detail."""

from __future__ import annotations

from pcache.history.entries import HIT, KNOWN, NONDETERMINISTIC, REFUSED, STORED
from pcache.history.log import UNKNOWN
from pcache.report import words
from pcache.session.steps.closing import closing_line, seconds
from pcache.session.steps.describe import value_text
from pcache.wording import counted, fact_name, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pcache.history.entries import Entry
    from pcache.history.sessions import Session
    from pcache.report.style import Style

_COLUMNS = {
    "SESSION": ">7",
    "WHEN": "<19",
    "VERB": "<6",
    "STATUS": ">6",
    "HITS/ALL": ">8",
    "TIME": ">7",
    "SAVED": ">8",
}
_OF_HITS = ("HITS/ALL", "TIME", "SAVED")
_NARROW = ("VERB", "STATUS", "SAVED", "WHEN", "TIME")
"""What a narrow terminal does without, the first first."""
_LEAST = 20
"""Columns for the command."""
_STREAMS = {0: "standard input", 1: "standard output", 2: "standard error"}


def table(sessions: Sequence[Session], style: Style) -> Iterator[str]:
    """One line for each session."""
    shown = _columns(style)
    yield style("dim", "  ".join([*(f"{name:{shown[name]}}" for name in shown), "COMMAND"]))
    for session in sessions:
        at = session.summary
        values = {
            "SESSION": str(at.number),
            "WHEN": words.when(at.began_ns),
            "VERB": at.verb,
            "STATUS": words.short_status(at.status),
            "HITS/ALL": f"{at.hits}/{at.programs}",
            "TIME": seconds(at.elapsed_ns),
            "SAVED": seconds(at.saved_ns) if at.hits else "",
        }
        colour = "hit" if at.programs and at.hits == at.programs else "ran"
        cells = [f"{values[name]:{form}}" for name, form in shown.items()]
        command = style.cut(words.command(at.argv), sum(map(len, cells)) + 2 * len(cells))
        painted = [
            style(colour, cell) if name in _OF_HITS else cell
            for name, cell in zip(shown, cells, strict=True)
        ]
        yield "  ".join([*painted, command])


def _columns(style: Style) -> dict[str, str]:
    """Those that leave room for the command, and how each is aligned."""
    shown = dict(_COLUMNS)
    for name in _NARROW:
        taken = sum(int(form[1:]) + 2 for form in shown.values())
        if not style.columns or style.columns - taken >= _LEAST:
            break
        del shown[name]
    return shown


def head(session: Session, style: Style) -> Iterator[str]:
    """What a session was, and what it amounts to."""
    at = session.summary
    yield style("bold", f"session {at.number}: pcache {at.verb} {words.command(at.argv)}")
    yield f"  {words.when(at.began_ns)} in {text(at.cwd)}, {words.status(at.status)}"
    yield style.prose(closing_line(at, session.entries).removeprefix("pcache: "))


def tree(session: Session, style: Style, everything: bool) -> Iterator[str]:
    """The executions of a session: number, verdict, time, command line, why.

    `everything`: also those that work on a temporary file of their caller, as the halves of gcc.
    """
    entries = session.entries
    depths: list[int] = []
    hidden = 0
    for number, entry in enumerate(entries):
        depths.append(0 if entry.parent == UNKNOWN else depths[entry.parent] + 1)
        if words.is_part(entry) and not everything:
            hidden += 1
            continue
        verdict, colour = _verdict(entry)
        id = f"{session.number}.{number}"
        time = seconds(entry.saved_ns) if entry.verdict == HIT else _wall(entry)
        front = f"  {id:<9} {verdict:<4} {time:>8}  {'  ' * depths[-1]}"
        why = words.why(entry, session.summary.cwd)
        command, why = style.share(
            words.command(entry.argv), f"   {why}" if why else "", len(front)
        )
        yield (
            f"  {style('dim', f'{id:<9}')} {style(colour, f'{verdict:<4}')} {time:>8}  "
            f"{'  ' * depths[-1]}{command}{style('dim', why)}"
        )
    if hidden:
        yield style("dim", f"  and {hidden} that work on a temporary file of their caller: --all")


def _verdict(entry: Entry) -> tuple[str, str]:
    if entry.verdict == HIT:
        return "hit", "hit"
    bad = entry.verdict in (REFUSED, NONDETERMINISTIC) and not words.is_part(entry)
    return "ran", "bad" if bad else "ran"


def _wall(entry: Entry) -> str:
    return seconds(entry.wall_ns) if entry.wall_ns else ""


def execution(session: Session, number: int, style: Style) -> Iterator[str]:
    """One execution with its call, inputs, outputs and streams."""
    entry = session.entries[number]
    yield style("bold", f"execution {session.number}.{number}: {words.command(entry.argv)}")
    if entry.verdict == HIT:
        yield f"  brought back, in place of {seconds(entry.saved_ns)}; {words.status(entry.status)}"
    else:
        cpu = f", {seconds(entry.cpu_ns)} of it on a processor" if entry.cpu_ns else ""
        took = f"{seconds(entry.wall_ns)}{cpu}; " if entry.wall_ns else ""
        yield f"  ran: {took}{words.status(entry.status)}"
    if why := words.why(entry, session.summary.cwd):
        yield f"  {why}"
    parts = session.parts(entry)
    if parts is None:
        yield f"  in {text(entry.cwd)}"
        yield "  " + _no_record(entry)
        return
    call, facts, outcome = parts
    yield from _titled(
        "call",
        [
            f"program {text(call.executable)}",
            f"in {text(call.cwd)}, umask {call.umask:03o}, user {call.uid}, group {call.gid}",
            *(
                f"{_STREAMS[fd]}: {value_text(b'f', kind)}"
                for fd, kind in enumerate(call.fds)
                if fd in _STREAMS
            ),
            f"variables that count: {len(call.env)}, which --json has",
        ],
        style,
    )
    inputs = [f"{fact_name(at.kind, at.path)}   {value_text(at.kind, at.value)}" for at in facts]
    yield from _titled(counted(len(inputs), "input"), inputs, style)
    outputs = [f"{text(at.path)}   {words.output(at)}" for at in outcome.outputs]
    yield from _titled(counted(len(outputs), "output"), outputs, style)
    streams = [f"{counted(length, 'byte')} to descriptor {fd}" for fd, length in outcome.chunks]
    yield from _titled("streams", streams, style)


def _no_record(entry: Entry) -> str:
    if entry.verdict in (HIT, STORED, KNOWN):
        return "its record is not in the store any more"
    return "it has no record, so its inputs and outputs are not known"


def _titled(title: str, lines: Iterable[str], style: Style) -> Iterator[str]:
    found = list(lines)
    if found:
        yield "  " + style("bold", title)
        yield from (f"    {at}" for at in found)
