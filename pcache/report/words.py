"""Sessions and executions in words."""

from __future__ import annotations

import time

from pcache.history.entries import NONDETERMINISTIC
from pcache.history.log import UNKNOWN
from pcache.model import SERIES, Reason
from pcache.wording import changed_text, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pcache.history.entries import Entry
    from pcache.model import Output

_KINDS = {
    b"f": "file",
    b"w": "file, written in place",
    b"r": "moved here",
    b"d": "directory",
    b"l": "symbolic link",
    b"h": "hard link",
    b"p": "fifo",
    b"-": "deleted",
    b"m": "mode or times",
    SERIES: "numbered directories",
    b"t": "newer",
}


def command(argv: Sequence[bytes]) -> str:
    """A command line on one line."""
    return text(b" ".join(argv))


def program(entry: Entry) -> str:
    """The base name of what an execution was called as."""
    return text(entry.argv[0].rpartition(b"/")[2]) if entry.argv else "?"


def when(ns: int) -> str:
    """A time.time_ns, local, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ns // 10**9))


def status(value: int) -> str:
    """A wait status."""
    if value == UNKNOWN:
        return "status unknown"
    return f"signal {value & 0x7F}" if value & 0x7F else f"exit status {value >> 8 & 0xFF}"


def short_status(value: int) -> str:
    """The same as a shell shows it; `?` if it is not known."""
    if value == UNKNOWN:
        return "?"
    return str(128 + (value & 0x7F)) if value & 0x7F else str(value >> 8 & 0xFF)


def within(path: str, cwd: bytes) -> str:
    """A path relative to a directory that it is in."""
    return path.removeprefix(text(cwd) + "/")


def changes(entry: Entry, cwd: bytes) -> str:
    """Which inputs have changed, or why else it was not brought back."""
    if entry.changed:
        return changed_text(entry.changed).replace(f": {text(cwd)}/", ": ", 1)
    return entry.miss


def is_part(entry: Entry) -> bool:
    """Whether it works on its caller's temporary file, and is nothing that anybody asks for."""
    return any(reason == Reason.PRIVATE_TEMPORARY for reason, _ in entry.reasons)


def reasons(entry: Entry) -> str:
    """Why it is not cacheable, or empty."""
    if entry.verdict == NONDETERMINISTIC:
        return Reason.NON_DETERMINISTIC
    return "; ".join(f"{reason}: {evidence}" for reason, evidence in entry.reasons)


def why(entry: Entry, cwd: bytes) -> str:
    """Why it ran and is not stored, as far as that is so."""
    refused = "" if is_part(entry) else reasons(entry)
    told = [changes(entry, cwd), refused and f"not cacheable: {refused}"]
    return "; ".join(part for part in told if part)


def output(found: Output) -> str:
    """What an output is."""
    what = _KINDS.get(found.kind, "?")
    if found.kind in (b"l", b"h", b"r"):
        return f"{what}: {text(found.content)}"
    return f"{what}, mode {found.mode:03o}" if found.kind in (b"f", b"w", b"d", b"p") else what
