"""What a user asks of the verbs that record a command."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pcache.enforce.sandbox import Sandbox


class Options:
    """`json`: file for counters, or None."""

    def __init__(
        self,
        *,
        as_root: bool = False,
        quiet: bool = False,
        explain: bool = False,
        json: str | None = None,
        sandbox: Sandbox | None = None,
        timing: bool = False,
        progress: str = "auto",
        must_record: bool = False,
    ) -> None:
        self.as_root = as_root
        self.quiet = quiet
        self.explain = explain
        self.json = json
        self.must_record = must_record
        """Whether the command is not to run where recording cannot start."""
        self.timing = timing
        self.progress = progress
        """`auto`, `always` or `never`."""
        self.sandbox = sandbox
        """None: the default one."""
