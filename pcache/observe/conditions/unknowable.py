"""Why there is no record: what a condition was cannot be told any more."""

from __future__ import annotations

from pcache.model import Reason, Uncacheable
from pcache.wording import text


def gone(error: OSError, name: bytes) -> Unknowable:
    """What was seen cannot be looked at any more, or not by its user."""
    if isinstance(error, PermissionError):
        return Unknowable(Reason.UNREADABLE, name)
    return Unknowable(Reason.INPUT_CHANGED, name)


class Unknowable(Exception):
    """Carries the Uncacheable."""

    def __init__(self, reason: str, evidence: bytes | str) -> None:
        told = evidence if isinstance(evidence, str) else text(evidence)
        super().__init__(reason, told)
        self.uncacheable = Uncacheable(reason, told)
