"""What is different about two calls, in words."""

from __future__ import annotations

from pcache.model import Call, Kind
from pcache.session.steps.describe import call_text, value_text
from pcache.store.fingerprint import environment
from pcache.store.secrets import is_hidden
from pcache.wording import STREAMS, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class CallParts:
    """A call as named parts in words."""

    def __init__(self, call: Call, entries: Iterable[bytes]) -> None:
        self.call = call
        self.env: dict[bytes, bytes] = {}
        for entry in entries:
            name, _, value = entry.partition(b"=")
            self.env.setdefault(name, value)

    def differences(self, now: CallParts) -> list[str]:
        """One line for each part: that of `now` (which is stored) -> that of self."""
        lines = []
        mine, other = self.call, now.call
        for name, old, new in (
            ("arguments", call_text(other), call_text(mine)),
            ("executed as", text(other.filename), text(mine.filename)),
            ("working directory", text(other.cwd), text(mine.cwd)),
            ("umask", f"{other.umask:03o}", f"{mine.umask:03o}"),
            ("user", str(other.uid), str(mine.uid)),
            ("group", str(other.gid), str(mine.gid)),
            ("ignored signals", f"{other.ignored:x}", f"{mine.ignored:x}"),
        ):
            if old != new:
                lines.append(f"{name}: {old} -> {new}")
        for name, before, after in zip(STREAMS[1:], other.streams(), mine.streams(), strict=True):
            if before != after:
                lines.append(
                    f"{name}: {value_text(Kind.FD, before)} -> {value_text(Kind.FD, after)}"
                )
        for variable in sorted(self.env.keys() | now.env.keys()):
            was, is_ = now.env.get(variable), self.env.get(variable)
            if was != is_:
                lines.append(f"environment {text(variable)}: {_quoted(was)} -> {_quoted(is_)}")
        return lines


def call_differences(old: Call, new: Call) -> list[str]:
    """What is different about two calls, one line for each part: of `old` -> of `new`."""
    return CallParts(new, environment(new.env)).differences(CallParts(old, environment(old.env)))


def _quoted(value: bytes | None) -> str:
    if value is not None and is_hidden(value):
        return "a secret"
    return "not set" if value is None else repr(text(value))
