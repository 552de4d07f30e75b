"""What a check is, and what it says."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OK = "ok"
WARN = "warn"
FAIL = "fail"

TRACE = "trace"
REPLAY = "replay"
SHARE = "push and pull"

KERNEL_PACKAGE = "sudo apt-get install linux-image-amd64"
"""The remedy for a kernel that lacks something."""


class Result:
    """What a probe found: a status (OK, WARN or FAIL), why, and the one command that mends it."""

    __slots__ = ("reason", "remedy", "status")

    def __init__(self, status: str, reason: str, remedy: str = "") -> None:
        self.status = status
        self.reason = reason
        self.remedy = remedy


class Check:
    """One thing that has to be there, and the verbs that need it."""

    __slots__ = ("name", "needed_for", "probe")

    def __init__(self, name: str, needed_for: tuple[str, ...], probe: Callable[[], Result]) -> None:
        self.name = name
        self.needed_for = needed_for
        self.probe = probe
