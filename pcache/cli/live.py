"""The options about the live line, which all verbs share that run a command."""

from __future__ import annotations

from pcache.cli.options import choice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

OPTIONS = {"--progress": "progress=", "--no-progress": "no-progress"}
_MODES = ("auto", "always", "never")


def progress_of(options: Mapping[str, str | bool]) -> str:
    """`auto`, `always` or `never`.  Raises UsageError."""
    mode = choice("progress", _MODES, options)
    return "never" if options.get("no-progress") or options.get("quiet") else mode
