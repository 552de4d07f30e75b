"""Why there is no record: what a condition was cannot be told any more."""

from __future__ import annotations

from pcache.model import Uncacheable


class Unknowable(Exception):
    """Carries the Uncacheable."""

    def __init__(self, reason: str, evidence: bytes | str) -> None:
        text = evidence if isinstance(evidence, str) else evidence.decode(errors="backslashreplace")
        super().__init__(reason, text)
        self.uncacheable = Uncacheable(reason, text)
