"""`base_dir`: what lies below it is stored relative to it, so that another checkout finds it too.

Only what is stored and hashed is relative; everything else in pcache knows absolute paths alone.
"""

from __future__ import annotations

from pcache.model import PREFIXED, Kind, Outcome, Output
from pcache.values import (
    grouped_value,
    groups_of,
    not_newer_files,
    not_newer_path,
    one_path,
    order_files,
    order_path,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pcache.model import Key

_MARK = b"\0"
"""In place of the base within a text: neither arguments nor paths can contain it."""

KEY: Key = (Kind.BASE, b"base")
"""What a record depends on that would mean something else at another place."""


class Base:
    """The directory that paths are stored relative to: canonical, absolute, not the root."""

    __slots__ = ("_below", "path")

    def __init__(self, path: bytes) -> None:
        self.path = path
        self._below = path + b"/"

    def hide_text(self, text: bytes) -> bytes:
        """An argument, or an entry of the environment, for hashing: the same in all checkouts."""
        return text.replace(self.path, _MARK)

    def hide(self, path: bytes) -> bytes:
        """A path as it is stored: `.` or `./...` where it is the base or below it."""
        if path == self.path:
            return b"."
        return b"." + path[len(self.path) :] if path.startswith(self._below) else path

    def show(self, stored: bytes) -> bytes:
        """The path that was given to `hide`, here."""
        return self.path + stored[1:] if stored[:1] == b"." else stored

    def hide_key(self, key: Key) -> Key:
        """What a fact is about, as it is stored."""
        return keyed(key, self.hide)

    def show_key(self, stored: Key) -> Key:
        """The key that was given to `hide_key`, here."""
        return keyed(stored, self.show)

    def hide_value(self, kind: bytes, value: bytes) -> bytes:
        """The value of a fact, as it is stored."""
        return valued(kind, value, self.hide)

    def show_value(self, kind: bytes, stored: bytes) -> bytes:
        """The value that was given to `hide_value`, here."""
        return valued(kind, stored, self.show)

    def hide_outcome(self, outcome: Outcome) -> Outcome:
        """An outcome as it is stored."""
        return moved(outcome, self.hide)

    def show_outcome(self, stored: Outcome) -> Outcome:
        """The outcome that was given to `hide_outcome`, here."""
        return moved(stored, self.show)


def keyed(key: Key, change: Callable[[bytes], bytes]) -> Key:
    kind, path = key
    if kind in PREFIXED:
        mode, colon, path = path.partition(b":")
        return kind, mode + colon + change(path)
    if kind == Kind.ONE:
        return kind, one_path(change(file) for file, _ in order_files(path))
    if kind == Kind.ORDER:
        return kind, order_path((change(file), flag) for file, flag in order_files(path))
    if kind == Kind.NOT_NEWER:
        mtime_ns, files = not_newer_files(path)
        return kind, not_newer_path(mtime_ns, map(change, files))
    return kind, change(path)


def valued(kind: bytes, value: bytes, change: Callable[[bytes], bytes]) -> bytes:
    if kind == Kind.ONE:
        return grouped_value([list(map(change, group)) for group in groups_of(value)])
    if kind != Kind.RESOLVES:
        return value
    exists, arrow, name = value.partition(b">")
    return exists + arrow + change(name)


def moved(outcome: Outcome, change: Callable[[bytes], bytes]) -> Outcome:
    outputs = [
        Output(
            output.kind,
            change(output.path),
            output.mode,
            change(output.content) if output.kind in (b"h", b"r") else output.content,
            output.mtime_ns,
            output.extents,
        )
        for output in outcome.outputs
    ]
    return outcome.with_outputs(tuple(outputs))
